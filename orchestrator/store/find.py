"""Finding and reading runs, without writing."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator

from orchestrator.base.clock import datetime
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError, UsageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import (
    RESERVED_PIPELINES,
    check_run_reference,
    is_run_id,
    is_task_folder,
    migrated_run_id,
    nearest,
    only_run_ids,
)
from orchestrator.base.limits import DEEPEST_NESTING
from orchestrator.model.manifest.document import (
    DAMAGED_HINT,
    MANIFEST_LIMIT,
    check_outline,
    check_version,
    is_in_progress,
    parse,
)
from orchestrator.store.claim_order import claims_backwards
from orchestrator.store.layout import CLI, IMPORTED, MANIFEST, OLD_POINTERS, OPEN, Location
from orchestrator.store.liveness import Sign, sign_of_life
from orchestrator.store.store import RunStore, is_pruning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_COMPARED = 1000
"""So many ids are compared with one that nobody knows."""
_ALIKE = 0.9
"""Ids of one day have most of their text in common; only a slip of the hand is taken for another run."""
_MOST_CHILDREN = 256
"""So many records are read for ``latest``, at 0.1 ms each."""


def task_ids(store: RunStore) -> list[str]:
    """Return the ids of the tasks that have runs, sorted; a file or a link beside them is none."""
    try:
        with store.runs() as runs:
            return sorted(name for name in runs.names() if is_task_folder(name) and runs.has_folder(name))
    except FileNotFoundError:
        return []


def run_ids(store: RunStore, task_id: str) -> list[str]:
    """Return the ids of a task's runs, oldest first; those that are being pruned are no longer among them."""
    try:
        with store.task(task_id) as task, task.sub(CLI) as cli:
            names = only_run_ids(cli.names())
            if not is_pruning(task):
                return names
            from orchestrator.store.pending_prune import on_their_way  # hardly ever needed

            gone = on_their_way(task)
            return [name for name in names if name not in gone]
    except FileNotFoundError:
        return []


def open_runs(store: RunStore, task_id: str) -> frozenset[str]:
    """Return the runs of a task whose end is not fully published, those that go on among them."""
    with (
        contextlib.suppress(FileNotFoundError, StorageError),
        store.task(task_id) as task,
        task.sub(OPEN) as opened,
    ):
        return frozenset(opened.names())
    return frozenset()


def find_run(store: RunStore, reference: str = "latest") -> Location:
    """Return the run that an id, a unique prefix or ``latest`` names: the newest one that no other run started.

    A whole id costs no listing of runs. Raises NotFound, or UsageError for an ambiguous prefix or a
    reference that is no run id at all.
    """
    _check_reference(store, reference)
    if is_run_id(reference):
        found = place(store, reference)
        if found is None:
            raise _no_run(store, reference, _newest_ids(store))
        _refuse_on_its_way(store, found)
        return found
    if reference == "latest":
        return _latest(store)
    every = _every(store)
    matches = sorted((run_id, task_id) for run_id, task_id in every if run_id.startswith(reference))
    matches = matches or _migrated(every, reference)
    if not matches:
        raise _no_run(store, reference, [run_id for run_id, _ in every[-_COMPARED:]])
    if len(matches) > 1:
        shown = ", ".join(run_id for run_id, _ in matches[:5])
        raise UsageError(
            f"'{reference}' names {len(matches)} runs: {shown}{', …' if len(matches) > 5 else ''}",
            hint="give more of the id",
            code="ambiguous-run",
        )
    return Location(matches[0][1], matches[0][0])


def _no_run(store: RunStore, reference: str, ids: list[str]) -> NotFound:
    """Return the refusal of a run that is not there, and may be one of ``ids``. Raises that of a pruned one."""
    from orchestrator.store.find_pruned import refuse_pruned

    refuse_pruned(store, reference, task_ids(store))
    match = nearest(reference, ids, _ALIKE)
    hint = f"did you mean '{match}'?" if match else "codex-orchestrator runs"
    return NotFound(f"there is no run '{reference}' in this workspace", hint=hint if ids else "")


