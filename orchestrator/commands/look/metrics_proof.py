"""Whether the lines of metrics that a gate counts are proved: by the task's chain, or by a record of version 1."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.record import Record
from orchestrator.report.run_list.backwards import lines_backwards
from orchestrator.report.run_list.metrics_lines import CLOCK_SLACK, OLD_LINES
from orchestrator.report.statistics.gate import Finding, finding
from orchestrator.report.statistics.metrics_record import End
from orchestrator.store.chain import is_end, lines_in, metrics_digest, parsed
from orchestrator.store.find import read_document
from orchestrator.store.layout import CHAIN, Location
from orchestrator.store.legacy.metrics import record_proves
from orchestrator.store.record_proof import ALTERED, prove
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHAIN_LINE_LIMIT = 1 << 24


class Unproved(Record):
    """What keeps a gate from trusting the lines of a task.

    ``ends`` are proved by nothing, ``altered`` are runs whose record is not what its line says, with why, ``cut``
    are ends that the chain knows in the window and the metrics don't.
    """

    ends: tuple[End, ...] = ()
    altered: tuple[tuple[End, str], ...] = ()
    cut: tuple[Mapping[str, Any], ...] = ()


def unproved(store: RunStore, task_id: str, ends: Sequence[End], known: Iterable[End], start: datetime) -> Unproved:
    """Return what is not proved of the ``ends`` of a task in the window since ``start``; it reads only.

    ``known`` are all ends that were read. Raises StorageError when the chain can't be read.
    """
    links = _links(store, task_id, {end.event_id for end in ends if end.event_id is not None}, start - CLOCK_SLACK)
    unknown: list[End] = []
    altered: list[tuple[End, str]] = []
    for end in ends:
        if end.event_id is None:
            if not _of_version_1(store, end):
                unknown.append(end)
            continue
        link, line = links.get(end.event_id), parsed(end.source)
        if link is None or line is None or link.get("metrics_digest") != metrics_digest(line):
            unknown.append(end)
        elif (why := _altered(store, end)) is not None:
            altered.append((end, why))
    events = {end.event_id for end in known}
    cut = [link for event, link in links.items() if event not in events and _is_since(link, start)]
    return Unproved(tuple(unknown), tuple(altered), tuple(cut))


def _links(store: RunStore, task_id: str, wanted: set[str], earliest: datetime) -> dict[str, Mapping[str, Any]]:
    """Return the ends in a chain by event, as far back as ``wanted`` ones and the window need."""
    try:
        with store.task(task_id) as task:
            fd = task.open_read(CHAIN)
    except FileNotFoundError:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    left, old = set(wanted), 0
    try:
        lines = lines_backwards(
            lambda offset, count: os.pread(fd, count, offset), os.fstat(fd).st_size, limit=_CHAIN_LINE_LIMIT
        )
        next(lines)  # what is torn
        for data in lines:
            line = parsed(data) if data else None
            ends = [inner for inner in lines_in(line or {}) if is_end(inner) and "event_id" in inner]
            for end in ends:
                found[str(end["event_id"])] = end
                left.discard(str(end["event_id"]))
            if line is None or not ends:
                continue
            old = 0 if _is_since(line, earliest) else old + 1
            if not left and old >= OLD_LINES:
                break
    finally:
        os.close(fd)
    return found


def _is_since(line: Mapping[str, Any], moment: datetime) -> bool:
    with suppress(ValueError, TypeError):
        return parse_stamp(line["recorded_at"]) >= moment if isinstance(line.get("recorded_at"), str) else True
    return True


def _of_version_1(store: RunStore, end: End) -> bool:
    """Tell whether a record of version 1 says what a line without an event says."""
    if not is_run_id(end.run_id):
        return False
    with suppress(NotFound, DamagedRecord, StorageError):
        record = read_document(store, Location(end.task_id, end.run_id))
        return record["version"] == 1 and record_proves(
            record,
            pipeline_id=end.pipeline_id,
            outcome=end.outcome,
            completed_at=end.completed_at,
            executed=end.executed,
        )
    return False


def _altered(store: RunStore, end: End) -> str | None:
    """Return in which point the record of a run is not what its line says; a record that is gone is none."""
    if not is_run_id(end.run_id):
        return None
    where = Location(end.task_id, end.run_id)
    try:
        record = read_document(store, where)
        return prove(store, where, record, "digests").altered if record.get("attempt") == end.attempt else None
    except (NotFound, FileNotFoundError):
        return None
    except (DamagedRecord, StorageError) as error:
        return error.message


def proof_findings(task_id: str, found: Unproved) -> Iterator[Finding]:
    """Yield what a gate finds of a task's unproved lines."""
    if found.ends:
        message = f"{len(found.ends)} lines of the metrics of task {task_id} are proved by no line of its chain"
        yield finding(None, "metrics-unproven", message, [_named(end.run_id, task_id) for end in found.ends])
    if found.cut:
        message = f"{len(found.cut)} ends in the chain of task {task_id} have no line in its metrics"
        yield finding(None, "metrics-cut", message, [_named(str(link.get("run_id")), task_id) for link in found.cut])
    for end, why in found.altered:
        message = f"the record of run {end.run_id} was altered: {why}"
        yield finding(None, ALTERED, message, [_named(end.run_id, task_id)])


def _named(run_id: str, task_id: str) -> dict[str, Any]:
    return {"run_id": run_id, "task_id": task_id, "stages": []}
