"""Whether the lines of metrics that a gate counts are proved: by the task's chain, or by a record of version 1."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from orchestrator.base.clock import parse_stamp, stamp
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.record import Record
from orchestrator.model.stage_tries import Try, tries_of
from orchestrator.report.run_list.lines_from_end import lines_backwards
from orchestrator.report.run_list.metrics_lines import CLOCK_SLACK, OLD_LINES
from orchestrator.report.statistics.gate import Finding, finding
from orchestrator.report.statistics.metrics_record import End
from orchestrator.store.chain import is_end, lines_in, parsed
from orchestrator.store.doctor.chain_records import read_chain
from orchestrator.store.find import read_document
from orchestrator.store.layout import CHAIN, LINE_HINT, Location
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


def unproved(
    store: RunStore,
    task_id: str,
    ends: Sequence[End],
    known: Iterable[End],
    start: datetime,
    records: WindowRecords | None,
) -> Unproved:
    """Return what is not proved of the ``ends`` of a task in the window since ``start``; it reads only.

    ``known`` are all ends that were read, with their lines' digests. Their records are compared where ``records`` is
    given. Raises StorageError when the chain can't be read.
    """
    wanted = {end.event_id for end in ends if end.event_id is not None}
    links = _links(store, task_id, wanted, {end.event_id for end in known}, start - CLOCK_SLACK)
    unknown: list[End] = []
    altered: list[tuple[End, str]] = []
    for end in ends:
        if end.event_id is None:
            if not _of_version_1(store, end):
                unknown.append(end)
        elif end.digest is None or links.digests.get(end.event_id) != end.digest:
            unknown.append(end)
        elif records is not None and (why := records.altered(end)) is not None:
            altered.append((end, why))
    cut = [link for link in links.others if _is_since(link, start)]
    return Unproved(tuple(unknown), tuple(altered), tuple(cut))


class _Links(Record):
    """The ends in a chain: of known events the digests of their metrics lines, and the lines of other ones."""

    digests: Mapping[str, object]
    others: tuple[Mapping[str, Any], ...]


def _links(store: RunStore, task_id: str, wanted: set[str], known: set[str | None], earliest: datetime) -> _Links:
    """Return the ends in a chain, as far back as ``wanted`` events and the window need."""
    try:
        with store.task(task_id) as task:
            fd = task.open_read(CHAIN)
    except FileNotFoundError:
        return _Links({}, ())
    digests: dict[str, object] = {}
    others: dict[str, Mapping[str, Any]] = {}
    left, old, begin = set(wanted), 0, stamp(earliest)
    try:
        lines = lines_backwards(
            lambda offset, count: os.pread(fd, count, offset), os.fstat(fd).st_size, limit=_CHAIN_LINE_LIMIT
        )
        next(lines)  # what is torn
        for data in lines:
            usual = _usual(data) if data else None
            if usual is not None and usual[0] in known:
                event, digests[event], recorded = usual[0], usual[1], usual[2]
                left.discard(event)
                is_old = recorded < begin
            else:
                ends = [inner for inner in lines_in(parsed(data or b"") or {}) if is_end(inner) and "event_id" in inner]
                for end in ends:
                    event = str(end["event_id"])
                    left.discard(event)
                    if event in known:
                        digests[event] = end.get("metrics_digest")
                    else:
                        others[event] = end
                if not ends:
                    continue
                is_old = not any(_is_since(end, earliest) for end in ends)
            old = old + 1 if is_old else 0
            if not left and old >= OLD_LINES:
                break
    finally:
        os.close(fd)
    return _Links(digests, tuple(others.values()))


_HEAD = b'{"form": 2, "run_id": "'
_DIGEST = b', "metrics_digest": "'
_TAIL = re.compile(rb', "recorded_at": "(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)", "event_id": "([0-9a-f]{32})"\}')
_TAIL_BYTES = len(', "recorded_at": "2026-11-22T08:43:05.720Z", "event_id": ""}') + 32


def _usual(line: bytes) -> tuple[str, str, str] | None:
    """Return event, digest of the metrics line and time of an end's line as ``add_link`` writes it; None of others.

    The line is not parsed, which would take half of the time of all: what is looked for stands where it is written,
    and once. Whether the line is whole is ``verify``'s to say; what it says of a digest is what proves the line.
    """
    tail = _TAIL.fullmatch(line, len(line) - _TAIL_BYTES)
    if tail is None or not line.startswith(_HEAD) or b"\\" in line or line.count(_DIGEST) != 1:
        return None
    at = line.index(_DIGEST) + len(_DIGEST)
    return tail[2].decode(), line[at : at + 64].decode("ascii", "replace"), tail[1].decode()


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


class WindowRecords:
    """The records of runs in a window, each read at most once, compared with their lines, and kept in part."""

    def __init__(self, store: RunStore, looked: Callable[[int], None] = lambda more: None) -> None:
        """``looked`` gets how many records more were read."""
        self._store, self._looked = store, looked
        self._places: dict[str, Mapping[str, int]] = {}
        self.parts: dict[str, Mapping[str, Any]] = {}
        self.tries: dict[str, list[Try]] = {}
        """Those of records whose lines don't name them."""
        self._missing: set[str] = set()

    def missing(self, ends: Iterable[End]) -> int:
        """Return how many of the ends' records can't be read; those of version 1 say nothing that is needed."""
        wanted = [end for end in ends if end.attempt is not None]
        for end in wanted:
            if end.run_id not in self.parts and end.run_id not in self._missing:
                self.read(end)
        return sum(end.run_id in self._missing for end in wanted)

    def read(self, end: End) -> dict[str, Any] | None:
        """Return the record of a run; None when it can't be read."""
        self._missing.add(end.run_id)
        self._looked(1)
        if not is_run_id(end.run_id):
            return None
        with suppress(NotFound, DamagedRecord, StorageError):
            record = read_document(self._store, Location(end.task_id, end.run_id))
            self._missing.discard(end.run_id)
            self.parts[end.run_id] = {key: record.get(key) for key in ("guardrails", "sla")}
            if end.tried is None:
                self.tries[end.run_id] = list(tries_of(record))
            return record
        return None

    def altered(self, end: End) -> str | None:
        """Return in which point the record of a run is not what its line says; a record that is gone is none."""
        where = Location(end.task_id, end.run_id)
        record = self.read(end)
        if record is None:
            return self._damage(end, where)
        if record.get("attempt") != end.attempt:
            return None
        try:
            hint = self._hint(where, str(end.event_id))
            return prove(self._store, where, record, "digests", hint=hint).altered
        except FileNotFoundError:
            return None
        except (DamagedRecord, StorageError) as error:
            return error.message

    def _damage(self, end: End, where: Location) -> str | None:
        if not is_run_id(end.run_id):
            return None
        try:
            read_document(self._store, where)
        except NotFound:
            return None
        except (DamagedRecord, StorageError) as error:
            return error.message
        return None

    def _hint(self, where: Location, event: str) -> int | None:
        """Return where a run's line is; of a run that does not note it by one look through the chain for all."""
        with suppress(FileNotFoundError, StorageError), self._store.run_folder(where) as folder:
            if folder.has(LINE_HINT):
                return None
        if where.task_id not in self._places:
            with self._store.task(where.task_id) as task:
                self._places[where.task_id] = read_chain(task).places
        return self._places[where.task_id].get(event)


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
