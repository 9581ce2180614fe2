"""The status document: live, dead, ended, of version 1, and what is missing before a review."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.clock import parse_stamp, stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.model.guardrails import verdicts
from orchestrator.model.manifest.account import CiJob
from orchestrator.model.manifest.manifest import ChildRun, GuardrailEntry, Lineage, Manifest
from orchestrator.model.manifest.transitions import closed, interrupted, stage_ended, stage_skipped, stage_started
from orchestrator.model.outcome import Ended, Outcome
from orchestrator.model.plan import Flag, Plan
from orchestrator.report import readiness
from orchestrator.report.status_document import KEYS, standing, status_document
from orchestrator.report.status_text import status_text
from tests.records import START, make_manifest, make_plan, make_run_id, make_stage

SAMPLES = Path(__file__).parents[2] / "samples" / "version-1" / "runs"
VERSION_1_KEYS = (
    *("run_id", "status", "status_detail", "started_at", "completed_at", "manifest", "artifact_root", "log_path"),
    *("heartbeat_at", "commands", "child_runs"),
)
CONTRACT_KEYS = (
    *("task_id", "project", "pipeline_id", "outcome", "attempt", "alive", "lineage", "guardrails", "approvals"),
    *("sla", "provenance", "session", "mode", "ready"),
)


def after(seconds: float) -> str:
    """Return the moment so many seconds after the start."""
    return stamp(START + timedelta(seconds=seconds))


def begun(stage: str, manifest: Manifest, at: float = 1.0) -> Manifest:
    """Return the record after a stage began."""
    started = stage_started(manifest, stage, after(at), f"{manifest.artifact_root}/commands/{stage}.log")
    return started._replace(updated_at=after(at))


def ran(stage: str, manifest: Manifest, ended: Ended | None = None, at: float = 1.0) -> Manifest:
    """Return the record after a stage ran for a second."""
    how = ended or Ended("success", 0, wall_seconds=1.0)
    return stage_ended(
        begun(stage, manifest, at), stage, after(at + 1), how, summary=how.detail, left_out=0, forgiven=False
    )


def over(
    manifest: Manifest, plan: Plan | None = None, outcome: Outcome = "success", detail: str | None = None
) -> Manifest:
    """Return the record of the ended run, its guardrails judged."""
    outcomes = {command.id: command.outcome for command in manifest.commands}
    found = verdicts(plan or make_plan(), outcomes, today=date(2026, 11, 22))
    entries = tuple(GuardrailEntry(item.id, item.required, item.outcome, item.reason) for item in found)
    return closed(manifest._replace(guardrails=entries), after(9), outcome, detail, None)


def succeeded(plan: Plan | None = None) -> Manifest:
    """Return the record of a run in which every stage succeeded, on a known tree."""
    chosen = plan or make_plan()
    manifest = make_manifest(plan=chosen)
    for stage in chosen.stages:
        manifest = ran(stage.id, manifest)
    return over(with_trees(manifest, "a" * 64), chosen)


def failed_run() -> Manifest:
    """Return the record of a run whose guardrail failed."""
    ended = Ended("failure", 4, wall_seconds=2.0, detail="it said no")
    return over(ran("spec-guard", ran("build", make_manifest()), ended), outcome="failure")


def with_trees(manifest: Manifest, *digests: str | None) -> Manifest:
    """Return the record with the tree of each attempt."""
    entries = tuple(
        {"attempt": attempt, "commit": "c" * 40, "branch": "main", "dirty": False, "tree_digest": digest, "note": None}
        for attempt, digest in enumerate(digests, start=1)
    )
    return manifest._replace(provenance=entries)


def shown(
    record: Manifest | Mapping[str, Any], *, alive: bool = False, at: float = 10.0, **more: Any
) -> dict[str, Any]:
    """Return the status document of a record."""
    document = json.loads(json.dumps(record.as_json())) if isinstance(record, Manifest) else record
    return status_document(document, alive=alive, now=START + timedelta(seconds=at), manifest="m.json", **more)


def codes(document: Mapping[str, Any]) -> list[str]:
    """Return the codes of what is missing."""
    return [reason["code"] for reason in document["ready"]["reasons"]]


def version_1(run: str) -> dict[str, Any]:
    """Return a record that the early version wrote."""
    found = next(SAMPLES.glob(f"0101-billing/cli/*{run}"))
    document: dict[str, Any] = json.loads((found / "manifest.json").read_text())
    return document


def test_keys_are_version_1s_first_then_the_contracts() -> None:
    """The document has version 1's keys, then those that the contract adds, then the others, in that order."""
    keys = tuple(shown(succeeded()))
    assert keys[: len(KEYS)] == KEYS
    assert set(keys[len(KEYS) :]) <= set(Manifest._fields)
    assert KEYS[: len(VERSION_1_KEYS) + len(CONTRACT_KEYS)] == VERSION_1_KEYS + CONTRACT_KEYS


