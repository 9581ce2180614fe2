"""Records of version 1 as a status document: what the early version did not write is null or empty.

Its outcomes follow from its statuses, and its guardrails from its commands: what called spec-guard was
one. Source: the early version's files, ``tests/samples/version-1``.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.report import shapes
from orchestrator.report.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

RUN_OUTCOME: Final = {"succeeded": "success", "failed": "failure", "cancelled": "cancellation"}
STAGE_OUTCOME: Final = {"succeeded": "success", "failed": "failure", "skipped": "skip"}

_GUARDRAIL: Final = "spec-guard"
_BOUND_PIPELINE: Final = "diagnostics"
"""The pipeline that policy binds (contract, section 3); in version 1 no other was expected to have a guardrail."""


def body(fields: Fields) -> dict[str, Any]:
    """Return the parts of the status document of a version-1 record. Raises DamagedRecord."""
    run = fields.take(shapes.RUN)
    parent = fields.get("parent_run_id", shapes.COMMAND["summary"])
    commands = [_command(entry) for entry in fields.each("commands")]
    resumes = [{**entry.value, **entry.take(shapes.RESUME_EVENT)} for entry in fields.each("resume_events")]
    accepted = sum(event["outcome"] == "accepted" for event in resumes)
    return {
        **run,
        "version": 1,
        "project": None,
        "outcome": RUN_OUTCOME.get(run["status"]),
        "attempt": 1 + accepted,
        "commands": commands,
        "child_runs": [_child(entry, run["task_id"]) for entry in fields.each("child_runs")],
        "lineage": {
            "parentRunId": parent,
            "rootRunId": run["run_id"] if parent is None else None,
            "depth": 0 if parent is None else None,
        },
        "guardrails": _guardrails(run["pipeline_id"], commands),
        "approvals": [dict(entry.value) for entry in fields.each("approvals")],
        "sla": None,
        "provenance": [],
        "session": None,
        "mode": None,
        "resume_events": resumes,
        "plan": None,
        "plan_stages": {},
    }


def _command(entry: Fields) -> dict[str, Any]:
    command = entry.take(shapes.COMMAND)
    duration = None
    if command["started_at"] is not None and command["completed_at"] is not None:
        duration = round((entry.moment("completed_at") - entry.moment("started_at")).total_seconds(), 3)
    return {
        **command,
        "needs": [],
        "guardrail": _guards(command),
        "outcome": STAGE_OUTCOME.get(command["status"]),
        "signal": None,
        "duration_seconds": duration,
        "attempts": [],
    }


def _guards(command: dict[str, Any]) -> bool:
    return command["id"] == _GUARDRAIL or _GUARDRAIL in (command["command"] or "")


def _child(entry: Fields, task_id: str) -> dict[str, Any]:
    return {**entry.take(shapes.CHILD), "task_id": task_id, "project": None, "stage_id": None}


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
    from orchestrator.config.planning.cannot_fail import shell_reason

    return shell_reason(command)
