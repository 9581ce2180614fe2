"""A metrics line as a value: one end of a run. Lines of version 1 say less; ``store.legacy.metrics`` reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from orchestrator.base.clock import parse_stamp
from orchestrator.store.legacy import metrics as legacy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class End:
    """One terminal transition of a run.

    ``attempt``, ``event_id``, ``project``, ``sla_seconds`` and ``breached`` are None in version 1. Whether
    guardrails were ``required``, all ``executed`` and all ``passed`` is as the contract's section 4 has it.
    """

    run_id: str
    task_id: str
    project: str | None
    pipeline_id: str
    outcome: str
    attempt: int | None
    completed_at: datetime
    recorded_at: datetime
    duration_seconds: float
    required: bool
    executed: bool
    passed: bool
    sla_seconds: float | None
    breached: bool | None
    event_id: str | None
    source: bytes = field(default=b"", compare=False, repr=False)
    """The line as it was read."""


def end_of(line: bytes, task_id: str) -> End | None:
    """Return the end that a line of the metrics of task ``task_id`` tells, or None when it can't be read as one."""
    try:
        document = json.loads(line)
        if not isinstance(document, dict) or document.get("task_id") != task_id:
            return None
        end = _early(document) if legacy.is_early_line(document) else _current(document)
        return replace(end, source=line)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _current(line: Mapping[str, Any]) -> End:
    return End(
        **_shared(line),
        project=_text(line["project"]),
        outcome=_text(line["outcome"]),
        attempt=_attempt(line["attempt"]),
        required=_flag(line["guardrails_required"]),
        executed=_flag(line["guardrails_executed"]),
        passed=_flag(line["guardrails_present"]),
        sla_seconds=_seconds(line["sla_seconds"]),
        breached=_flag(line["sla_breached"]),
        event_id=_text(line["event_id"]),
    )


def _early(line: Mapping[str, Any]) -> End:
    """A guardrail that is not present may have failed or not have run: it counts as not executed."""
    present = _flag(line["guardrails_present"])
    return End(
        **_shared(line),
        project=None,
        outcome=legacy.outcome_of(line),
        attempt=None,
        required=legacy.is_bound(line),
        executed=present,
        passed=present,
        sla_seconds=None,
        breached=None,
        event_id=None,
    )


def _shared(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run_id": _text(line["run_id"]),
        "task_id": line["task_id"],
        "pipeline_id": _text(line["pipeline_id"]),
        "completed_at": parse_stamp(line["completed_at"]),
        "recorded_at": parse_stamp(line["recorded_at"]),
        "duration_seconds": _seconds(line["duration_seconds"]),
    }


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")  # noqa: TRY004 -- handled like any other bad value
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("no length of time")
    return float(value)


def _attempt(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("no number of an attempt")
    return value


def last_ends(ends: Iterable[End]) -> tuple[list[End], int]:
    """Return the last end of each run, and how many lines were repetitions of one event.

    ``ends`` come latest line first. The higher attempt wins; in version 1, where attempts have no number, the
    later line.
    """
    last: dict[tuple[str, str], End] = {}
    events: set[str] = set()
    repeated = 0
    for end in ends:
        if end.event_id is not None:
            if end.event_id in events:
                repeated += 1
                continue
            events.add(end.event_id)
        key = (end.task_id, end.run_id)
        known = last.get(key)
        if known is None or (end.attempt or 0) > (known.attempt or 0):
            last[key] = end
    return list(last.values()), repeated
