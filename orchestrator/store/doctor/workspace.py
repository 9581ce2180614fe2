"""Looking at all that runs left behind in a workspace. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import is_run_id, is_task_folder
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.doctor.filesystem import inspect_file_system
from orchestrator.store.doctor.finding import repairable
from orchestrator.store.doctor.planted_files import planted
from orchestrator.store.doctor.records import redirect_of
from orchestrator.store.doctor.tasks import TaskSeen, inspect_task
from orchestrator.store.doctor.undelivered import undelivered
from orchestrator.store.find import task_ids
from orchestrator.store.layout import OLD_POINTERS, Location
from orchestrator.store.pending_prune import on_their_way
from orchestrator.store.permissions import exposed_folders
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TARGET = re.compile(r"\.\./\.\./([^/]+)/cli/([^/]+)/manifest\.json")


@dataclass(frozen=True, slots=True)
class RecordsSeen:
    """The tasks of a workspace, and everything that is wrong with its records."""

    tasks: tuple[TaskSeen, ...]
    findings: tuple[Finding, ...]


def inspect_records(store: RunStore, looked: Callable[[object], None] = lambda run: None) -> RecordsSeen:
    """Return what is wrong with the records of a workspace; ``looked`` gets each run after it was looked at."""
    findings = [*_folders(store), *planted(store), *undelivered(store)]
    tasks = []
    try:
        names = task_ids(store)
    except StorageError as error:
        return RecordsSeen((), (*findings, _unreadable(store.workspace.shown(store.workspace.runs_dir), error)))
    for task_id in names:
        try:
            tasks.append(inspect_task(store, task_id, full_check, looked))
        except FileNotFoundError:
            continue
        except StorageError as error:
            place = store.workspace.shown(os.path.join(store.workspace.runs_dir, task_id))
            findings.append(_unreadable(place, error))
    for task in tasks:
        findings += task.all_findings()
    known = {run.where.run_id for task in tasks for run in task.runs}
    for run_id in older_orphans(store, known):
        place = store.workspace.shown(os.path.join(store.workspace.runs_dir, OLD_POINTERS, run_id))
        findings.append(repairable("older-pointer-dangling", place, "it leads to a run that is not there"))
    return RecordsSeen(tuple(tasks), tuple(findings))


def _unreadable(place: str, error: StorageError) -> Finding:
    return Finding(error.code, place, error.message, hint=error.hint)


def full_check(document: dict[str, Any], where: str) -> Manifest:
    """Return the manifest of a record of version 2 that passes the model, its own rules and so the JSON Schema.

    The schema is made of the kinds that ``load`` reads with, and asks for less (``test_manifest_schema.py`` shows it):
    to ask a validator too takes 20 ms a record, seven tenths of a ``verify --all``. Raises DamagedRecord.
    """
    manifest = load(document, where)
    try:
        manifest.check()
    except ValueError as error:
        raise DamagedRecord(f"'{where}' contradicts itself: {error}") from error
    return manifest


def _folders(store: RunStore) -> Iterator[Finding]:
    """Yield what is wrong with the workspace's own folders: who may write there, and on what they are."""
    workspace = store.workspace
    for path in exposed_folders(workspace):
        message = "everybody may write there: records can be taken away, and links planted"
        yield Finding("world-writable", workspace.shown(path), message, hint=f"chmod o-w '{path}'", level="warning")
    seen = set()
    for path in (workspace.runs_dir, workspace.out_dir):
        while not os.path.isdir(path):
            path = os.path.dirname(path)
        with suppress(OSError):
            device = os.stat(path).st_dev
            if device not in seen:
                seen.add(device)
                yield from inspect_file_system(path, workspace.shown(path), store.seam)


def older_orphans(store: RunStore, known: set[str]) -> list[str]:
    """Return the ids of older pointers, but those of ``known`` runs, that lead to runs that aren't there."""
    found = []
    with suppress(FileNotFoundError, StorageError), store.runs() as runs, runs.sub(OLD_POINTERS) as pointers:
        for run_id in sorted(set(pointers.names()) - known):
            with suppress(FileNotFoundError, StorageError), pointers.sub(run_id) as folder:
                target = _TARGET.fullmatch(redirect_of(folder) or "")
                if is_run_id(run_id) and target is not None and not _is_there(store, target[1], target[2]):
                    found.append(run_id)
    return found


def _is_there(store: RunStore, task_id: str, run_id: str) -> bool:
    if not is_task_folder(task_id) or not is_run_id(run_id):
        return True
    with suppress(FileNotFoundError), store.run_folder(Location(task_id, run_id)):
        return True
    with suppress(FileNotFoundError, StorageError), store.task(task_id) as task:
        return run_id in on_their_way(task)
    return False