def _newest_ids(store: RunStore) -> list[str]:
    """Return the newest runs of the last tasks, oldest first, without listing very many."""
    from orchestrator.store.run_index import newest_names

    found: list[str] = []
    for task_id in reversed(task_ids(store)):
        with contextlib.suppress(FileNotFoundError), store.task(task_id) as task, task.sub(CLI) as cli:
            found += itertools.islice(newest_names(task, cli)[1], _COMPARED - len(found))
    return found[::-1]


def _refuse_on_its_way(store: RunStore, where: Location) -> None:
    with contextlib.suppress(FileNotFoundError, StorageError), store.task(where.task_id) as task:
        if not is_pruning(task):
            return
    from orchestrator.store.find_pruned import refuse_on_its_way

    refuse_on_its_way(store, where)


def _every(store: RunStore) -> list[tuple[str, str]]:
    return [(run_id, task_id) for task_id in task_ids(store) for run_id in run_ids(store, task_id)]


def _latest(store: RunStore) -> Location:
    """Return the run that was claimed last of those that were not started inside another one of this workspace.

    A record that can't be read counts as such, so that it is named. Of a run with very many children, its root
    is taken without looking at the rest. Raises NotFound.
    """
    newest: Location | None = None
    where: Location | None = None
    for where in itertools.islice(_last_claimed(store), _MOST_CHILDREN):
        above = _parent(store, where)
        if above is not None:
            newest = newest or where
        elif not _never_latest(store, where):
            return where
    above, found = (None, None) if newest is None else (_parent(store, newest), newest)
    for _ in range(DEEPEST_NESTING):  # deeper is refused at the start, so no record leads in a circle
        if above is None:
            break
        found, above = above, _parent(store, above)
    if where is None:
        raise NotFound("there are no runs in this workspace yet", hint="codex-orchestrator start --project NAME")
    if found is None or _never_latest(store, found):  # children only, of a run that is aside itself
        raise NotFound(
            "no run of this workspace is the latest: imported runs, and those of exec and prove, never are",
            hint="name a run by its id: codex-orchestrator runs",
        )
    return found


def _last_claimed(store: RunStore) -> Iterator[Location]:
    """Yield the runs that are there, the last one to be claimed first; those that nobody noted come last, by id."""
    known = set()
    with contextlib.suppress(FileNotFoundError), store.runs() as runs:
        for run_id in claims_backwards(runs):
            known.add(run_id)
            where = place(store, run_id)
            if where is not None:
                yield where
    for run_id, task_id in sorted(_every(store), reverse=True):
        if run_id not in known:
            yield Location(task_id, run_id)


def _never_latest(store: RunStore, where: Location) -> bool:
    """Tell whether nobody means a run by the last one: of a pipeline aside, or imported (contract, section 4)."""
    with contextlib.suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder:
        if folder.has(IMPORTED):
            return True
    try:
        return read_document(store, where).get("pipeline_id") in RESERVED_PIPELINES
    except (NotFound, DamagedRecord, StorageError):
        return False


def _parent(store: RunStore, where: Location) -> Location | None:
    """Return where the parent of a run is; None when it has none in this workspace, or can't be read."""
    try:
        record = read_document(store, where)
    except (NotFound, DamagedRecord, StorageError):
        return None
    parent, lineage = record.get("parent_run_id"), record.get("lineage")
    if not isinstance(parent, str) or not is_run_id(parent):
        return None
    task_id = lineage.get("parent_task_id") if isinstance(lineage, dict) else None
    if isinstance(task_id, str) and is_task_folder(task_id):
        found = Location(task_id, parent)
        return found if _exists(store, found) else None
    return place(store, parent)


