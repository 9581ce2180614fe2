"""Taking the early version's runs into the index, under the task's lock, with a log of what was made and why not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from orchestrator.base.clock import stamp
from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder, explained, write_all
from orchestrator.model.manifest.document import parse, render
from orchestrator.store.layout import CLI, MANIFEST, MCP, OLD_POINTERS, RUN_LOCK, STAGING, STATE
from orchestrator.store.legacy.migration import (
    MIGRATIONS,
    STATE_LIMIT,
    EarlyItem,
    Session,
    Step,
    survey,
)
from orchestrator.store.legacy.state import STATE_V1, name_aside
from orchestrator.store.publish import folded_state
from orchestrator.store.run_index import move_in
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOG_SCHEMA_VERSION = 1
_LOG_LIMIT = 64 * 1024 * 1024
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration found under a task, what it made (or would make), what it left alone and why.

    ``log`` is the log's path, None when there was nothing to tell that an earlier log doesn't tell.
    """

    task_id: str
    found: tuple[EarlyItem, ...]
    made: tuple[dict[str, Any], ...]
    log: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as the log and ``--format json`` hold it."""
        return {
            "task_id": self.task_id,
            "found": [{"kind": item.kind, "place": item.place, "run_id": item.run_id} for item in self.found],
            "made": list(self.made),
            "left_alone": [{"place": item.place, "reason": item.reason} for item in self.found if item.reason],
        }


def planned(task_id: str, found: Iterable[EarlyItem]) -> Migrated:
    """Return what a migration of these things would make."""
    every = tuple(found)
    return Migrated(task_id, every, tuple(_entry(item, step, ()) for item in every for step in item.steps))


def migrate_task(
    store: RunStore, task_id: str, every: list[Session], project: str | None, only: str | None
) -> Migrated:
    """Make what is missing under a task and return what was made; a second time, nothing is.

    ``only`` is the name or run id of the one run that is meant. Raises StorageError; what was made until
    then is in the log, and the next migration goes on.
    """
    if not matching(survey(store, task_id, every), only):
        return planned(task_id, ())
    with store.task(task_id, create=True) as task, store.lock_task(task):
        plan = planned(task_id, matching(survey(store, task_id, every), only))
        with task.sub(MIGRATIONS, create=True) as logs:
            name = _log_name(store, logs)
            made: list[dict[str, Any]] = []
            try:
                for owner, step in [(item, step) for item in plan.found for step in item.steps]:
                    left_out = _make(store, task, step, project)
                    made.append(_entry(owner, step, left_out))
            except StorageError as error:
                with suppress(StorageError):
                    _write_log(store, logs, name, Migrated(task_id, plan.found, tuple(made)), error.message)
                raise
            return _logged(store, logs, name, Migrated(task_id, plan.found, tuple(made)))


def log_unplaced(store: RunStore, found: list[EarlyItem]) -> Migrated:
    """Log what belongs to no task, below the older pointers' folder, which no task can be named after."""
    plan = planned(OLD_POINTERS, found)
    if not found:
        return plan
    with store.task(OLD_POINTERS, create=True) as older, older.sub(MIGRATIONS, create=True) as logs:
        return _logged(store, logs, _log_name(store, logs), plan)


def matching(found: Iterable[EarlyItem], only: str | None) -> list[EarlyItem]:
    """Return what is about the run ``only``, a run id or an early folder's name; everything when it is None."""
    return [item for item in found if only is None or only in (item.name, item.run_id)]


def _make(store: RunStore, task: Folder, step: Step, project: str | None) -> tuple[str, ...]:
    if step.kind == "record":
        return _make_record(store, task, step)
    if step.kind == "pointer":
        with task.sub(MCP, create=True) as mcp, mcp.sub(step.run_id, create=True) as folder:
            folder.write(MANIFEST, step.data)
    elif step.kind == "older-pointer":
        target = f"../../{os.path.basename(task.path)}/{CLI}/{step.run_id}/{MANIFEST}"
        with (
            store.runs() as runs,
            runs.sub(OLD_POINTERS, create=True) as older,
            older.sub(step.run_id, create=True) as folder,
        ):
            folder.link(MANIFEST, target)
            folder.sync()
    else:
        _make_state(store, task, project)
    return ()


