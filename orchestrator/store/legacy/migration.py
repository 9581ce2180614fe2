"""What the early version left behind, and what is missing for the index to hold it. Reads only.

Nothing that is there is rewritten, moved or deleted, but ``state.json`` of version 1: see ``migrating``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_task_folder, name_fault
from orchestrator.base.json_values import json_text
from orchestrator.model.manifest.document import MANIFEST_LIMIT
from orchestrator.store.find import read_document, run_ids, task_ids
from orchestrator.store.layout import CLI, MANIFEST, MCP, OLD_POINTERS, STATE, Location
from orchestrator.store.legacy.early_folders import early_record, holds, is_indexed, is_task, result_of, shown
from orchestrator.store.legacy.early_records import Document, as_version_1, index_id, is_whole, may_be_running
from orchestrator.store.legacy.state import STATE_V1, is_early_state
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

MIGRATIONS = "migrations"
_MOST_BESIDE = 2000
STATE_LIMIT = 64 * 1024 * 1024
"""Version 1 kept every run in its state; more bytes than this are not read."""

StepKind: TypeAlias = "Literal['record', 'pointer', 'older-pointer', 'state']"
TaskOf = Callable[[Document], tuple[str | None, str]]
"""Tells the task of a record that names none, or None and why it can't be known."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to make at ``place``: ``data`` is what its file, or its ``manifest.json``, will hold."""

    kind: StepKind
    place: str
    run_id: str = ""
    data: bytes = b""
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EarlyItem:
    """A thing of the early version: what is to be made for it, or why it is left alone.

    ``kind`` is run (below ``cli/``), older-run, session, summary, other, state or task; ``place`` is from the
    workspace, ``name`` the folder's name, ``run_id`` its run in the index.
    """

    kind: str
    place: str
    name: str = ""
    run_id: str | None = None
    steps: tuple[Step, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A record directly below ``.runs/local-mcp/``, and the task that it goes to: None where that can't be known."""

    name: str
    document: Document
    task_id: str | None
    reason: str = ""


def sessions(store: RunStore, task_of: TaskOf) -> list[Session]:
    """Return the real records below ``.runs/local-mcp/``; the pointers in there are not among them."""
    found = []
    with suppress(FileNotFoundError), store.runs() as runs, runs.sub(OLD_POINTERS) as older:
        for name in sorted(older.names()):
            document, _ = early_record(older, name)
            if document is None:
                continue
            named = document.get("task_id")
            is_named = isinstance(named, str) and is_task_folder(named)
            task, reason = (str(named), "") if is_named else task_of(document)
            found.append(Session(name, document, task, reason))
    return found


def unplaced(store: RunStore, every: list[Session]) -> list[EarlyItem]:
    """Return what belongs to no task: sessions without one, unreadable records, folders that can be no task's."""
    found = []
    with suppress(FileNotFoundError), store.runs() as runs:
        for name in sorted(runs.names()):
            fault = name_fault("task", name)
            if (
                fault is not None
                and not is_task_folder(name)
                and name != OLD_POINTERS
                and name[0] != "."
                and is_task(store, name)
            ):
                found.append(EarlyItem("task", shown(store, name), name, reason=fault))
        with suppress(FileNotFoundError), runs.sub(OLD_POINTERS) as older:
            for name in sorted(older.names()):
                document, fault = early_record(older, name)
                if document is None and fault:
                    found.append(EarlyItem("session", shown(store, OLD_POINTERS, name), name, reason=fault))
    for session in every:
        if session.task_id is None:
            place, run_id = shown(store, OLD_POINTERS, session.name), index_id(session.name, session.document)
            reason = "" if is_indexed(store, run_id) else session.reason
            found.append(EarlyItem("session", place, session.name, run_id, reason=reason))
    return found


def tasks_of(store: RunStore, every: list[Session]) -> list[str]:
    """Return the tasks that have, or will have, runs or an early state, sorted."""
    states = []
    with suppress(FileNotFoundError, StorageError), Folder.at(store.workspace.out_dir, store.seam) as out:
        states = [name for name in out.names() if is_task_folder(name)]
    named = {session.task_id for session in every if session.task_id is not None}
    return sorted({*task_ids(store), *states, *named})


def survey(store: RunStore, task_id: str, every: list[Session]) -> list[EarlyItem]:
    """Return what the early version left under a task. What can't be read is left alone, with the reason."""
    mine = [session for session in every if session.task_id == task_id]
    taken = set(run_ids(store, task_id))
    return [
        *_runs(store, task_id),
        *_older_runs(store, task_id, taken),
        *(_session(store, task_id, session, taken) for session in mine),
        *_summaries(store, task_id),
        *_state(store, task_id),
    ]


def _runs(store: RunStore, task_id: str) -> Iterator[EarlyItem]:
    for run_id in run_ids(store, task_id):
        where = Location(task_id, run_id)
        place = store.paths(where).folder
        try:
            document = read_document(store, where)
        except (DamagedRecord, StorageError, NotFound) as error:
            yield EarlyItem("run", place, run_id, run_id, reason=error.message)
            continue
        if document["version"] == 1:
            steps = (*_pointer(store, where, document), *_older_pointer(store, where))
            yield EarlyItem("run", place, run_id, run_id, steps)


def _older_runs(store: RunStore, task_id: str, taken: set[str]) -> Iterator[EarlyItem]:
    with suppress(FileNotFoundError), store.task(task_id) as task, task.sub(MCP) as mcp:
        for name in sorted(mcp.names()):
            place = shown(store, task_id, MCP, name)
            document, fault = early_record(mcp, name)
            if document is None:
                if fault:
                    yield EarlyItem("older-run", place, name, reason=fault)
                continue
            yield _record(store, "older-run", task_id, (task_id, MCP, name), document, mcp, taken)


def _session(store: RunStore, task_id: str, session: Session, taken: set[str]) -> EarlyItem:
    run_id = index_id(session.name, session.document)
    if is_indexed(store, run_id):
        return EarlyItem("session", shown(store, OLD_POINTERS, session.name), session.name, run_id)
    with store.runs() as runs, runs.sub(OLD_POINTERS) as older:
        source = (OLD_POINTERS, session.name)
        return _record(store, "session", task_id, source, session.document, older, taken)


def _record(
    store: RunStore,
    kind: str,
    task_id: str,
    source: tuple[str, ...],
    document: Document,
    parent: Folder,
    taken: set[str],
) -> EarlyItem:
    """Return a record that lies elsewhere, with the step that puts a copy of it below ``cli/``."""
    name, place = source[-1], shown(store, *source)
    run_id = index_id(name, document)
    if run_id is None:
        return EarlyItem(kind, place, name, reason="it does not say when it started, so it can get no run id")
    if run_id in taken:
        return EarlyItem(kind, place, name, run_id)
    if may_be_running(document, store.clock.now()):
        return EarlyItem(
            kind, place, name, run_id, reason="it had a sign of life just now; migrate again when it has ended"
        )
    taken.add(run_id)
    where = Location(task_id, run_id)
    with parent.sub(name) as folder:
        raw = folder.read(MANIFEST, MANIFEST_LIMIT)
        result = result_of(folder)
    data = raw
    if not is_whole(document, run_id):
        record = as_version_1(
            document,
            result,
            run_id=run_id,
            task_id=task_id,
            folder=store.paths(where).folder,
            source=place,
            digest=hashlib.sha256(raw).hexdigest(),
        )
        data = json_text(record, indent=2, ensure_ascii=False).encode() + b"\n"
    steps = [Step("record", store.paths(where).folder, run_id, data, source)]
    if name != run_id or kind == "session":
        # An older run's own folder stands where its pointer would, and is better than one.
        steps += _pointer(store, where, json.loads(data))
    steps += _older_pointer(store, where)
    return EarlyItem(kind, place, name, run_id, tuple(steps))


def _pointer(store: RunStore, where: Location, document: Document) -> Iterator[Step]:
    if holds(store, (where.task_id, MCP, where.run_id), MANIFEST):
        return
    paths = store.paths(where)
    pointer = {
        "redirect_to": paths.folder,
        "manifest": paths.manifest,
        "status": document["status"],
        "completed_at": document.get("completed_at"),
        "updated_at": document.get("updated_at"),
    }
    data = json_text(pointer, indent=2).encode() + b"\n"
    yield Step("pointer", f"{paths.pointer_folder}/{MANIFEST}", where.run_id, data)


def _older_pointer(store: RunStore, where: Location) -> Iterator[Step]:
    if not holds(store, (OLD_POINTERS, where.run_id), MANIFEST):
        yield Step("older-pointer", shown(store, OLD_POINTERS, where.run_id, MANIFEST), where.run_id)


def _summaries(store: RunStore, task_id: str) -> Iterator[EarlyItem]:
    """Yield the manifests beside a task's ``cli/`` and ``mcp/``: summaries of records, and layouts of before these.

    In October and November 2025 a run lay directly below its task (``artifacts, validations`` and no commands), and
    approvals of specs in a folder of their own. They are named, and stay as they are.
    """
    with suppress(FileNotFoundError), store.task(task_id) as task:
        recorded = set(run_ids(store, task_id))
        for path in _manifests_beside(task):
            name = path[-1]
            if name in recorded:
                reason = "a summary of the early version beside its record; it is no record, and nothing reads it"
                yield EarlyItem("summary", shown(store, task_id, *path), name, name, reason=reason)
                continue
            with ExitStack() as stack:
                folder = task
                for part in path[:-1]:
                    folder = stack.enter_context(folder.sub(part))
                document, fault = early_record(folder, name)
            if document is None and not fault:
                continue
            reason = fault or f"a record of an earlier layout, {_words_of(document or {})}; read it where it is"
            yield EarlyItem("other", shown(store, task_id, *path), name, reason=reason)


def _manifests_beside(task: Folder) -> Iterator[tuple[str, ...]]:
    """Yield the folders with a manifest directly below a task, and one below these, but those of known layouts."""
    for name in sorted(task.names())[:_MOST_BESIDE]:
        if name in (CLI, MCP, MIGRATIONS) or name.startswith("."):
            continue
        with suppress(FileNotFoundError, StorageError), task.sub(name) as folder:
            if folder.has(MANIFEST):
                yield (name,)
                continue
            for inner in sorted(folder.names())[:_MOST_BESIDE]:
                with suppress(FileNotFoundError, StorageError), folder.sub(inner) as deeper:
                    if deeper.has(MANIFEST):
                        yield (name, inner)


def _words_of(document: Document) -> str:
    event = document.get("event")
    if isinstance(event, str):
        return f"an event '{event[:40]}' and no run"
    return "which has no commands" if not isinstance(document.get("commands"), list) else "beside the others"


def _state(store: RunStore, task_id: str) -> Iterator[EarlyItem]:
    place = store.workspace.shown(os.path.join(store.workspace.out_dir, task_id, STATE))
    with suppress(FileNotFoundError), Folder.at(store.workspace.out_dir, store.seam) as out, out.sub(task_id) as folder:
        raw = None
        with suppress(FileNotFoundError):
            raw = folder.read(STATE, STATE_LIMIT)
        half_done = raw is None and folder.has(STATE_V1)
        if half_done or (raw is not None and is_early_state(raw)):
            yield EarlyItem("state", place, STATE, steps=(Step("state", place),))
