"""The list of the runs that hold a place of those that may run at once, or wait for one, and one run's entry in it.

``.runs/.queue/places.json`` is changed under ``.lock`` only. A run is alive while its own lock is held, which the
guard of its processes inherits: whoever is killed has given its place back when nothing of it is left. What a dead
run left in the list is removed by the next that looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.json_values import json_text, plain
from orchestrator.model.queue import Entry, Standing, called, standing
from orchestrator.store.find import is_alive
from orchestrator.store.layout import QUEUE, Location
from orchestrator.store.store import RunStore

PLACES_LOCK = ".lock"
_PLACES = "places.json"
_LIMIT = 4 * 1024 * 1024
_LOOK_SECONDS = 0.2
_LONGEST_SECONDS = 1.0
"""The first in line looks often, those behind it less so, all of them once a second (contract, section 9)."""


class Place:
    """The entry of one run in the queue, which waits for its place or holds it. Ended by ``leave``."""

    def __init__(self, store: RunStore, entry: Entry, now: Standing | None) -> None:
        self._store = store
        self._entry = entry
        self.standing = now
        """Where the run stood when it was last looked; None when it holds its place."""

    @property
    def patience(self) -> float:
        """The seconds after which to look again."""
        ahead = 0 if self.standing is None else self.standing.ahead
        return min(_LONGEST_SECONDS, _LOOK_SECONDS * (1 + ahead))

    def look(self) -> Standing | None:
        """Return where the run stands now; None once it holds its place. Waits for nothing, not even for the lock."""
        with suppress(FileNotFoundError), queue_folder(self._store) as queue:
            lock = queue.lock(PLACES_LOCK, blocking=False)
            if lock is None:
                return self.standing
            with lock:
                entries = living(self._store, queue)
                if all(entry.run_id != self._entry.run_id for entry in entries):  # somebody has removed the file
                    entries.append(self._entry)
                    entries = called(entries)
                write_list(queue, entries)
                self.standing = standing(entries, self._entry.run_id)
        return self.standing

    def leave(self) -> None:
        """Give the place, or the wait for it, up. Never a reason to fail: what is left is that of a dead run."""
        with suppress(StorageError, FileNotFoundError), queue_folder(self._store) as queue:
            lock = queue.lock(PLACES_LOCK, blocking=False)
            if lock is not None:
                with lock:
                    write_list(queue, others(read_list(self._store, queue), self._entry.run_id))


def others(entries: Iterable[Entry], run_id: str | None) -> list[Entry]:
    """Return the entries without that of the run ``run_id``."""
    return [entry for entry in entries if entry.run_id != run_id]


def living(store: RunStore, queue: Folder, leaving: str | None = None) -> list[Entry]:
    """Return the entries of runs that live but ``leaving``, with every free place given away. Raises StorageError."""
    listed = others(read_list(store, queue), leaving)
    return called(entry for entry in listed if _lives(store, entry))


def _lives(store: RunStore, entry: Entry) -> bool:
    with suppress(FileNotFoundError):
        return is_alive(store, Location(entry.task_id, entry.run_id))
    return False


def read_list(store: RunStore, queue: Folder) -> list[Entry]:
    """Return the listed entries, dead ones too; one file that can't be read is warned of, and counts as empty."""
    try:
        data = queue.read(_PLACES, _LIMIT)
        return [Entry.from_json(item) for item in json.loads(data)]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, RecursionError, DamagedRecord):
        store.warn(f"'{queue.path}/{_PLACES}' can't be read, and is made anew: runs that hold places are not counted")
        return []


def write_list(queue: Folder, entries: list[Entry]) -> None:
    """Write the list where it differs from what is there. Raises StorageError."""
    # Not synced: a power cut ends every run that is listed.
    data = json_text([plain(entry) for entry in entries]).encode() + b"\n"
    with suppress(FileNotFoundError):
        if queue.read(_PLACES, _LIMIT) == data:
            return
    queue.write(_PLACES, data, sync=False, sync_folder=False)


@contextmanager
def queue_folder(store: RunStore, *, create: bool = False) -> Iterator[Folder]:
    """Open the folder of the queue; FileNotFoundError when there is none and ``create`` is not set."""
    with store.runs(create=create) as runs, runs.sub(QUEUE, create=create, sync=False) as queue:
        yield queue