def _make_record(store: RunStore, task: Folder, step: Step) -> tuple[str, ...]:
    """Copy an early run's folder below ``cli/``: made aside and renamed, so that it is never seen half made."""
    # No run id, so that the recovery of a run that starts meanwhile does not take it for the remains of a claim.
    aside = f"migrating-{step.run_id}"
    left_out: list[str] = []
    with ExitStack() as stack:
        staging, cli = (stack.enter_context(task.sub(name, create=True)) for name in (STAGING, CLI))
        source = stack.enter_context(store.runs())
        for part in step.source:
            source = stack.enter_context(source.sub(part))
        staging.remove_folder(aside)
        with staging.sub(aside, create=True) as target:
            _copy(source, target, left_out, top=True)
            target.create(MANIFEST, step.data)
            target.sync()
        move_in(task, staging, cli, step.run_id, aside)
        cli.sync()
        staging.sync()
    return tuple(left_out)


def _copy(source: Folder, target: Folder, left_out: list[str], *, top: bool) -> None:
    for name in sorted(source.names()):
        if top and name in (MANIFEST, RUN_LOCK):
            continue
        mode = os.stat(name, dir_fd=source.fd, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            with source.sub(name) as inner, target.sub(name, create=True, sync=False) as copy:
                _copy(inner, copy, left_out, top=False)
                copy.sync()
        elif stat.S_ISREG(mode):
            _copy_file(source, target, name, stat.S_IMODE(mode) | 0o600)
        else:
            left_out.append(os.path.join(source.path, name))


def _copy_file(source: Folder, target: Folder, name: str, mode: int) -> None:
    reader = source.open_read(name)
    try:
        writer = target.open_new(name, mode)
        try:
            with explained(os.path.join(target.path, name)):
                while chunk := os.read(reader, _CHUNK):
                    write_all(target.seam, writer, chunk)
                target.seam.fsync(writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _make_state(store: RunStore, task: Folder, project: str | None) -> None:
    """Keep the state of version 1 beside the new one, which is then folded from the manifests of version 2."""
    with store.out(os.path.basename(task.path)) as out:
        state = folded_state(store, task, project)
        with suppress(FileNotFoundError):
            early = out.read(STATE, STATE_LIMIT)
            kept = out.read(STATE_V1, STATE_LIMIT) if out.has(STATE_V1) else None
            if kept != early:
                out.write(name_aside(out.has, stamp(store.clock.now()), is_early=True), early)
        out.write(STATE, render(state))


def _entry(item: EarlyItem, step: Step, left_out: Iterable[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": step.kind, "place": step.place, "from": item.place}
    links = list(left_out)
    return {**entry, "left_out": links} if links else entry


def _log_name(store: RunStore, logs: Folder) -> str:
    now = stamp(store.clock.now()).replace(":", "-").replace(".", "-")
    number, name = 1, f"{now}.json"
    while logs.has(name):
        number += 1
        name = f"{now}-{number}.json"
    return name


def _logged(store: RunStore, logs: Folder, name: str, done: Migrated) -> Migrated:
    """Write the log unless earlier logs tell all of it already."""
    known = _known(logs)
    if not done.made and all(item.place in known for item in done.found):
        return done
    _write_log(store, logs, name, done, None)
    log = store.workspace.shown(os.path.join(logs.path, name))
    return Migrated(done.task_id, done.found, done.made, log)


def _write_log(store: RunStore, logs: Folder, name: str, done: Migrated, error: str | None) -> None:
    document = {
        "schema_version": LOG_SCHEMA_VERSION,
        "migrated_at": stamp(store.clock.now()),
        "error": error,
        **done.as_json(),
    }
    logs.write(name, render(document))


def _known(logs: Folder) -> set[str]:
    """Return the places that earlier logs tell of."""
    known: set[str] = set()
    for name in logs.names():
        with suppress(FileNotFoundError, StorageError, DamagedRecord):
            log = parse(logs.read(name, _LOG_LIMIT), name)
            for key in ("found", "made", "left_alone"):
                entries = log.get(key)
                entries = entries if isinstance(entries, list) else []
                known |= {str(entry.get("place")) for entry in entries if isinstance(entry, dict)}
    return known