def test_every_key_and_code_is_described() -> None:
    """docs/status.md describes each key of the document, of its stages and of its SLA, and each reason's code."""
    text = (Path(__file__).parents[3] / "docs" / "status.md").read_text(encoding="utf-8")
    live = shown(make_manifest()._replace(child_runs=(child(2, "failed"),)), alive=True)
    described = {word for span in re.findall(r"`([^`]+)`", text) for word in re.split(r"[,\s]+", span)}
    nested = {key for part in ("sla", "lineage", "ready", "session", "mode", "plan") for key in live[part]}
    listed = {key for part in ("commands", "child_runs", "guardrails") for key in live[part][0]}
    source = Path(readiness.__file__).read_text(encoding="utf-8")
    assert {*live, *nested, *listed} - described == set()
    assert set(re.findall(r'yield "([a-z]+-[a-z-]+)"', source)) - described == set()


def test_every_version_1_key_of_a_stage_is_shown() -> None:
    """A stage keeps every key that version 1 wrote."""
    old = version_1("513d1ee0")["commands"][0]
    assert set(old) <= set(shown(succeeded())["commands"][0])


def test_a_run_that_succeeded_is_ready() -> None:
    """A run whose stages and required guardrails passed on one tree is ready, with nothing missing."""
    document = shown(succeeded())
    assert document["ready"] == {"ready": True, "reasons": []}
    assert (document["status"], document["outcome"], document["alive"]) == ("succeeded", "success", False)
    assert document["next_command"] is None


def test_a_live_run_is_in_progress_and_its_guardrail_has_no_verdict_yet() -> None:
    """A live run lacks only its end: a guardrail whose stage has not run is neither missing nor failed."""
    document = shown(begun("build", make_manifest()), alive=True)
    assert (document["status"], document["outcome"], document["alive"]) == ("in_progress", None, True)
    assert codes(document) == ["run-in-progress"]
    assert [entry["outcome"] for entry in document["guardrails"]] == [None]
    assert document["next_command"] == f"codex-orchestrator status {document['run_id']} --watch"


def test_times_of_a_live_run_are_computed_up_to_now() -> None:
    """Active time goes on from the last write, what is left of the SLA is told, and so is the slowest stage."""
    manifest = begun("build", make_manifest())
    manifest = manifest._replace(sla=manifest.sla._replace(active_seconds=5.0))
    document = shown(manifest, alive=True, at=101.0)
    assert document["sla"]["active_seconds"] == 105.0
    assert document["sla"]["remaining_seconds"] == 1695.0
    assert document["sla"]["breached"] is False
    assert document["sla"]["slowest_stage"] == "build"
    assert document["commands"][0]["duration_seconds"] == 100.0


