"""Keys of starts: which run a key stands for, so that a start that is repeated finds its run.

``.runs/.keys/`` has two files for each key: ``<name>.lock``, held from the lookup of a start to the claim of its run,
and ``<name>.json``, the place of the run. The place is on disk before the run is claimed: whoever is killed between
the two leaves a place without a run, which the next start takes for none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.files import Folder, Lock
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.json_values import json_text
from orchestrator.base.sha256 import sha256
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.find import read_document
from orchestrator.store.layout import KEYS, Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEPT_SECONDS = 7 * 24 * 3600.0
"""How long a key is kept after its run ended (contract, section 9)."""

_LIMIT = 1 << 16


def key_name(project: str, pipeline: str, key: str) -> str:
    """Return the name of a key's files: a key means another run in another project or pipeline."""
    return sha256(json_text([project, pipeline, key]).encode()).hexdigest()


def keyed_run(store: RunStore, name: str) -> Location | None:
    """Return the run that a key stands for; None when it is free: not used, or its time is over.

    Raises DamagedRecord when that can't be known, StorageError.
    """
    with suppress(FileNotFoundError), store.runs() as runs, runs.sub(KEYS) as keys:
        return _run_of(store, keys, name)
    return None


class HeldKey:
    """A key that is held by this start: nobody else looks it up or claims a run for it meanwhile."""

    def __init__(self, store: RunStore, name: str, lock: Lock) -> None:
        self._store = store
        self._name = name
        self._lock = lock

    @classmethod
    def take(cls, store: RunStore, name: str) -> HeldKey:
        """Wait for the key and hold it. Raises StorageError."""
        with _keys(store, create=True) as keys:
            lock = keys.lock(f"{name}.lock", blocking=True)
        assert lock is not None  # noqa: S101 -- a blocking lock is always granted
        return cls(store, name, lock)

    def run(self) -> Location | None:
        """Return the run that the key stands for; None when it is free. Raises as ``keyed_run`` does."""
        return keyed_run(self._store, self._name)

    def note(self, where: Location) -> None:
        """Write the place of the run that is about to be claimed, and forget keys whose time is over."""
        entry = {"task_id": where.task_id, "run_id": where.run_id}
        with _keys(self._store, create=True) as keys:
            keys.write(f"{self._name}.json", json_text(entry).encode() + b"\n")
            keys.sync_name()
            _sweep(self._store, keys)

    def release(self) -> None:
        """Give the key back; harmless when repeated."""
        self._lock.release()


@contextmanager
def _keys(store: RunStore, *, create: bool) -> Iterator[Folder]:
    with store.runs(create=create) as runs, runs.sub(KEYS, create=create) as keys:
        yield keys


def _run_of(store: RunStore, keys: Folder, name: str) -> Location | None:
    """Return the run of a key that is not free yet; None without one."""
    where = _named_by(keys, name)
    return where if where is not None and _is_kept(store, where) else None


def _named_by(keys: Folder, name: str) -> Location | None:
    """Return the run that the file of a key names; None without a file. Raises DamagedRecord, StorageError."""
    try:
        data = keys.read(f"{name}.json", _LIMIT)
    except FileNotFoundError:
        return None
    where = _place(data)
    if where is None:
        raise DamagedRecord(
            f"'{keys.path}/{name}.json', which says what run a key stands for, can't be read",
            hint="remove the file: the key is free then",
            code="damaged-key",
        )
    return where


def _is_kept(store: RunStore, where: Location) -> bool:
    """Tell whether the key of a run is not free yet. Raises DamagedRecord, StorageError."""
    try:
        record = read_document(store, where)
    except NotFound:
        return False
    return not is_over(record, store.clock.now().timestamp())


def is_over(record: Mapping[str, Any], now: float) -> bool:
    """Tell whether the key of a run is free again at ``now`` (seconds since 1970): 7 days after its end.

    The key of a run that ended in the queue, before it began, is free at once.
    """
    if record.get("status") not in TERMINAL:
        return False
    if record.get("began_at") is None:
        return True
    try:
        return now - parse_stamp(str(record.get("completed_at"))).timestamp() > KEPT_SECONDS
    except (ValueError, OverflowError):
        return False


def keyed_runs(store: RunStore) -> frozenset[str]:
    """Return the runs that keys stand for which are not free yet, and those whose record can't tell.

    Raises DamagedRecord for a key that can't be read, StorageError.
    """
    found = set()
    with suppress(FileNotFoundError), store.runs() as runs, runs.sub(KEYS) as keys:
        for file in keys.names():
            if not file.endswith(".json") or (where := _named_by(keys, file.removesuffix(".json"))) is None:
                continue
            try:
                is_kept = _is_kept(store, where)
            except DamagedRecord:
                is_kept = True
            if is_kept:
                found.add(where.run_id)
    return frozenset(found)


def _place(data: bytes) -> Location | None:
    try:
        found = json.loads(data)
        where = Location(found["task_id"], found["run_id"])
    except (ValueError, TypeError, KeyError):
        return None
    is_place = isinstance(where.task_id, str) and name_fault("task", where.task_id) is None
    return where if is_place and isinstance(where.run_id, str) and is_run_id(where.run_id) else None


def _sweep(store: RunStore, keys: Folder) -> None:
    """Remove the files of keys that are free again; one that somebody holds, or that can't be read, is left."""
    oldest = store.clock.now().timestamp() - KEPT_SECONDS
    for file in keys.names():
        name = file.removesuffix(".json")
        with suppress(FileNotFoundError, StorageError, DamagedRecord):
            if name == file or os.stat(file, dir_fd=keys.fd, follow_symlinks=False).st_mtime > oldest:
                continue
            lock = keys.lock(f"{name}.lock", blocking=False)
            if lock is None:
                continue
            with lock:
                if _run_of(store, keys, name) is None:
                    keys.remove(file)
                    keys.remove(f"{name}.lock")
