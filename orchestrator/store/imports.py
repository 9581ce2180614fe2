"""Taking runs of another machine's records in: copied aside, whole, then put in their place and published.

A staged folder is complete when it holds ``imported.json``, which has all that is published of the run. From then on
whoever looks at the list of open runs can finish it; before, it is swept like any claim that died.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress

from orchestrator.base.clock import stamp
from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder, Lock, write_all
from orchestrator.base.identifiers import RUN_ID_LENGTH
from orchestrator.base.json_values import json_text
from orchestrator.base.record import Record
from orchestrator.model.manifest.document import parse, render
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.chain import Line, PlacedLine, is_end, lines_in, parsed, write_hint
from orchestrator.store.decision_lines import KIND as DECISION
from orchestrator.store.find import read_manifest
from orchestrator.store.import_lines import NOTE_LIMIT, Origin, add_import
from orchestrator.store.layout import (
    CHAIN,
    CLI,
    COMMANDS,
    IMPORTED,
    MANIFEST,
    MCP,
    METRICS,
    OLD_POINTERS,
    OPEN,
    RUN_LOCK,
    STAGING,
    STATE,
    Location,
)
from orchestrator.store.metrics_line import event_id
from orchestrator.store.owner import write_owner
from orchestrator.store.pointers import point_older, pointer_bytes
from orchestrator.store.publish import check_publishable, folded_state
from orchestrator.store.run_files import chunks_of, size_of
from orchestrator.store.run_index import changing, move_in
from orchestrator.store.state_file import added, entry_of, is_readable
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RUN_ID = b'"run_id": "'
_STATE_LIMIT = 4 * 1024 * 1024
_DEEPEST_FOLDER = 16


class ImportNote(Record):
    """What is published of an imported run: where it comes from, its lines of that chain, and of those metrics."""

    imported_from: Origin
    lines: tuple[Mapping[str, Any], ...]
    metrics: tuple[Mapping[str, Any], ...]


def stage(store: RunStore, where: Location, source: Folder, note: ImportNote) -> Lock:
    """Copy the folder of a run aside, and put it on the list of open runs; its lock is held, and returned.

    Links, pipes and devices are not followed or copied: StorageError, with nothing left behind.
    """
    check_publishable(store, where.task_id)
    with ExitStack() as stack:
        runs = stack.enter_context(store.runs(create=True))
        task = stack.enter_context(runs.sub(where.task_id, create=True))
        names = (STAGING, OPEN, CLI, MCP)
        staging, opened, *_ = (stack.enter_context(task.sub(name, create=True)) for name in names)
        staging.remove_folder(where.run_id)
        folder = stack.enter_context(staging.sub(where.run_id, create=True))
        lock = folder.lock(RUN_LOCK, blocking=True)
        assert lock is not None  # noqa: S101 -- a blocking lock is always granted
        try:
            write_owner(folder, lock, "close")
            copy_files(source, folder)
            content = {**note._asdict(), "imported_from": note.imported_from.as_json()}
            folder.create(IMPORTED, json_text(content, ensure_ascii=False).encode() + b"\n")
            folder.sync()
            staging.sync()
            if not opened.has(where.run_id):
                opened.create(where.run_id, b"", sync=False)
            opened.sync()
        except BaseException:
            with suppress(StorageError):
                staging.remove_folder(where.run_id)
            lock.release()
            raise
    return lock


def copy_files(source: Folder, target: Folder, depth: int = 0) -> None:
    """Copy what may leave a machine: all but hidden files (the token and locks are such) and an older note."""
    for name in sorted(source.names()):
        if name.startswith(".") or name.endswith(".lock") or (depth == 0 and name == IMPORTED):
            continue
        if stat.S_ISDIR(os.stat(name, dir_fd=source.fd, follow_symlinks=False).st_mode):
            if depth == _DEEPEST_FOLDER:
                raise StorageError(f"'{source.path}/{name}' lies too deep for a folder of a run", code="too-deep")
            with source.sub(name) as inner, target.sub(name, create=True, sync=False) as made:
                copy_files(inner, made, depth + 1)
                made.sync()
            continue
        fd = target.open_new(name)
        try:
            for chunk in chunks_of(source, name, size_of(source, name)):
                write_all(target.seam, fd, chunk)
            if os.path.basename(target.path) != COMMANDS:  # logs are not synced when they are written, either
                target.seam.fsync(fd)
        finally:
            os.close(fd)


def publish_imports(store: RunStore, task_id: str, run_ids: Sequence[str]) -> None:
    """Put staged runs of a task in their place and publish them: chain, metrics, state, pointers.

    Doing it again changes nothing. Raises StorageError; then the next command that writes finishes it.
    """
    with store.task(task_id) as task, store.lock_task(task):
        known = _Known.of(task, run_ids)
        placed = [found for run_id in run_ids if (found := _place(store, task, run_id, known)) is not None]
        task.sync()
        if placed:
            _write_state(store, task, placed)
        for manifest, _ in placed:
            _point(store, task, manifest)
        with task.sub(OPEN, create=True, sync=False) as opened, task.sub(STAGING, create=True, sync=False) as staging:
            for run_id in run_ids:
                staging.remove_folder(f"{run_id}.before")
                opened.remove(run_id)


class _Known(Record):
    """What a task's chain has of some runs, with where each line begins (bytes), and their attempts in the metrics."""

    lines: dict[str, list[tuple[Line, int]]]
    events: set[str]

    @classmethod
    def of(cls, task: Folder, run_ids: Sequence[str]) -> _Known:
        """Read both files once: of lines about other runs only the beginning is looked at."""
        lines: dict[str, list[tuple[Line, int]]] = {run_id: [] for run_id in run_ids}
        events = set()
        for data, offset in _lines_about(task, CHAIN, lines):
            for inner in lines_in(parsed(data) or {}):
                if inner.get("run_id") in lines:
                    lines[str(inner["run_id"])].append((inner, offset))
        for data, _ in _lines_about(task, METRICS, lines):
            events.add(str((parsed(data) or {}).get("event_id")))
        return cls(lines, events)


