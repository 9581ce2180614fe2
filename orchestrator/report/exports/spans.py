"""The spans of a run, before they are written as OTLP in JSON or by the OpenTelemetry SDK.

Names are those of OpenTelemetry's semantic conventions for CI/CD (``cicd.*``) and version control (``vcs.*``). A
stage's span is the one that its ``TRACEPARENT`` named, so that what the stage itself exports hangs below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from orchestrator.base.clock import parse_stamp
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.report.exports.exported import AttemptSpan, ExportedRun, attempts_of
from orchestrator.report.head_reference import head_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SERVICE = "codex-orchestrator"
SERVER = 2
INTERNAL = 1
"""OTLP's ``SpanKind``."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(Record):
    """One span. Ids are hex (32 digits of a trace, 16 of a span), times nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: int
    start: int
    end: int
    attributes: Mapping[str, str | int]
    error: str | None


def span_id(*parts: object) -> str:
    """Return the id of a span, which follows from what it is of: the same run has the same ids."""
    return sha256("/".join(str(part) for part in parts).encode()).hexdigest()[:16]


def spans(runs: Sequence[ExportedRun]) -> Iterator[Span]:
    """Yield the spans of ended runs: a SERVER span for each attempt, INTERNAL ones below it for each stage attempt."""
    for run in runs:
        trace = _trace(run.body)
        for attempt in attempts_of(run.body):
            yield _of_run(run, attempt, trace)
        for command in run.body["commands"]:
            yield from _of_stage(run, command, trace)


def _trace(body: Mapping[str, Any]) -> str:
    lineage = body["lineage"] or {}
    root = lineage.get("rootRunId") or body["run_id"]
    return str(lineage.get("trace_id") or sha256(str(root).encode()).hexdigest()[:32])


def _of_run(run: ExportedRun, attempt: AttemptSpan, trace: str) -> Span:
    body = run.body
    provenance: Mapping[str, Any] = next(
        (entry for entry in body["provenance"] if entry["attempt"] == attempt.number), {}
    )
    jobs = body.get("ci") or ()
    job = jobs[attempt.number - 1] if attempt.number <= len(jobs) else None
    attributes = {
        "cicd.pipeline.name": run.suite,
        "cicd.pipeline.run.id": body["run_id"],
        "cicd.pipeline.run.url.full": run.link,
        "cicd.pipeline.result": attempt.outcome,
        "vcs.ref.head.name": head_reference(body, provenance)[0],
        "vcs.ref.head.revision": provenance.get("commit"),
        "vcs.change.id": (job or {}).get("pull_request"),
        "codex_orchestrator.task.id": body["task_id"],
        "codex_orchestrator.project": body["project"],
        "codex_orchestrator.attempt": attempt.number,
    }
    return _span(
        trace,
        span_id(body["run_id"], attempt.number),
        (body["lineage"] or {}).get("parent_span_id"),
        f"RUN {run.suite}",
        SERVER,
        (attempt.started_at, attempt.completed_at or body["updated_at"]),
        attributes,
        attempt.outcome,
    )


def _of_stage(run: ExportedRun, command: Mapping[str, Any], trace: str) -> Iterator[Span]:
    for number, attempt in enumerate(command["attempts"], 1):
        attributes = {
            "cicd.pipeline.task.name": command["id"],
            "cicd.pipeline.task.run.id": f"{run.body['run_id']}/{command['id']}/{number}",
            "cicd.pipeline.task.run.url.full": run.link,
            "cicd.pipeline.task.run.result": attempt["outcome"],
            "process.exit.code": attempt["exit_code"],
            "codex_orchestrator.signal": attempt["signal"],
        }
        yield _span(
            trace,
            span_id(run.body["run_id"], command["id"], number),
            span_id(run.body["run_id"], attempt["run_attempt"]),
            command["id"],
            INTERNAL,
            (attempt["started_at"], attempt["completed_at"] or attempt["started_at"]),
            attributes,
            attempt["outcome"],
        )


def _span(
    trace: str,
    own: str,
    parent: str | None,
    name: str,
    kind: int,
    times: tuple[str, str],
    attributes: Mapping[str, str | int | None],
    outcome: str | None,
) -> Span:
    known = {key: value for key, value in attributes.items() if value is not None}
    error = None if outcome in ("success", "skip") else outcome or "error"
    if error is not None:
        known["error.type"] = error
    start, end = (_nanoseconds(moment) for moment in times)
    return Span(trace, own, parent, name, kind, start, max(start, end), known, error)


def _nanoseconds(moment: str) -> int:
    # In whole numbers: a float has no room for them.
    return (parse_stamp(moment) - _EPOCH) // timedelta(microseconds=1) * 1000
