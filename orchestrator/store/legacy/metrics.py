"""A metrics line of version 1: what it says, and whether a record of that version says the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from orchestrator.base.clock import parse_stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BOUND_PIPELINE = "diagnostics"
"""The only pipeline that was expected to have a guardrail in version 1, as ``status`` takes it."""

_GUARDRAIL = "spec-guard"
_OUTCOME = {"succeeded": "success", "failed": "failure", "cancelled": "cancellation"}


def is_early_line(line: Mapping[str, Any]) -> bool:
    """Tell whether a metrics line is of version 1: its lines name no event."""
    return "event_id" not in line


def outcome_of(line: Mapping[str, Any]) -> str:
    """Return the outcome of a line of version 1. Raises KeyError for a status that it did not know."""
    return _OUTCOME[line["status"]]


def is_bound(line: Mapping[str, Any]) -> bool:
    """Tell whether a line of version 1 is of a pipeline that was expected to have a guardrail."""
    return bool(line["pipeline_id"] == _BOUND_PIPELINE)


def record_proves(
    record: Mapping[str, Any], *, pipeline_id: str, outcome: str, completed_at: datetime, executed: bool
) -> bool:
    """Tell whether a record of version 1 says what a line says: how the run ended, when, and its guardrail."""
    commands = record.get("commands")
    passed = any(
        isinstance(command, dict)
        and command.get("status") == "succeeded"
        and _GUARDRAIL in f"{command.get('id')} {command.get('command')}"
        for command in (commands if isinstance(commands, list) else ())
    )
    try:
        completed = parse_stamp(str(record.get("completed_at")))
    except ValueError:
        return False
    said = (record.get("pipeline_id"), _OUTCOME.get(str(record.get("status"))), completed)
    return said == (pipeline_id, outcome, completed_at) and (passed or not executed)