def _migrated(every: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    """Return the runs that ``migrate`` took in from a folder ``name``, which was no run id."""
    digits = migrated_run_id(name, datetime.min)[-8:]
    return sorted((run_id, task_id) for run_id, task_id in every if run_id.endswith(f"-{digits}"))


def _check_reference(store: RunStore, reference: str) -> None:
    try:
        check_run_reference(reference)
    except UsageError as error:
        every = _every(store)
        if _migrated(every, reference):
            return  # an early version's name for a run, in whatever form
        match = nearest(reference, (run_id for run_id, _ in every), _ALIKE) or nearest(reference, ("latest",))
        if match is None:
            raise
        raise UsageError(error.message, hint=f"did you mean '{match}'?", code=error.code) from None


def place(store: RunStore, run_id: str) -> Location | None:
    """Return where a run is by its id, without listing runs; None where there is none."""
    return _by_pointer(store, run_id) or _by_scan(store, run_id)


def _by_pointer(store: RunStore, run_id: str) -> Location | None:
    """Read the older pointer, a link that names the task; trusted only when the run is there."""
    try:
        with store.runs() as runs, runs.sub(OLD_POINTERS) as pointers, pointers.sub(run_id) as folder:
            parts = os.readlink(MANIFEST, dir_fd=folder.fd).split("/")
    except OSError:
        return None
    task_id = parts[2] if len(parts) > 2 else ""
    if parts != ["..", "..", task_id, CLI, run_id, MANIFEST] or not is_task_folder(task_id):
        return None
    where = Location(task_id, run_id)
    return where if _exists(store, where) else None


def _by_scan(store: RunStore, run_id: str) -> Location | None:
    for task_id in task_ids(store):
        where = Location(task_id, run_id)
        if _exists(store, where):
            return where
    return None


def _exists(store: RunStore, where: Location) -> bool:
    try:
        with store.run_folder(where):
            return True
    except FileNotFoundError:
        return False


def read_document(store: RunStore, where: Location) -> dict[str, Any]:
    """Return the manifest of a run as JSON, version 1 or 2, in its outer shape checked.

    Raises NotFound, DamagedRecord (not JSON, no object, unknown version, another run's) or StorageError.
    """
    try:
        with store.run_folder(where) as folder:
            return read_manifest(folder, where)
    except FileNotFoundError:
        raise NotFound(f"there is no run '{where.run_id}' under task '{where.task_id}'") from None


def read_manifest(folder: Folder, where: Location) -> dict[str, Any]:
    """Return the manifest in an open run folder; see ``read_document``."""
    return checked_manifest(parse(manifest_bytes(folder), os.path.join(folder.path, MANIFEST)), folder, where)


def manifest_bytes(folder: Folder) -> bytes:
    """Return the bytes of the manifest in an open run folder. Raises DamagedRecord, StorageError."""
    try:
        return folder.read(MANIFEST, MANIFEST_LIMIT)
    except FileNotFoundError:
        return b""
    except StorageError as error:
        if error.code != "too-large":
            raise
        raise DamagedRecord(error.message, hint=DAMAGED_HINT) from error


def checked_manifest(document: dict[str, Any], folder: Folder, where: Location) -> dict[str, Any]:
    """Return the document of a manifest in its outer shape checked. Raises DamagedRecord."""
    path = os.path.join(folder.path, MANIFEST)
    check_version(document, path)
    if document.get("run_id") != where.run_id:
        raise DamagedRecord(f"'{path}' is the record of another run: its run_id is {document.get('run_id')!r}")
    check_outline(document, path)
    return document


def goes_on(folder: Folder, where: Location) -> bool:
    """Tell whether the manifest in an open run folder is plainly that of a run which has not ended; else read it.

    Each child asks it of its fleet twice, whose record takes a millisecond to read. Raises StorageError.
    """
    with contextlib.suppress(FileNotFoundError):
        return is_in_progress(folder.read(MANIFEST, MANIFEST_LIMIT), where.run_id)
    return False


def life_of(store: RunStore, where: Location) -> Sign | None:
    """Return what tells that a run is alive, or None: on this machine, from the claim to the end of its whole tree."""
    with contextlib.suppress(FileNotFoundError), store.run_folder(where) as folder:
        return sign_of_life(folder, store.clock.now())
    return None


def is_alive(store: RunStore, where: Location) -> bool:
    """Tell whether a run is alive; see ``life_of``."""
    return life_of(store, where) is not None
