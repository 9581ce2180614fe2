"""Claiming a run: everything about it is on disk before its id is printed, and it is never seen half made."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress

from orchestrator.base.errors import Refused, StorageError
from orchestrator.base.files import Folder, Lock
from orchestrator.base.record import Record
from orchestrator.model.manifest.document import render
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.claim_order import note_claim
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
from orchestrator.store.open_run import OpenRun
from orchestrator.store.owner import write_owner
from orchestrator.store.pointers import make_pointers
from orchestrator.store.publish import check_publishable
from orchestrator.store.run_index import changing, move_in
from orchestrator.store.store import RunStore


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
            make_pointers(places.pointers, places.mcp, store, manifest)
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

    task: Folder
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
    places = _Places(task, pointers, *(stack.enter_context(task.sub(name, create=True, sync=False)) for name in names))
    if sync and not are_safe:
        task.sync()
    return places


def _move(places: _Places, where: Location, folder: Folder) -> None:
    """Put a prepared and synced run where runs are, on the list of those that are not published."""
    places.opened.create(where.run_id, b"", sync=False)
    places.opened.sync()
    move_in(places.task, places.staging, places.cli, where.run_id)
    folder.path = os.path.join(places.cli.path, where.run_id)
    places.cli.sync()


def _take_back(where: Location, places: _Places) -> None:
    """Take back, as far as the disk allows, a run that could not be claimed: its id was printed nowhere."""
    name = where.run_id
    with suppress(StorageError, FileNotFoundError):
        for folder in (places.mcp, places.pointers):
            folder.remove_folder(name)
        if places.cli.has(name):
            with changing(places.task):
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
