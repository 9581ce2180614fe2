"""A metrics line as a value: one end of a run. Lines of version 1 say less; ``store.legacy.metrics`` reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.base import json_codec
from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record
from orchestrator.report.statistics.usual_line import UsualLine, usual_line
from orchestrator.store.chain import metrics_digest
from orchestrator.store.legacy import metrics as legacy
from orchestrator.store.metrics_line import TRIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash
    from typing import Any, TypeAlias, TypeVar

    Number = TypeVar("Number", int, float)


Hashed: TypeAlias = "Callable[[bytes], _Hash]"


@dataclass(slots=True, unsafe_hash=True)  # frozen, to make one of so many fields takes three times as long
class End:
    """One terminal transition of a run; a value, which nobody changes.

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
    kind: str | None = None
    """``fleet`` of a run of many projects, which counts as none of them."""
    began: bool = True
    """Whether it ever left the queue; a run that did not counts in nothing (contract, section 9)."""
    digest: str | None = field(default=None, compare=False, repr=False)
    """The line's digest as the chain has it; None where nobody asked for it."""
    tried: object = field(default=None, compare=False, repr=False)
    """What the line says of the tries of the attempt's stages; those of earlier versions say nothing."""


class _EarlyLine(Record):
    """What a metrics line of version 1 says; it has no ``event_id``."""

    run_id: str
    task_id: str
    pipeline_id: str
    completed_at: Moment
    recorded_at: Moment
    duration_seconds: float
    guardrails_present: bool


class _Line(Record):
    """What is read of a metrics line (contract, section 4)."""

    run_id: str
    task_id: str
    pipeline_id: str
    completed_at: Moment
    recorded_at: Moment
    duration_seconds: float
    guardrails_present: bool
    guardrails_required: bool
    guardrails_executed: bool
    project: str
    outcome: str
    attempt: Count
    sla_seconds: float
    sla_breached: bool
    event_id: str
    kind: str | None = None


def end_of(line: bytes, task_id: str, hashed: Hashed | None = None) -> End | None:
    """Return the end that a line of the metrics of task ``task_id`` tells, or None when it can't be read as one.

    ``hashed`` is the SHA-256 for the line's digest, for who proves it.
    """
    try:
        usual = usual_line(line)
        if usual is not None:
            if usual.values[1] != b'"%b"' % task_id.encode():
                return None
            return _usual(usual, None if hashed is None else hashed(usual.canonical()).hexdigest())
        document = json_codec.loads(line)
        if not isinstance(document, dict) or document.get("task_id") != task_id:
            return None
        if legacy.is_early_line(document):
            return _early(document)
        return _checked(document, None if hashed is None else metrics_digest(document))
    except (ValueError, KeyError, OverflowError, RecursionError, DamagedRecord):
        return None


def _usual(line: UsualLine, digest: str | None) -> End:
    values = line.values
    run_id, task_id, project, pipeline_id, _, outcome, attempt, _, completed, seconds, _, _, *rest = values
    passed, required, executed, sla, breached, _, _, recorded, _, event_id, began, _ = rest
    return End(
        run_id[1:-1].decode(),
        task_id[1:-1].decode(),
        project[1:-1].decode(),
        pipeline_id[1:-1].decode(),
        outcome[1:-1].decode(),
        int(attempt),
        parse_stamp(completed[1:-1].decode()),
        parse_stamp(recorded[1:-1].decode()),
        float(seconds),
        required == b"true",
        executed == b"true",
        passed == b"true",
        float(sla) if b"." in sla else int(sla),
        breached == b"true",
        event_id[1:-1].decode(),
        None,
        began != b"null",
        digest,
        line.tried,
    )


def _checked(document: Mapping[str, Any], digest: str | None) -> End:
    line = _Line.from_json(document)
    return End(
        **_shared(line),
        project=_named(line.project),
        outcome=_named(line.outcome),
        attempt=_positive(line.attempt),
        required=line.guardrails_required,
        executed=line.guardrails_executed,
        passed=line.guardrails_present,
        sla_seconds=_positive(line.sla_seconds, or_zero=True),
        breached=line.sla_breached,
        event_id=_named(line.event_id),
        kind=line.kind,
        began=document.get("began_at", line.completed_at) is not None,
        digest=digest,
        tried=document.get(TRIED),
    )


def _early(document: Mapping[str, Any]) -> End:
    """A guardrail that is not present may have failed or not have run: it counts as not executed."""
    line = _EarlyLine.from_json(document)
    return End(
        **_shared(line),
        project=None,
        outcome=legacy.outcome_of(document),
        attempt=None,
        required=legacy.is_bound(document),
        executed=line.guardrails_present,
        passed=line.guardrails_present,
        sla_seconds=None,
        breached=None,
        event_id=None,
    )


def _shared(line: _Line | _EarlyLine) -> dict[str, Any]:
    return {
        "run_id": _named(line.run_id),
        "task_id": line.task_id,
        "pipeline_id": _named(line.pipeline_id),
        "completed_at": parse_stamp(line.completed_at),
        "recorded_at": parse_stamp(line.recorded_at),
        "duration_seconds": float(_positive(line.duration_seconds, or_zero=True)),
    }


def _named(text: str) -> str:
    if not text:
        raise ValueError("no text")
    return text


def _positive(number: Number, *, or_zero: bool = False) -> Number:
    if number < 0 or (number == 0 and not or_zero):
        raise ValueError("below what it may be")
    return number


def last_ends(ends: Iterable[End]) -> tuple[list[End], int]:
    """Return the last end of each run that ever began, and how many lines were repetitions of one event.

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
    return [end for end in last.values() if end.began], repeated
