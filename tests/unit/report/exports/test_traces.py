"""Spans and traces: ids that follow from the run, times, conventions, and what the official code makes of them."""

from __future__ import annotations

import base64
import json
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from orchestrator.model.lineage import root_lineage, traceparent
from orchestrator.report.exports.chrome_trace import chrome_trace
from orchestrator.report.exports.exported import ExportedRun, Phase
from orchestrator.report.exports.otlp_http import protobuf
from orchestrator.report.exports.otlp_json import otlp_json
from tests.unit.report.exports.runs import NASTY, exported


def spans_of(*runs: ExportedRun) -> list[dict[str, Any]]:
    """Return the spans of the JSON form, attributes as a plain mapping."""
    (resource,) = json.loads(otlp_json(runs))["resourceSpans"]
    found: list[dict[str, Any]] = resource["scopeSpans"][0]["spans"]
    for span in found:
        span["attributes"] = {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}
    return found


def test_a_server_span_and_internal_ones_below_it() -> None:
    """The run's attempt is SERVER, each stage attempt INTERNAL with the conventions' attributes."""
    run = exported({"a": "success", "b": "failure"})
    root, first, second = spans_of(run)
    assert (root["kind"], first["kind"]) == (2, 1)
    assert first["parentSpanId"] == second["parentSpanId"] == root["spanId"]
    assert root["attributes"]["cicd.pipeline.run.id"] == run.body["run_id"]
    assert root["attributes"]["cicd.pipeline.result"] == "failure"
    assert root["attributes"]["cicd.pipeline.run.url.full"] == "https://ci.example/1"
    assert second["attributes"]["cicd.pipeline.task.run.result"] == second["attributes"]["error.type"] == "failure"
    assert (first["status"], second["status"]["code"]) == ({}, 2)
    assert int(first["endTimeUnixNano"]) - int(first["startTimeUnixNano"]) == 1_000_000_000


def test_a_stage_is_the_span_that_its_traceparent_named() -> None:
    """What a stage exports by itself hangs below the exported span of that stage."""
    run = exported({"a": "success"})
    _, stage = spans_of(run)
    given = traceparent(root_lineage(str(run.body["run_id"])), str(run.body["run_id"]), "a", 1)
    assert given == f"00-{stage['traceId']}-{stage['spanId']}-01"


def test_a_callers_span_is_the_runs_parent() -> None:
    """An inherited trace goes on: its id, and its span above the run's."""
    lineage = {**exported({}).body["lineage"], "trace_id": "a" * 32, "parent_span_id": "b" * 16}
    root, stage = spans_of(exported({"a": "success"}, lineage=lineage))
    assert (root["traceId"], root["parentSpanId"], stage["traceId"]) == ("a" * 32, "b" * 16, "a" * 32)


def test_each_attempt_of_a_run_is_a_span() -> None:
    """A resume begins a second SERVER span; the first ended when nothing ran any more."""
    resumed = {
        "timestamp": "2026-11-22T09:00:00.000Z",
        "idle_seconds": 60.0,
        "attempt": 2,
        "previous_status": "failed",
    }
    run = exported({"a": "success"}, resume_events=[resumed], attempt=2, completed_at="2026-11-22T09:01:00.000Z")
    first, second = (span for span in spans_of(run) if span["kind"] == 2)
    assert first["spanId"] != second["spanId"]
    assert int(second["startTimeUnixNano"]) - int(first["endTimeUnixNano"]) == 60_000_000_000
    assert [span["attributes"]["cicd.pipeline.result"] for span in (first, second)] == ["failure", "success"]


def test_the_same_run_has_the_same_bytes() -> None:
    """Nothing of now or of chance is in any form of traces."""
    one, other = (exported({"a": "success", "b": "failure"}) for _ in range(2))
    for form in (otlp_json, protobuf, chrome_trace):
        assert form([one]) == form([other])


def test_json_and_protobuf_say_the_same() -> None:
    """The official protobuf code reads what the SDK writes, and it holds what the JSON holds."""
    run = exported({"a": "success", "b": "failure"}, last_lines={"b": [NASTY]}, project=NASTY.replace("\ud800", ""))
    request = ExportTraceServiceRequest.FromString(protobuf([run]))
    (resource,) = request.resource_spans
    written = [span for scope in resource.scope_spans for span in scope.spans]
    for span, entry in zip(written, spans_of(run), strict=True):
        assert span.trace_id.hex() == entry["traceId"]
        assert span.span_id.hex() == entry["spanId"]
        assert span.parent_span_id.hex() == entry.get("parentSpanId", "")
        assert (span.name, int(span.kind)) == (entry["name"], entry["kind"])
        assert str(span.start_time_unix_nano) == entry["startTimeUnixNano"]
        assert {item.key for item in span.attributes} == set(entry["attributes"])


def test_the_json_form_is_what_protobuf_reads() -> None:
    """With ids as protobuf's JSON has them, the official parser takes every key of the form."""
    from google.protobuf.json_format import ParseDict

    document = json.loads(otlp_json([exported({"a": "success", "b": "error"})]))
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    ParseDict(document, ExportTraceServiceRequest())


def test_a_row_for_each_lane() -> None:
    """Stages that ran at once stand in rows of their own; the queue and the environment are slices of the run's row."""
    environment = Phase(1, "2026-11-22T08:43:05.800Z", "2026-11-22T08:43:05.900Z", "success")
    run = exported({"a": "success", "b": "failure"}, queued_seconds=0.1, began_at="2026-11-22T08:43:05.100Z")
    events = json.loads(chrome_trace([run._replace(environments=[environment])]))["traceEvents"]
    slices = {event["name"]: event for event in events if event["ph"] == "X"}
    assert set(slices) == {"attempt 1", "queue", "environment", "a", "b"}
    assert slices["a"]["tid"] != slices["b"]["tid"]
    assert slices["environment"]["dur"] == 100_000
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in slices.values())


def test_children_stand_under_their_parents() -> None:
    """Each run is a process of the picture, in order, and names the run above it."""
    parent, child = exported({"a": "success"}), exported({"b": "success"}, number=2, parent="above")
    events = json.loads(chrome_trace([parent, child]))["traceEvents"]
    assert {event["pid"] for event in events} == {1, 2}
    assert [event["args"].get("parent") for event in events if event.get("cat") == "run"] == [None, "above"]