def test_a_breach_is_shown_before_it_is_written() -> None:
    """A live run that is longer than it may be is shown as such, though its record does not say so yet."""
    document = shown(make_manifest(), alive=True, at=2000.0)
    assert document["sla"]["breached"] is True
    assert document["sla"]["breached_at"] == document["sla"]["deadline_at"]
    assert document["sla"]["remaining_seconds"] < 0


def test_a_run_whose_lock_is_free_has_died() -> None:
    """An open record with a free lock is failed, error, interrupted, and says what to type."""
    document = shown(begun("build", make_manifest()))
    assert (document["status"], document["outcome"], document["status_detail"]) == ("failed", "error", "interrupted")
    assert document["alive"] is False
    assert "run-interrupted" in codes(document)
    assert document["next_command"] == f"codex-orchestrator resume {document['run_id']}"


def test_a_dead_run_is_shown_as_recovery_will_close_it() -> None:
    """What is shown of a dead run's stages and its end is what the next writing command writes."""
    manifest = begun("build", make_manifest(), 3.0)
    before = shown(manifest, heartbeat=after(7))
    written = shown(interrupted(manifest, after(7)))
    for key in ("status", "outcome", "status_detail", "completed_at"):
        assert before[key] == written[key], key
    for mine, theirs in zip(before["commands"], written["commands"], strict=True):
        for key in ("id", "status", "outcome", "summary", "completed_at", "exit_code"):
            assert mine[key] == theirs[key], key


def test_a_dead_runs_guardrail_reached_no_verdict() -> None:
    """A guardrail that was running when its run died is missing, one that was waiting is skipped."""
    manifest = ran("build", make_manifest())
    assert shown(begun("spec-guard", manifest))["guardrails"][0]["outcome"] == "missing"
    assert shown(manifest)["guardrails"][0]["outcome"] == "skipped"


def test_a_dead_run_keeps_the_verdicts_that_it_has() -> None:
    """A guardrail that passed, or was waived, before its run died is shown as that."""
    passed = GuardrailEntry("spec-guard", True, "passed", "the stage succeeded")
    manifest = ran("spec-guard", make_manifest())._replace(guardrails=(passed,))
    assert shown(manifest)["guardrails"][0]["outcome"] == "passed"
    waived = passed._replace(outcome="waived")
    assert shown(make_manifest()._replace(guardrails=(waived,)))["guardrails"][0]["outcome"] == "waived"


def test_a_held_lock_does_not_make_an_ended_run_alive() -> None:
    """A run that has ended is not alive, though its process still publishes."""
    assert shown(succeeded(), alive=True)["alive"] is False


def test_the_later_heartbeat_counts() -> None:
    """The heartbeat is the later of the record's and the file's; a torn file is as good as none."""
    manifest = make_manifest()
    assert shown(manifest, alive=True, heartbeat=after(60))["heartbeat_at"] == after(60)
    assert shown(manifest, alive=True, heartbeat=after(-60))["heartbeat_at"] == after(0)
    assert shown(manifest, alive=True, heartbeat="2026-11")["heartbeat_at"] == after(0)


def test_a_failed_guardrail_is_named() -> None:
    """A required guardrail that failed is a reason of its own, beside the run's failure."""
    manifest = ran("spec-guard", ran("build", make_manifest()), Ended("failure", 1))
    assert codes(shown(over(manifest, outcome="failure"))) == ["run-not-succeeded", "guardrail-failed"]


@pytest.mark.parametrize("outcome", ["missing", "skipped", "advisory", "failed"])
def test_a_required_guardrail_that_did_not_pass_is_missing(outcome: Any) -> None:
    """Every verdict but passed and waived keeps a succeeded run from being ready, and gives the reason."""
    entry = GuardrailEntry("spec-guard", True, outcome, "for that reason")
    document = shown(succeeded()._replace(guardrails=(entry,)))
    assert codes(document) == [f"guardrail-{outcome}"]
    assert "for that reason" in document["ready"]["reasons"][0]["message"]


