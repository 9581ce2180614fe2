"""Claiming a run: everything about it is on disk before its id is printed, and it is never seen half made."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress

from orchestrator.base.clock import stamp
from orchestrator.base.errors import NotFound, Refused, StorageError
from orchestrator.base.files import Folder, Lock
from orchestrator.base.record import Record
from orchestrator.model.manifest.document import HEARTBEAT_STALE_SECONDS, render
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.attempt_files import events_of
from orchestrator.store.chain import find_link, read_first_hint
from orchestrator.store.claim_order import note_claim
from orchestrator.store.find import read_manifest
from orchestrator.store.layout import (
    CHILD_START,
    CLI,
    COMMANDS,
    ERRORS,
    EVENTS,
    HEARTBEAT,
    MANIFEST,
    MCP,
    METRICS,
    OLD_POINTERS,
    OPEN,
    RESERVE,
    RESERVE_BYTES,
    RUN_LOCK,
    STAGING,
    TOKEN,
    Location,
)
from orchestrator.store.liveness import beyond_locks
from orchestrator.store.metrics_line import event_id
from orchestrator.store.open_run import OpenRun
from orchestrator.store.owner import write_owner
from orchestrator.store.publish import check_publishable, point_older, pointer_bytes
from orchestrator.store.record_proof import Depth, altered, prove_open
from orchestrator.store.store import RunStore, is_pruning
from orchestrator.store.unattended import unattended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROBE_PATIENCE_SECONDS = 1.0
"""A reader that looks whether a run is alive holds its lock for microseconds; this outlasts it."""


def claim(store: RunStore, manifest: Manifest, token: str, child_start: bytes | None = None) -> OpenRun:
    """Put a new run on disk and hold its lock; when this returns, its id may be printed.

    The folder is made aside, locked and synced, and then renamed to its place, so that a folder under
    ``cli/`` has its manifest from the moment that it can be seen. ``child_start`` are the bytes of ``CHILD_START`` of a
    fleet, which only its owner may read. Raises StorageError, with nothing
    left behind that would be taken for a run.
    """
    where = Location(manifest.task_id, manifest.run_id)
    check_publishable(store, where.task_id)
    with ExitStack() as stack:
        places = _open_places(stack, store, where)
        folder, lock = _make_folder(places.staging, where, manifest, token, child_start=child_start)
        try:
            folder.create(MANIFEST, render(manifest.as_json()))
            folder.sync()
            _move(places, where, folder)
            _point(places.pointers, places.mcp, store, manifest)
            note_claim(store, where.run_id)
        except BaseException:
            try:
                _take_back(where, places)
            finally:
                lock.release()
                folder.close()
            raise
    return OpenRun(where, folder, lock, manifest, store.clock, is_new=True)


def prepare(store: RunStore, manifest: Manifest, token: str) -> OpenRun:
    """Prepare a new run aside, locked and without a record; nobody sees it before ``commit``, and no id may be printed.

    For a run that is over in milliseconds: its first record is its last but one. ``abort`` takes it
    back; what a process leaves that dies is swept by the next. Raises as ``claim`` does.
    """
    where = Location(manifest.task_id, manifest.run_id)
    check_publishable(store, where.task_id)
    with ExitStack() as stack:
        places = _open_places(stack, store, where)
        folder, lock = _make_folder(places.staging, where, manifest, token, is_brief=True)
    return OpenRun(where, folder, lock, manifest, store.clock, is_shown=False, is_new=True)


def commit(store: RunStore, run: OpenRun) -> None:
    """Put a prepared run, saved since, in its place; ``publish`` points to it. Raises StorageError."""
    with ExitStack() as stack:
        _move(_open_places(stack, store, run.where, sync=False), run.where, run.folder)
    run.is_shown = True
    note_claim(store, run.where.run_id)


def abort(store: RunStore, run: OpenRun) -> None:
    """Take back, as far as the disk allows, a run that was prepared and not committed; its lock is given back."""
    try:
        with suppress(StorageError, FileNotFoundError), ExitStack() as stack:
            _take_back(run.where, _open_places(stack, store, run.where, sync=False))
    finally:
        run.close()


class _Places(Record):
    """The open folders that a new run comes to stand in."""

    pointers: Folder
    staging: Folder
    opened: Folder
    cli: Folder
    mcp: Folder


def _open_places(stack: ExitStack, store: RunStore, where: Location, *, sync: bool = True) -> _Places:
    """Open the folders, made where they are missing; ``sync`` makes their names survive a power cut."""
    runs = stack.enter_context(store.runs(create=True))
    task = stack.enter_context(runs.sub(where.task_id, create=True, sync=False))
    pointers = stack.enter_context(runs.sub(OLD_POINTERS, create=True, sync=False))
    if sync and not task.has(CLI):
        # Whoever made these folders may have died before their names were synced. ``cli`` comes
        # after that, so where it is, they are safe.
        runs.sync_name()
        runs.sync()
    names = (STAGING, OPEN, CLI, MCP)
    # A run that was published synced the names of these folders before it had its line.
    are_safe = task.has(METRICS) and all(task.has(name) for name in names)
    places = _Places(pointers, *(stack.enter_context(task.sub(name, create=True, sync=False)) for name in names))
    if sync and not are_safe:
        task.sync()
    return places


def _move(places: _Places, where: Location, folder: Folder) -> None:
    """Put a prepared and synced run where runs are, on the list of those that are not published."""
    places.opened.create(where.run_id, b"", sync=False)
    places.opened.sync()
    places.staging.move_to(where.run_id, places.cli, where.run_id)
    folder.path = os.path.join(places.cli.path, where.run_id)
    places.cli.sync()


def _take_back(where: Location, places: _Places) -> None:
    """Take back, as far as the disk allows, a run that could not be claimed: its id was printed nowhere."""
    name = where.run_id
    with suppress(StorageError, FileNotFoundError):
        for folder in (places.mcp, places.pointers):
            folder.remove_folder(name)
        if places.cli.has(name):
            places.cli.move_to(name, places.staging, name)
        places.staging.remove_folder(name)
        places.opened.remove(name)


def _make_folder(
    staging: Folder,
    where: Location,
    manifest: Manifest,
    token: str,
    *,
    is_brief: bool = False,
    child_start: bytes | None = None,
) -> tuple[Folder, Lock]:
    """Make the folder of a run, locked, with all but its record; its names are the caller's to sync.

    One that ``is_brief`` is never resumed, and has nothing to lose on a full disk before it is over.
    """
    folder = staging.sub(where.run_id, create=True, sync=False)
    try:
        lock = folder.lock(RUN_LOCK, blocking=False)
        if lock is None:
            raise Refused(f"run '{where.run_id}' is being made by another process")
        try:
            write_owner(folder, lock, "run")
            if not is_brief:
                folder.reserve(RESERVE, RESERVE_BYTES)
            folder.create(TOKEN, token.encode() + b"\n", mode=0o600, sync=not is_brief)
            if child_start is not None:
                folder.create(CHILD_START, child_start, mode=0o600)
            # Empty, so that its name is safe from the first sync of the folder.
            folder.create(EVENTS, b"", sync=False)
            folder.create(HEARTBEAT, manifest.heartbeat_at.encode() + b"\n", sync=False)
            for name in (COMMANDS, ERRORS):
                folder.sub(name, create=True, sync=False).close()
        except BaseException:
            try:
                with suppress(StorageError):
                    staging.remove_folder(where.run_id)
            finally:
                lock.release()
            raise
    except BaseException:
        folder.close()
        raise
    return folder, lock


def _point(pointers: Folder, mcp: Folder, store: RunStore, manifest: Manifest) -> None:
    where = Location(manifest.task_id, manifest.run_id)
    with mcp.sub(where.run_id, create=True, sync=False) as pointer:
        pointer.write(MANIFEST, pointer_bytes(store, manifest))
    point_older(pointers, where)
    mcp.sync()


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
            from orchestrator.model.manifest.schema import load

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

        decided = decisions_of(task, document, read_first_hint(run.folder))
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
