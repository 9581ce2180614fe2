"""Links from a parent run to the runs that were started inside it.

A live parent's manifest is its own process's to write, so a child leaves a small file in the parent's
folder and the holder of the parent's lock takes it into ``child_runs``. Where the parent has ended, the
child takes its lock for that moment itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord, NotFound, Refused, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.json_values import json_text
from orchestrator.base.record import Record
from orchestrator.model.manifest.manifest import ChildRun, Manifest
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.find import goes_on, read_document, read_manifest
from orchestrator.store.layout import CHILDREN, Location
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import take_over

_NOTE_LIMIT = 16 * 1024


class ChildNote(Record):
    """What a child leaves in its parent's folder: itself, and the stage that it was started in."""

    run_id: str
    task_id: str
    stage_id: str | None


def leave_early_note(store: RunStore, child: Manifest) -> None:
    """Leave a note of a run that is about to be claimed, for whoever closes a parent that dies meanwhile.

    Of a run that never comes to be it says nothing. What goes wrong is found by ``leave_link``, once it is claimed.
    """
    parent = parent_location(child)
    if parent is not None:
        with suppress(NotFound, FileNotFoundError, DamagedRecord, StorageError):
            _leave(store, parent, child, sync=False)


def withdraw_note(store: RunStore, child: Manifest) -> None:
    """Take back the note of a run that could not be claimed, as far as the disk allows."""
    parent = parent_location(child)
    if parent is not None:
        with (
            suppress(FileNotFoundError, StorageError),
            store.run_folder(parent) as folder,
            folder.sub(CHILDREN) as children,
        ):
            children.remove(_note_name(child))


def leave_link(store: RunStore, child: Manifest) -> None:
    """Leave a note of ``child`` in its parent's folder, for the holder of the parent's lock.

    A parent of version 1 is never written to; one that is gone leaves only the child's end of the link. Raises
    StorageError.
    """
    parent = parent_location(child)
    if parent is not None:
        with suppress(NotFound, FileNotFoundError):
            _leave(store, parent, child, sync=True)


def _leave(store: RunStore, parent: Location, child: Manifest, *, sync: bool) -> None:
    with store.run_folder(parent) as folder:
        if not goes_on(folder, parent) and read_manifest(folder, parent)["version"] == 1:
            return
        note = ChildNote(child.run_id, child.task_id, child.lineage.parent_stage_id)
        with folder.sub(CHILDREN, create=True, sync=False) as children:
            data = json_text(note._asdict()).encode() + b"\n"
            children.write(_note_name(child), data, sync=sync, sync_folder=sync)
        if sync:
            folder.sync()


def _note_name(child: Manifest) -> str:
    return f"{child.run_id}.json"


def settle_with_parent(store: RunStore, child: Manifest) -> None:
    """Take the links left with the parent of ``child`` into its manifest, if the parent has ended."""
    parent = parent_location(child)
    if parent is None:
        return
    with suppress(FileNotFoundError, NotFound, Refused, DamagedRecord):
        with store.run_folder(parent) as folder:
            if goes_on(folder, parent):
                return
            document = read_manifest(folder, parent)
        if document["version"] == 1 or document["status"] not in TERMINAL:
            return
        run = take_over(store, parent)
        try:
            # Its line in the chain proves its stages: of an ended run only the list of children grows.
            children = with_children(store, run.folder, run.manifest).child_runs
            if children != run.manifest.child_runs:
                run.save(run.manifest._replace(child_runs=children))
        finally:
            run.close()


def parent_location(child: Manifest) -> Location | None:
    """Return where the parent of a run is, or None when it has none."""
    lineage = child.lineage
    if lineage.parentRunId is None or lineage.parent_task_id is None:
        return None
    return Location(lineage.parent_task_id, lineage.parentRunId)


def settled_children(manifest: Manifest) -> frozenset[str]:
    """Return the children that had ended when their stage did: an attempt that goes on need not read them again."""
    over = {command.id for command in manifest.commands if command.status not in ("pending", "running")}
    return frozenset(
        child.run_id for child in manifest.child_runs if child.status in TERMINAL and child.stage_id in over
    )


def with_children(
    store: RunStore, folder: Folder, manifest: Manifest, settled: frozenset[str] = frozenset()
) -> Manifest:
    """Return the manifest with every child that left a note in ``folder``, in its current state.

    Those that are ``settled`` stay as the manifest has them. What has not changed is the same object, which is written
    without being rendered anew.
    """
    known = {child.run_id: child for child in manifest.child_runs}
    for note in notes_left(folder, settled):
        where = Location(note.task_id, note.run_id)
        with suppress(NotFound, DamagedRecord, StorageError):
            document = read_document(store, where)
            found = ChildRun(
                run_id=note.run_id,
                pipeline_id=document["pipeline_id"],
                status=document["status"],
                manifest=store.paths(where).manifest,
                task_id=note.task_id,
                project=str(document.get("project") or ""),
                stage_id=note.stage_id,
            )
            if known.get(note.run_id) != found:
                known[note.run_id] = found
    return linked(manifest, known.values())


def linked(manifest: Manifest, children: Iterable[ChildRun]) -> Manifest:
    """Return the manifest with these children in their current state; the same object where it has them so."""
    known = {child.run_id: child for child in (*manifest.child_runs, *children)}
    children = tuple(known[run_id] for run_id in sorted(known))
    by_stage = {child.stage_id: child.run_id for child in children}
    commands = tuple(
        command._replace(sub_run_id=by_stage[command.id])
        if command.kind == "subpipeline"
        and command.status != "pending"
        and by_stage.get(command.id, command.sub_run_id) != command.sub_run_id
        else command
        for command in manifest.commands
    )
    if children == manifest.child_runs and commands == manifest.commands:
        return manifest
    return manifest._replace(child_runs=children, commands=commands)


def notes_left(folder: Folder, settled: frozenset[str] = frozenset()) -> Iterator[ChildNote]:
    """Yield the note of each child that left one in a run's ``folder``; what can't be read is none.

    Notes of ``settled`` children are passed over.
    """
    try:
        children = folder.sub(CHILDREN)
    except FileNotFoundError:
        return
    with children:
        for name in sorted(children.names()):
            if name.removesuffix(".json") in settled:
                continue
            with suppress(ValueError, RecursionError, StorageError, FileNotFoundError, DamagedRecord):
                note = ChildNote.from_json(json_codec.loads(children.read(name, _NOTE_LIMIT)))
                if (
                    name == f"{note.run_id}.json"
                    and is_run_id(note.run_id)
                    and name_fault("task", note.task_id) is None
                ):
                    yield note