@pytest.mark.parametrize(("required", "outcome"), [(True, "waived"), (True, "passed"), (False, "failed")])
def test_a_waived_or_voluntary_guardrail_holds_nothing_up(required: bool, outcome: Any) -> None:
    """A waived guardrail, and one that policy does not require, keep nothing from being ready."""
    entry = GuardrailEntry("spec-guard", required, outcome, "")
    assert shown(succeeded()._replace(guardrails=(entry,)))["ready"]["ready"] is True


def test_a_guardrail_that_cannot_fail_is_flagged() -> None:
    """A flag of the plan about a guardrail is a reason, told once."""
    flag = Flag("extra", "guardrail-cannot-fail", "guardrail 'extra' can't fail: its result is that of 'true'")
    document = shown(succeeded(make_plan()._replace(flags=(flag,))))
    assert codes(document) == ["guardrail-cannot-fail"]
    assert document["plan"]["flags"][0]["message"] == flag.message


def test_a_flagged_required_guardrail_is_reported_once() -> None:
    """A required guardrail that can't fail is advisory, which says it all."""
    flag = Flag("spec-guard", "guardrail-cannot-fail", "guardrail 'spec-guard' can't fail")
    assert codes(shown(succeeded(make_plan()._replace(flags=(flag,))))) == ["guardrail-advisory"]


def resumed(*digests: str | None) -> Manifest:
    """Return a run whose build passed in attempt 1 and whose guardrail in attempt 2."""
    first = ran("build", make_manifest())._replace(attempt=2)
    return over(with_trees(ran("spec-guard", first), *digests))


def test_stages_that_passed_on_another_tree_are_named() -> None:
    """A stage that passed on another tree than the last attempt's is named, and the run is not ready."""
    document = shown(resumed("a" * 64, "b" * 64))
    assert codes(document) == ["mixed-trees"]
    assert "build (attempt 1)" in document["ready"]["reasons"][0]["message"]
    assert "spec-guard" not in document["ready"]["reasons"][0]["message"]


def test_the_same_tree_in_every_attempt_is_not_mixed() -> None:
    """Stages of an earlier attempt count when its tree was the same."""
    assert shown(resumed("a" * 64, "a" * 64))["ready"]["ready"] is True


def test_a_tree_that_is_not_known_is_another_one() -> None:
    """What can't be compared is not taken for the same."""
    assert codes(shown(resumed(None, None))) == ["mixed-trees"]
    assert codes(shown(resumed("a" * 64))) == ["mixed-trees"]


def child(number: int, status: Any, stage: str = "build") -> ChildRun:
    """Return a child run in a state."""
    return ChildRun(make_run_id(number), "smoke", status, "m.json", "1002-other", "other", stage)


def test_a_child_that_failed_holds_its_parent_up() -> None:
    """A run with a child that did not succeed is not ready."""
    manifest = succeeded()._replace(child_runs=(child(2, "failed"),))
    assert codes(shown(manifest)) == ["child-not-succeeded"]


def test_a_later_child_of_the_same_work_replaces_the_failed_one() -> None:
    """Only the last of the runs that did the same work for the same stage counts."""
    manifest = succeeded()._replace(child_runs=(child(2, "failed"), child(3, "succeeded")))
    assert shown(manifest)["ready"]["ready"] is True


def test_a_child_of_a_stage_that_may_fail_may_fail() -> None:
    """A sub-pipeline with allow_failure holds its parent up no more than a command with it."""
    plan = make_plan(make_stage("extra")._replace(allow_failure=True))
    manifest = succeeded(plan)._replace(child_runs=(child(2, "failed", "extra"),))
    assert shown(manifest)["ready"]["ready"] is True


