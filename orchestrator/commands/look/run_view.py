"""Looking at a run from outside: its record with whether it is alive, and the screen it is shown on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id, is_task_folder
from orchestrator.base.record import Record
from orchestrator.base.text.appearance import descriptor
from orchestrator.model.approvals import REASON_CODES
from orchestrator.model.manifest.document import VERSION
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.model.outcome import TERMINAL
from orchestrator.report.status_document import standing, status_document
from orchestrator.store.chain import read_first_hint
from orchestrator.store.decisions import decisions_of
from orchestrator.store.find import life_of, read_document
from orchestrator.store.layout import HEARTBEAT, LINE_HINT, Location
from orchestrator.store.liveness import Sign
from orchestrator.store.record_proof import ALTERED, prove
from orchestrator.store.store import RunStore

_PUBLISH_PATIENCE_SECONDS = 2.0
_PUBLISH_LOOK_SECONDS = 0.002
_OF_ITS_REVIEWERS = REASON_CODES - {"changes-requested"}
_GONE = "its record is gone, so that nothing shows what it was"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


class Seen(Record):
    """A run at one moment: its manifest, and what tells that it is alive, None when it is not."""

    record: Mapping[str, Any]
    alive_by: Sign | None

    @property
    def alive(self) -> bool:
        """Whether the run goes on."""
        return self.alive_by is not None

    @property
    def unattended(self) -> bool:
        """Whether it is open in the cloud, and nothing tells of its keeper."""
        return self.alive_by is None and is_open_in_cloud(self.record)


def observe(store: RunStore, where: Location) -> Seen:
    """Return the run's current record. Raises NotFound, DamagedRecord or StorageError.

    A free lock beside an open record means that the run died, unless it ended, or was resumed, between
    the two looks: so the record is read before and after the lock is probed, until it is the same.
    """
    record = read_document(store, where)
    while True:
        if record.get("status") in TERMINAL:
            return Seen(record, None)
        alive_by = life_of(store, where)
        again = read_document(store, where)
        if alive_by or again == record:
            return Seen(again, alive_by)
        record = again


def with_decisions(
    store: RunStore, where: Location, record: Mapping[str, Any], *, from_chain: bool = False
) -> tuple[Mapping[str, Any], tuple[str, str] | None]:
    """Return a record with the decisions that the task's chain has of it; and code and words, where they differ.

    ``from_chain`` reads all of the chain, for what is to last: its index is not asked.
    """
    if record.get("version") != VERSION:
        return record, None
    try:
        with store.task(where.task_id) as task, store.run_folder(where) as folder:
            indexed = None if from_chain else store.workspace
            found = decisions_of(task, record, read_first_hint(folder), indexed)
    except FileNotFoundError:
        return record, None
    except StorageError as error:
        return record, (ALTERED, f"the record can't be compared with its task's chain: {error.message}")
    if found.altered is not None:
        return record, (ALTERED, f"the record was altered: {found.altered}")
    return ({**record, "approvals": list(found.entries)} if found.missing else record), None


def record_fault(store: RunStore, where: Location, seen: Seen) -> tuple[str, str] | None:
    """Return code and words of why a record that was seen is not proved; None when it is, or goes on.

    A run that is being published gets its line within milliseconds: it is waited for.
    """
    record = seen.record
    if record.get("version") != VERSION:
        return (ALTERED, "the record was altered: it says that it is of version 1") if _has_line(store, where) else None
    if seen.alive:
        return None
    until = time.monotonic() + _PUBLISH_PATIENCE_SECONDS
    while True:
        try:
            proof = prove(store, where, record, "sizes")
        except FileNotFoundError:
            return None
        except StorageError as error:
            return ALTERED, f"the record can't be compared with its line in the chain: {error.message}"
        if proof.altered is not None:
            return ALTERED, f"the record was altered: {proof.altered}"
        if proof.line is not None or record.get("status") not in TERMINAL:
            return None
        if not proof.is_open:
            line = f"the task's chain has no line of attempt {record.get('attempt')}, which was removed or lost"
            return ALTERED, f"nothing proves the record: {line}"
        if time.monotonic() > until or life_of(store, where) is None:
            if prove(store, where, record, "sizes").line is not None:
                continue
            return "record-unpublished", "its end is not fully published: the next start, resume or review does that"
        time.sleep(_PUBLISH_LOOK_SECONDS)


def _has_line(store: RunStore, where: Location) -> bool:
    """Tell whether a run's folder notes a line of the task's chain, as none of version 1 does: one lookup of a name."""
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder:
        return folder.has(LINE_HINT)
    return False


def heartbeat_of(store: RunStore, where: Location) -> str | None:
    """Return what the run's heartbeat file says, or None when there is none that can be read."""
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder:
        return folder.read(HEARTBEAT, 64).decode("ascii", "replace").strip()
    return None


