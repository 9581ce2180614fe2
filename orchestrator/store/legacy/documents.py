"""Records of version 1 as a status document: what the early version did not write is null or empty.

Its outcomes follow from its statuses, and its guardrails from its commands: what called spec-guard was
one. Source: the early version's files, ``tests/samples/version-1``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.base.clock import parse_stamp
from orchestrator.base.json_values import plain
from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record
from orchestrator.model.outcome import RunStatus, StageStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

RUN_OUTCOME: Final = {"succeeded": "success", "failed": "failure", "cancelled": "cancellation"}
STAGE_OUTCOME: Final = {"succeeded": "success", "failed": "failure", "skipped": "skip"}

_GUARDRAIL: Final = "spec-guard"
_BOUND_PIPELINE: Final = "diagnostics"
"""The pipeline that policy binds (contract, section 3); in version 1 no other was expected to have a guardrail."""


class Command1(Record):
    """A stage of version 1."""

    index: Count  # type: ignore[assignment]  # version 1's name hides tuple.index
    id: str
    title: str
    command: str | None
    kind: str
    status: StageStatus
    started_at: Moment | None
    completed_at: Moment | None
    exit_code: int | None
    summary: str | None
    log_path: str | None
    error_file: str | None
    sub_run_id: str | None


class _Child(Record):
    run_id: str
    pipeline_id: str
    status: RunStatus
    manifest: str


class _ResumeEvent(Record):
    actor: str
    reason: str
    outcome: str
    timestamp: Moment


class Manifest1(Record):
    """What is shown of a record of version 1. The program that wrote it never checked it: it is read leniently."""

    run_id: str
    status: RunStatus
    status_detail: str | None
    started_at: Moment
    completed_at: Moment | None
    artifact_root: str
    log_path: str
    heartbeat_at: Moment
    task_id: str
    pipeline_id: str
    pipeline_title: str
    summary: str | None
    approval_policy: str | None
    updated_at: Moment
    parent_run_id: str | None
    commands: tuple[Command1, ...]
    child_runs: tuple[_Child, ...]
    resume_events: tuple[_ResumeEvent, ...]
    approvals: tuple[Mapping[str, Any], ...]


def body(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of the status document of a version-1 record. Raises DamagedRecord."""
    read = Manifest1.from_json(record, lenient=True)
    run: dict[str, Any] = plain(read)
    parent = run.pop("parent_run_id")
    commands = [_command(entry) for entry in read.commands]
    accepted = sum(event.outcome == "accepted" for event in read.resume_events)
    return {
        **run,
        "version": 1,
        "project": None,
        "outcome": RUN_OUTCOME.get(read.status),
        "attempt": 1 + accepted,
        "commands": commands,
        "child_runs": [
            {**entry, "task_id": read.task_id, "project": None, "stage_id": None} for entry in run["child_runs"]
        ],
        "lineage": {
            "parentRunId": parent,
            "rootRunId": read.run_id if parent is None else None,
            "depth": 0 if parent is None else None,
        },
        "guardrails": _guardrails(read.pipeline_id, commands),
        "sla": None,
        "provenance": [],
        "session": None,
        "mode": None,
        "resume_events": [dict(event) for event in record.get("resume_events") or ()],
        "plan": None,
        "plan_stages": {},
    }


def _command(command: Command1) -> dict[str, Any]:
    duration = None
    if command.started_at is not None and command.completed_at is not None:
        taken = parse_stamp(command.completed_at) - parse_stamp(command.started_at)
        duration = round(taken.total_seconds(), 3)
    shown: dict[str, Any] = plain(command)
    return {
        **shown,
        "needs": [],
        "guardrail": _guards(shown),
        "outcome": STAGE_OUTCOME.get(command.status),
        "signal": None,
        "duration_seconds": duration,
        "attempts": [],
    }


def _guards(command: dict[str, Any]) -> bool:
    return command["id"] == _GUARDRAIL or _GUARDRAIL in (command["command"] or "")


def _guardrails(pipeline_id: str, commands: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    required = pipeline_id == _BOUND_PIPELINE
    found = [_verdict(command, required) for command in commands if command["guardrail"]]
    if required and not found:
        reason = "the pipeline had no such stage"
        return [{"id": _GUARDRAIL, "required": True, "outcome": "missing", "reason": reason}]
    return found


def _verdict(command: dict[str, Any], required: bool) -> dict[str, Any]:
    entry = {"id": command["id"], "required": required}
    cannot_fail = _reason_that_it_cannot_fail(command["command"] or "")
    if command["status"] == "succeeded":
        if cannot_fail is not None:
            return {**entry, "outcome": "advisory", "reason": f"it can't fail: {cannot_fail}"}
        return {**entry, "outcome": "passed", "reason": "its stage succeeded"}
    if command["status"] == "failed":
        return {**entry, "outcome": "failed", "reason": "its stage failed"}
    if command["status"] == "skipped":
        return {**entry, "outcome": "skipped", "reason": command["summary"] or "its stage was skipped"}
    return {**entry, "outcome": "missing", "reason": "its stage did not run to its end"}


def _reason_that_it_cannot_fail(command: str) -> str | None:
    from orchestrator.model.commands_that_cannot_fail import shell_reason

    return shell_reason(command)
