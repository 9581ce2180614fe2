"""How a run whose process died is shown: as the next writing command will close it, without writing."""

from __future__ import annotations

from orchestrator.base.clock import parse_stamp
from orchestrator.model.manifest.document import INTERRUPTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any


def later_of(one: str, other: str) -> str:
    """Return the later of two moments."""
    return max(one, other, key=parse_stamp)


def as_died(body: dict[str, Any]) -> dict[str, Any]:
    """Return the document of an open run whose lock is free: failed, outcome ``error``, ``interrupted``.

    It ended, as far as is known, at its last sign of life: the later of its last write and its last
    heartbeat. A stage that ran failed with it; one that had not started is skipped.
    """
    at = later_of(body["updated_at"], body["heartbeat_at"])
    silent = (parse_stamp(at) - parse_stamp(body["updated_at"])).total_seconds()
    if body["status"] == "queued":
        body, silent = with_wait_until(body, parse_stamp(at)), 0.0
    body.update(status="failed", outcome="error", status_detail=INTERRUPTED, completed_at=at)
    body["commands"] = [_command(command, at) for command in body["commands"]]
    if body["sla"] is not None:
        active = round(body["sla"]["active_seconds"] + silent, 3)
        body["sla"] = {**body["sla"], "active_seconds": active}
    body["guardrails"] = [_guardrail(entry, body["commands"]) for entry in body["guardrails"]]
    return body


def with_wait_until(body: dict[str, Any], moment: datetime) -> dict[str, Any]:
    """Return the document of a run that waits in the queue, with its wait counted up to ``moment``."""
    resumes = body["resume_events"]
    joined_at = parse_stamp(resumes[-1]["timestamp"] if resumes else body["started_at"])
    waited = max(0.0, (moment - joined_at).total_seconds())
    return {**body, "queued_seconds": round(body["queued_seconds"] + waited, 3)}


def without_end(body: dict[str, Any]) -> dict[str, Any]:
    """Return the document of an interrupted run of whose end nothing was written down: its end and time are unknown."""
    unknown = {"completed_at": None, "duration_seconds": None}
    commands = [{**entry, **unknown} if entry["outcome"] == "error" else entry for entry in body["commands"]]
    return {**body, "completed_at": None, "commands": commands}


def _command(command: dict[str, Any], at: str) -> dict[str, Any]:
    if command["status"] == "running":
        return _ended(command, at)
    if command["status"] == "pending":
        reason = "the run was interrupted before this stage"
        return {**command, "status": "skipped", "outcome": "skip", "summary": reason}
    return command


def _ended(command: dict[str, Any], at: str) -> dict[str, Any]:
    began = parse_stamp(command["started_at"] or at)
    how = {
        "completed_at": at,
        "outcome": "error",
        "duration_seconds": round(max(0.0, (parse_stamp(at) - began).total_seconds()), 3),
    }
    attempts = command["attempts"]
    if attempts and attempts[-1]["completed_at"] is None:
        attempts = [*attempts[:-1], {**attempts[-1], **how, "detail": INTERRUPTED}]
    return {**command, **how, "status": "failed", "summary": INTERRUPTED, "attempts": attempts}


def _guardrail(entry: dict[str, Any], commands: list[dict[str, Any]]) -> dict[str, Any]:
    command = next((command for command in commands if command["id"] == entry["id"]), None)
    if entry["outcome"] == "waived" or command is None:
        return entry
    if command["outcome"] == "error":
        return {**entry, "outcome": "missing", "reason": "the run was interrupted before it could judge"}
    if command["outcome"] == "skip":
        return {**entry, "outcome": "skipped", "reason": command["summary"] or "it was not started"}
    return entry
