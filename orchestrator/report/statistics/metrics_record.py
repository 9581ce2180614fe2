"""A metrics line as a value: one end of a run. Lines of version 1 say less; ``store.legacy.metrics`` reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter

from orchestrator.base import json_codec
from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.kinds import LARGEST, Count, Moment
from orchestrator.base.record import Record
from orchestrator.store.legacy import metrics as legacy
from orchestrator.store.metrics_line import TRIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias, TypeVar

    Number = TypeVar("Number", int, float)


Digest: TypeAlias = "Callable[[Mapping[str, Any]], str]"
"""From a metrics line to its digest, as ``chain.metrics_digest``."""


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


def end_of(line: bytes, task_id: str, digest: Digest | None = None) -> End | None:
    """Return the end that a line of the metrics of task ``task_id`` tells, or None when it can't be read as one.

    ``digest`` makes the line's digest, for who proves it.
    """
    try:
        document = json_codec.loads(line)
        if not isinstance(document, dict) or document.get("task_id") != task_id:
            return None
        if legacy.is_early_line(document):
            return _early(document)
        return _current(document, None if digest is None else digest(document))
    except (ValueError, KeyError, OverflowError, RecursionError, DamagedRecord):
        return None


def _current(document: Mapping[str, Any], digest: str | None) -> End:
    values, kind = _values(document), document.get("kind")
    if tuple(map(type, values)) not in _USUAL or not all(map(_fits, values)) or type(kind) not in (str, type(None)):
        return _checked(document, digest)  # says what is wrong, or that nothing is
    run_id, task_id, project, pipeline_id, outcome, event_id, completed, recorded, *rest = values
    passed, required, executed, breached, attempt, seconds, sla = rest
    return End(
        run_id,
        task_id,
        project,
        pipeline_id,
        outcome,
        _positive(attempt),
        parse_stamp(completed),
        parse_stamp(recorded),
        float(seconds),
        required,
        executed,
        passed,
        sla,
        breached,
        event_id,
        kind,
        document.get("began_at", completed) is not None,
        digest,
        document.get(TRIED),
    )


_values = itemgetter(
    *("run_id", "task_id", "project", "pipeline_id", "outcome", "event_id", "completed_at", "recorded_at"),
    *("guardrails_present", "guardrails_required", "guardrails_executed", "sla_breached"),
    *("attempt", "duration_seconds", "sla_seconds"),
)
_USUAL = frozenset((*(str,) * 8, *(bool,) * 4, int, seconds, sla) for seconds in (int, float) for sla in (int, float))
"""The types of ``_values`` of a line that is as it should be: a hundred thousand are recognized by them."""


def _fits(value: Any) -> bool:
    """Tell whether a value of a usual type can stand where it does: no empty text, no number out of range."""
    return value != "" if type(value) is str else 0 <= value < LARGEST


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
