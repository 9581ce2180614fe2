"""Taking the lock of a run that is there, to close it, to decide about it, or to go on with it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from orchestrator.base.clock import stamp
from orchestrator.base.errors import NotFound, Refused
from orchestrator.base.files import Folder, Lock
from orchestrator.model.manifest.document import HEARTBEAT_STALE_SECONDS
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.store.attempt_files import events_of
from orchestrator.store.chain import find_link, read_first_hint
from orchestrator.store.find import read_manifest
from orchestrator.store.layout import (
    EVENTS,
    HEARTBEAT,
    MANIFEST,
    OPEN,
    RESERVE,
    RESERVE_BYTES,
    RUN_LOCK,
    Location,
)
from orchestrator.store.liveness import beyond_locks
from orchestrator.store.metrics_line import event_id
from orchestrator.store.open_run import OpenRun
from orchestrator.store.owner import write_owner
from orchestrator.store.publish import check_publishable
from orchestrator.store.record_proof import Depth, altered, prove_open
from orchestrator.store.store import RunStore, is_pruning
from orchestrator.store.unattended import unattended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROBE_PATIENCE_SECONDS = 1.0
"""A reader that looks whether a run is alive holds its lock for microseconds; this outlasts it."""


def take_over(store: RunStore, where: Location, depth: Depth = "digests", *, open_in_cloud: bool = False) -> OpenRun:
    """Take the lock of an existing run of version 2, then load its record.

    Raises Refused when the run is alive, here or as far as is known elsewhere, of version 1, or (``unattended``) open
    in the cloud, unless it is taken to be attended (``open_in_cloud``); NotFound when there is none; DamagedRecord,
    also when it is not what its last attempt left, as far as ``depth`` compares it.
    """
    try:
        folder = store.run_folder(where)
    except FileNotFoundError:
        raise NotFound(f"there is no run '{where.run_id}' under task '{where.task_id}'") from None
    try:
        document = read_manifest(folder, where)
        if document["version"] == 1:
            raise Refused(
                f"run '{where.run_id}' was written by version 1, which is read but never resumed",
                hint="start a new run",
                code="version-1",
            )
        lock = _lock_patiently(folder)
        if lock is None:
            raise Refused(
                f"run '{where.run_id}' is alive", hint=f"codex-orchestrator status {where.run_id} --watch", code="alive"
            )
        try:
            path = os.path.join(folder.path, MANIFEST)
            from orchestrator.model.manifest.json_schema import load

            document = read_manifest(folder, where)
            manifest = load(document, path)
            if not (manifest.is_terminal and manifest.metrics_recorded):
                _refuse_alive_elsewhere(store, where, folder)
            run = OpenRun(where, folder, lock, manifest, store.clock)
            _prove(store, run, document, depth)
            if not open_in_cloud and is_open_in_cloud(document):
                raise unattended(where.run_id)
            write_owner(folder, lock, "close")
        except BaseException:
            lock.release()
            raise
    except BaseException:
        folder.close()
        raise
    return run


def _prove(store: RunStore, run: OpenRun, document: Mapping[str, Any], depth: Depth) -> None:
    """Compare a record with the line of its attempt; one without is given that of the attempt before.

    Raises DamagedRecord when it differs.
    """
    with store.task(run.where.task_id) as task:
        if is_pruning(task):
            _refuse_pruned(store, run.where, task)
        proof = prove_open(task, run.folder, document, depth)
        if proof.altered is not None:
            raise altered(run.where, proof.altered)
        from orchestrator.store.decisions import decisions_of  # a start has no use for it

        decided = decisions_of(task, document, read_first_hint(run.folder), store.workspace)
        if decided.altered is not None:
            raise altered(run.where, decided.altered)
        if decided.missing:  # whoever added their lines was killed before the record; the next write adds them
            run.manifest = run.manifest._replace(approvals=decided.entries)
        run.line, run.has_line, run.imported_from = proof.line, proof.holds, proof.imported_from
        if run.line is None and run.manifest.attempt > 1:
            before = find_link(task, event_id(run.where.run_id, run.manifest.attempt - 1))
            run.line = None if before is None else before.line


def _refuse_pruned(store: RunStore, where: Location, task: Folder) -> None:
    """Raise NotFound when a prune names the run: whoever writes its line holds the task's lock until it is there."""
    from orchestrator.store.find_pruned import refuse_on_its_way  # hardly ever needed

    store.lock_task(task).release()
    refuse_on_its_way(store, where)


def _refuse_alive_elsewhere(store: RunStore, where: Location, folder: Folder) -> None:
    """Raise Refused when a run is alive whose lock could be taken."""
    found = beyond_locks(folder, store.clock.now())
    if found is None:
        return
    sign, owner = found
    how = "its heart beat there a moment ago" if sign == "heartbeat" else f"its process {owner.pid} lives"
    raise Refused(
        f"run '{where.run_id}' is alive on the host '{owner.host}': {how}",
        hint=f"go on there, or wait until it has had no heartbeat for {HEARTBEAT_STALE_SECONDS} s",
        code="alive",
    )


def _lock_patiently(folder: Folder) -> Lock | None:
    deadline = time.monotonic() + _PROBE_PATIENCE_SECONDS
    while True:
        lock = folder.lock(RUN_LOCK, blocking=False)
        if lock is not None or time.monotonic() > deadline:
            return lock
        time.sleep(0.005)


def reopen(store: RunStore, run: OpenRun) -> None:
    """Mark a run that goes on after its end as not fully published again, before its record changes.

    Raises DamagedRecord when the events are not those that the run left, StorageError.
    """
    run.go_on()
    if run.line is not None and events_of(run.line)[1] not in (None, run.events_digest().sha256):
        raise altered(run.where, f"'{EVENTS}' is not what its attempt left")
    go_on_writing(store, run)


def go_on_writing(store: RunStore, run: OpenRun) -> None:
    """Make a run whose lock was taken one that goes on: owned, listed as open, with space. Raises StorageError."""
    write_owner(run.folder, run.lock, "run")
    check_publishable(store, run.where.task_id)
    with store.task(run.where.task_id) as task, task.sub(OPEN, create=True) as opened:
        if not opened.has(run.where.run_id):
            opened.create(run.where.run_id, b"", sync=False)
        opened.sync()
    if not run.folder.has(RESERVE):
        run.folder.reserve(RESERVE, RESERVE_BYTES)
    run.folder.touch(HEARTBEAT, stamp(store.clock.now()).encode() + b"\n")