def child_standing(
    store: RunStore, known: Mapping[tuple[str, str], Mapping[str, Any]] = MappingProxyType({})
) -> Callable[[str, str], Mapping[str, Any] | None]:
    """Return a lookup of how a child run stands now; it answers None where that can't be known.

    ``known`` are the documents of runs that this process has just recorded, by task and run id.
    """

    def look(task_id: str, run_id: str) -> Mapping[str, Any] | None:
        if (task_id, run_id) in known:
            return standing(known[task_id, run_id], alive=False)
        if not is_task_folder(task_id) or not is_run_id(run_id):
            return None
        with suppress(NotFound, DamagedRecord, StorageError):
            seen = observe(store, Location(task_id, run_id))
            return standing(seen.record, alive=seen.alive)
        return None

    return look


def child_reasons(store: RunStore) -> Callable[[str, str], Sequence[Mapping[str, str]]]:
    """Return a lookup of why a child run that succeeded is not ready, but for what a reviewer of it alone would add.

    Its own children are asked too, each run once: who forged a circle of records waits for no end.
    """
    asked = set()

    def look(task_id: str, run_id: str) -> Sequence[Mapping[str, str]]:
        if not is_task_folder(task_id) or not is_run_id(run_id) or (task_id, run_id) in asked:
            return ()
        asked.add((task_id, run_id))
        where = Location(task_id, run_id)
        try:
            seen = observe(store, where)
            record, altered = with_decisions(store, where, seen.record)
            document = status_document(
                record,
                alive=seen.alive,
                record_fault=record_fault(store, where, seen) or altered,
                now=store.clock.now(),
                manifest=store.paths(where).manifest,
                child=child_standing(store),
                child_reasons=look,
            )
        except NotFound:
            return () if _was_pruned(store, where) else ({"code": "child-not-succeeded", "message": _GONE},)
        except (DamagedRecord, StorageError) as error:
            return ({"code": ALTERED, "message": error.message},)
        return [reason for reason in document["ready"]["reasons"] if reason["code"] not in _OF_ITS_REVIEWERS]

    return look


def _was_pruned(store: RunStore, where: Location) -> bool:
    """Tell whether a run that is gone was pruned: its task's chain says so, and not that somebody lost it."""
    from orchestrator.store.find_pruned import pruned_by_index  # hardly ever needed

    with suppress(FileNotFoundError, StorageError), store.task(where.task_id) as task:
        found = pruned_by_index(task, store.workspace, where.run_id)
        return found is not None and not found.lost
    return False


class Patience:
    """Waits between two looks, and notices when nobody reads what is written to ``stream`` any more."""

    def __init__(self, stream: TextIO) -> None:
        self._fd = descriptor(stream)

    def __call__(self, seconds: float) -> bool:
        """Wait; False as soon as the stream's reader is gone."""
        import select
        import time

        found = 0
        if self._fd is not None:
            poll = select.poll()
            # No event is asked for: only an error or a hang-up of the reader's end is reported.
            poll.register(self._fd, 0)
            for _, event in poll.poll(seconds * 1000):
                found |= event
        if found & (select.POLLERR | select.POLLHUP):
            return False
        if self._fd is None or found:
            # macOS can't poll some devices and says so at once.
            time.sleep(seconds)
        return True
