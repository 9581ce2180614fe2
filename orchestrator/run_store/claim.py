"""Claiming a run: everything about it is on disk before its id is told, and it is never seen half made."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress

from orchestrator.clock import stamp
from orchestrator.durable import Folder, Lock
from orchestrator.errors import NotFound, Refused, StorageError
from orchestrator.manifest.document import HEARTBEAT_STALE_SECONDS
from orchestrator.manifest.shape import Manifest, render
from orchestrator.run_store.layout import (
    CLI,
    COMMANDS,
    ERRORS,
    HEARTBEAT,
    MANIFEST,
    MCP,
    OLD_POINTERS,
    OPEN,
    RESERVE,
    RESERVE_BYTES,
    RUN_LOCK,
    STAGING,
    TOKEN,
    Location,
)
from orchestrator.run_store.liveness import beyond_locks
from orchestrator.run_store.open_run import OpenRun
from orchestrator.run_store.owner import write_owner
from orchestrator.run_store.publish import check_publishable, pointer_bytes
from orchestrator.run_store.reading import read_manifest
from orchestrator.run_store.store import RunStore

_PROBE_PATIENCE_SECONDS = 1.0
"""A reader that looks whether a run is alive holds its lock for microseconds; this outlasts it."""


def claim(store: RunStore, manifest: Manifest, token: str) -> OpenRun:
    """Put a new run on disk and hold its lock; when this returns, its id may be told.

    The folder is made aside, locked and synced, and then renamed to its place, so that a folder under
    ``cli/`` has its manifest from the moment that it can be seen. Raises StorageError, with nothing
    left behind that would be taken for a run.
    """
    where = Location(manifest.task_id, manifest.run_id)
    check_publishable(store, where.task_id)
    with ExitStack() as stack:
        runs = stack.enter_context(store.runs(create=True))
        task = stack.enter_context(runs.sub(where.task_id, create=True, sync=False))
        pointers = stack.enter_context(runs.sub(OLD_POINTERS, create=True, sync=False))
        if not task.has(CLI):
            # Whoever made these folders may have died before their names were synced. ``cli`` comes
            # after that, so where it is, they are safe.
            runs.sync_name()
            runs.sync()
        staging, opened, cli, mcp = (
            stack.enter_context(task.sub(name, create=True, sync=False)) for name in (STAGING, OPEN, CLI, MCP)
        )
        task.sync()
        folder, lock = _prepare(staging, where, manifest, token)
        try:
            opened.create(where.run_id, b"", sync=False)
            opened.sync()
            staging.move_to(where.run_id, cli, where.run_id)
            folder.path = os.path.join(cli.path, where.run_id)
            cli.sync()
            _point(pointers, mcp, store, manifest)
        except BaseException:
            try:
                _withdraw(where, staging, opened, cli, (mcp, pointers))
            finally:
                lock.release()
                folder.close()
            raise
    return OpenRun(where, folder, lock, manifest, store.clock)


def _withdraw(where: Location, staging: Folder, opened: Folder, cli: Folder, pointers: tuple[Folder, ...]) -> None:
    """Take back, as far as the disk allows, a run that could not be claimed: its id was told to nobody."""
    name = where.run_id
    with suppress(StorageError, FileNotFoundError):
        for folder in pointers:
            folder.remove_folder(name)
        if cli.has(name):
            cli.move_to(name, staging, name)
        staging.remove_folder(name)
        opened.remove(name)


def _prepare(staging: Folder, where: Location, manifest: Manifest, token: str) -> tuple[Folder, Lock]:
    folder = staging.sub(where.run_id, create=True, sync=False)
    try:
        lock = folder.lock(RUN_LOCK, blocking=False)
        if lock is None:
            raise Refused(f"run '{where.run_id}' is being made by another process")
        try:
            write_owner(folder, lock, "run")
            folder.reserve(RESERVE, RESERVE_BYTES)
            folder.create(MANIFEST, render(manifest.as_json()))
            folder.create(TOKEN, token.encode() + b"\n", mode=0o600)
            folder.create(HEARTBEAT, manifest.heartbeat_at.encode() + b"\n", sync=False)
            for name in (COMMANDS, ERRORS):
                folder.sub(name, create=True, sync=False).close()
            folder.sync()
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
    with pointers.sub(where.run_id, create=True, sync=False) as older:
        older.link(MANIFEST, f"../../{where.task_id}/{CLI}/{where.run_id}/{MANIFEST}")
        older.sync()
        pointers.sync()
    mcp.sync()


def take_over(store: RunStore, where: Location) -> OpenRun:
    """Take the lock of an existing run of version 2, then load its record.

    Raises Refused when the run is alive, here or as far as can be told elsewhere, or of version 1,
    NotFound when there is none, DamagedRecord.
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
            from orchestrator.manifest.schema import load

            manifest = load(read_manifest(folder, where), path)
            if not (manifest.is_terminal and manifest.metrics_recorded):
                _refuse_alive_elsewhere(store, where, folder)
            write_owner(folder, lock, "close")
        except BaseException:
            lock.release()
            raise
    except BaseException:
        folder.close()
        raise
    return OpenRun(where, folder, lock, manifest, store.clock)


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
    """Mark a run that goes on after its end as not fully published again, before its record changes."""
    write_owner(run.folder, run.lock, "run")
    check_publishable(store, run.where.task_id)
    with store.task(run.where.task_id) as task, task.sub(OPEN, create=True) as opened:
        if not opened.has(run.where.run_id):
            opened.create(run.where.run_id, b"", sync=False)
        opened.sync()
    if not run.folder.has(RESERVE):
        run.folder.reserve(RESERVE, RESERVE_BYTES)
    run.folder.touch(HEARTBEAT, stamp(store.clock.now()).encode() + b"\n")