def test_children_are_shown_as_they_are_now() -> None:
    """A child's state is looked up by its task and id; where it can't be, the recorded one is shown."""
    manifest = succeeded()._replace(child_runs=(child(2, "in_progress"), child(3, "succeeded")))
    fresh = {"status": "failed", "outcome": "error", "alive": False, "tree_digest": None}
    found = shown(manifest, child=lambda task, run: fresh if (task, run) == ("1002-other", make_run_id(2)) else None)
    assert [(entry["status"], entry["outcome"], entry["alive"]) for entry in found["child_runs"]] == [
        ("failed", "error", False),
        ("succeeded", None, None),
    ]


def test_lineage_session_mode_and_provenance_are_shown() -> None:
    """What the record says of the run's parent, session, mode and trees is in the document."""
    parent = Lineage(make_run_id(7), make_run_id(6), 2, "1000-a", "a", "diag")
    manifest = succeeded()._replace(parent_run_id=make_run_id(7), lineage=parent)
    document = shown(manifest)
    assert document["lineage"]["parentRunId"] == make_run_id(7)
    assert document["lineage"]["depth"] == 2
    assert document["session"]["name"] == "diagnostics-hello"
    assert document["mode"]["actor"] == "tester"
    assert document["provenance"][0]["branch"] == "main"


def test_standing_says_how_a_run_is() -> None:
    """The short form for children: live, dead, ended, and of version 1."""
    live = make_manifest().as_json()
    known: dict[str, Any] = {"attended": None, "tree_digest": None}
    assert standing(live, alive=True) == {"status": "in_progress", "outcome": None, "alive": True, **known}
    assert standing(live, alive=False) == {"status": "failed", "outcome": "error", "alive": False, **known}
    assert standing(succeeded().as_json(), alive=False)["outcome"] == "success"
    assert standing(version_1("513d1ee0"), alive=False)["outcome"] == "success"


def test_version_1_killed_run_has_died() -> None:
    """The early version's killed run, in progress for ever, is shown as died, whatever its heartbeat says."""
    record = version_1("478d5061")
    just_now = START + timedelta(seconds=1)
    record["heartbeat_at"] = stamp(just_now)
    document = shown(record, at=1.0)
    assert (document["status"], document["outcome"], document["status_detail"]) == ("failed", "error", "interrupted")
    assert [command["status"] for command in document["commands"]] == ["succeeded", "failed"]
    assert codes(document) == ["run-interrupted", "version-1"]
    assert document["next_command"] is None


def test_version_1_has_nulls_for_what_it_did_not_write() -> None:
    """Keys that version 1 doesn't have are null or empty, its outcome follows from its status."""
    document = shown(version_1("f3d12e41"))
    assert document["outcome"] == "success"
    assert document["attempt"] == 2
    assert [document[key] for key in ("project", "sla", "session", "mode", "plan")] == [None] * 5
    assert document["provenance"] == []
    assert [command["outcome"] for command in document["commands"]] == ["success"] * 4


def test_version_1_dry_run_guardrail_is_advisory() -> None:
    """A guardrail that ran with --dry-run could not have failed, so that it guarded nothing."""
    document = shown(version_1("513d1ee0"))
    assert [(entry["id"], entry["outcome"]) for entry in document["guardrails"]] == [("spec-guard", "advisory")]
    assert codes(document) == ["guardrail-advisory", "version-1"]


@pytest.mark.parametrize(
    ("command", "status", "outcome"),
    [
        ("bash scripts/spec-guard.sh", "succeeded", "passed"),
        ("echo spec-guard", "succeeded", "advisory"),
        ("bash scripts/spec-guard.sh || true", "succeeded", "advisory"),
        ("bash scripts/spec-guard.sh", "failed", "failed"),
        ("bash scripts/spec-guard.sh", "skipped", "skipped"),
        ("bash scripts/spec-guard.sh", "pending", "missing"),
    ],
)
def test_version_1_guardrails_follow_from_commands(command: str, status: str, outcome: str) -> None:
    """A version-1 guardrail is known by its id, and judged by how its command ended and whether it could fail."""
    record = version_1("513d1ee0")
    record["commands"][3].update(command=command, status=status)
    assert shown(record)["guardrails"][0]["outcome"] == outcome