def _lines_about(task: Folder, name: str, wanted: Container[str]) -> Iterator[tuple[bytes, int]]:
    """Yield the whole lines whose first ``run_id`` is a wanted one, each with where it begins."""
    with suppress(FileNotFoundError), open(task.open_read(name), "rb") as file:
        offset = 0
        for data in file:
            begin = data.find(_RUN_ID) + len(_RUN_ID)
            if data[begin : begin + RUN_ID_LENGTH].decode("ascii", "replace") in wanted and data.endswith(b"\n"):
                yield data, offset
            offset += len(data)


def is_left(task: Folder, run_id: str) -> bool:
    """Tell whether nobody goes on with a staged import."""
    with suppress(FileNotFoundError), task.sub(STAGING) as staging, staging.sub(run_id) as folder:
        return folder.has(IMPORTED) and not folder.is_locked(RUN_LOCK)
    return False


def _note_in(folder: Folder) -> ImportNote:
    path = f"{folder.path}/{IMPORTED}"
    return ImportNote.from_json(parse(folder.read(IMPORTED, NOTE_LIMIT), path))


def _place(store: RunStore, task: Folder, run_id: str, known: _Known) -> tuple[Manifest, bool] | None:
    """Move a staged run in its place and add what the chain and the metrics lack of it.

    Returns its record, and whether the task's chain had no line of it before.
    """
    where = Location(os.path.basename(task.path), run_id)
    with task.sub(STAGING, create=True, sync=False) as staging, task.sub(CLI, create=True, sync=False) as cli:
        with suppress(FileNotFoundError), staging.sub(run_id) as staged:
            if not staged.has(IMPORTED):
                return None
            if cli.has(run_id):
                with changing(task):
                    cli.move_to(run_id, staging, f"{run_id}.before")
            move_in(task, staging, cli, run_id)
            cli.sync()
        try:
            folder = cli.sub(run_id)
        except FileNotFoundError:
            return None
        with folder:
            note = _note_in(folder)
            now = stamp(store.clock.now())
            is_new = not known.lines[run_id]
            missing = list(_missing([line for line, _ in known.lines[run_id]], note.lines))
            if missing:
                added_line = add_import(task, run_id, note.imported_from, missing, now)
                known.lines[run_id] += [(line, added_line.offset) for line in missing]
            for line in note.metrics:
                if line.get("event_id") not in known.events:
                    # Dated now: windows of time are read by when a line was written, from the end.
                    task.append_line(METRICS, json_text({**line, "recorded_at": now}, ensure_ascii=False).encode())
                    known.events.add(str(line.get("event_id")))
            if task.has(METRICS):
                task.sync_file(METRICS)
            return _with_decisions(folder, where, known.lines[run_id]), is_new


def _missing(there: Sequence[Line], lines: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """Yield the lines of a run that are not among those that the task's chain has of it."""
    ends = {line.get("event_id") for line in there if is_end(line)}
    decisions = [line.get("decision") for line in there if line.get("kind") == DECISION]
    for line in lines:
        if (is_end(line) and line.get("event_id") not in ends) or (
            line.get("kind") == DECISION and line.get("decision") not in decisions
        ):
            yield dict(line)


def _with_decisions(folder: Folder, where: Location, lines: Sequence[tuple[Line, int]]) -> Manifest:
    """Return the record, with the decisions of the chain in its order: some may have been made here."""
    document = read_manifest(folder, where)
    known = [line.get("decision") for line, _ in lines if line.get("kind") == DECISION]
    older = [entry for entry in document["approvals"] if entry not in known]
    if [*older, *known] != document["approvals"]:
        document["approvals"] = [*older, *known]
        folder.write(MANIFEST, render(document))
    manifest = load(document, f"{folder.path}/{MANIFEST}")
    event = event_id(where.run_id, manifest.attempt)
    link = next((PlacedLine(*found) for found in lines if is_end(found[0]) and found[0].get("event_id") == event), None)
    if link is not None:
        write_hint(folder, link)
    return manifest


def _write_state(store: RunStore, task: Folder, placed: Sequence[tuple[Manifest, bool]]) -> None:
    """Add runs to the state: it is made anew where it can't tell whether it holds one of them already."""
    task_id = os.path.basename(task.path)
    with store.out(task_id) as out:
        revision = 0
        before: dict[str, Any] = {}
        with suppress(FileNotFoundError, DamagedRecord, StorageError):
            before = parse(out.read(STATE, _STATE_LIMIT), STATE)
            revision = before["revision"] if isinstance(before.get("revision"), int) else 0
        project = str(before.get("project") or placed[-1][0].project)
        state: Mapping[str, Any] | None = before if is_readable(before, task_id) else None
        for manifest, is_new in placed:
            state = None if state is None else added(dict(state), entry_of(manifest.as_json()), certain=is_new)
        state = folded_state(store, task, project) if state is None else {**state, "project": project}
        out.write(STATE, render({**state, "revision": revision + 1}))


def _point(store: RunStore, task: Folder, manifest: Manifest) -> None:
    where = Location(manifest.task_id, manifest.run_id)
    with (
        store.runs() as runs,
        runs.sub(OLD_POINTERS, create=True) as pointers,
        task.sub(MCP, create=True) as mcp,
        mcp.sub(where.run_id, create=True) as pointer,
    ):
        pointer.write(MANIFEST, pointer_bytes(store, manifest))
        point_older(pointers, where)