def test_version_1_diagnostics_without_a_guardrail_miss_it() -> None:
    """Diagnostics of version 1 without spec-guard miss it; another pipeline needs none."""
    record = version_1("513d1ee0")
    del record["commands"][3]
    assert shown(record)["guardrails"][0]["outcome"] == "missing"
    assert shown({**record, "pipeline_id": "nightly"})["guardrails"] == []


def test_version_1_child_knows_its_parent() -> None:
    """Lineage of version 1 is its parent's id; how deep it is, and below which root, it did not say."""
    document = shown(version_1("d0349b9f"))
    assert document["lineage"]["parentRunId"] == "2026-11-22T10-05-47-996Z-71b0ec47"
    assert document["lineage"]["rootRunId"] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "finished"),
        ("status", None),
        ("started_at", "yesterday"),
        ("started_at", "0001-01-01T00:00:00+23:59"),
        ("commands", {}),
        ("commands", [3]),
        ("attempt", True),
        ("attempt", "1"),
        ("lineage", None),
        ("sla", []),
        ("project", 4),
        ("outcome", "great"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(key: str, value: object) -> None:
    """A field of the wrong type is refused as damage, and named."""
    with pytest.raises(DamagedRecord, match=key):
        shown({**succeeded().as_json(), key: value})


@pytest.mark.parametrize("key", ["run_id", "commands", "sla", "plan", "guardrails", "status_detail", "mode"])
def test_a_field_that_is_missing_is_named(key: str) -> None:
    """A record without one of its fields is refused as damage, and the field is named."""
    record = succeeded().as_json()
    del record[key]
    with pytest.raises(DamagedRecord, match=key):
        shown(record)


def test_a_field_deep_inside_is_named_with_its_place() -> None:
    """Damage inside a list is named with its position and key."""
    record = json.loads(json.dumps(succeeded().as_json()))
    record["commands"][1]["attempts"][0]["cpu_seconds"] = 1e300
    with pytest.raises(DamagedRecord, match=r"commands\.1\.attempts\.0\.cpu_seconds"):
        shown(record)


def test_skipped_stages_of_a_live_run_stay_skipped() -> None:
    """A stage that will not run any more is not waiting."""
    manifest = stage_skipped(make_manifest(), "spec-guard", "nothing to guard")
    document = shown(manifest, alive=True)
    assert document["commands"][1]["status"] == "skipped"
    assert parse_stamp(document["started_at"]).tzinfo is not None


@pytest.mark.parametrize(
    ("dirty", "note", "said"),
    [
        (None, None, "not under git"),
        (True, None, "none yet, on main"),
        (None, "git could not read this folder: dubious ownership", "unknown: git could not read this folder: dubious"),
    ],
)
def test_why_no_commit_is_known(dirty: bool | None, note: str | None, said: str) -> None:
    """A folder that git refuses, one without a commit and one outside of git are told apart."""
    record = with_trees(make_manifest(), "a" * 64)
    entry = {**record.provenance[0], "commit": None, "dirty": dirty, "note": note}
    document = shown(record._replace(provenance=(entry,)))
    assert f"Commit     {said}" in status_text(document, width=200, color=False)


def test_a_detached_head_is_named_by_its_ci_job() -> None:
    """Where git has no branch the reference is CI's, and the text says whose word it is."""
    record = with_trees(make_manifest(), "a" * 64)
    entry = {**record.provenance[0], "commit": "b" * 40, "branch": None, "dirty": False}
    job = CiJob(1, "github-actions", None, None, None, "refs/heads/topic", None)
    document = shown(record._replace(provenance=(entry,), ci=(job,)))
    assert f"Commit     {'b' * 12}, on topic (by CI), clean" in status_text(document, width=200, color=False)
