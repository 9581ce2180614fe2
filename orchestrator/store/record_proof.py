"""Whether an ended record is what its last attempt left: compared with that attempt's line in the task's chain.

Whatever decides on a record asks here first (contract, section 7, "Records").
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord, GateNotMet, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.record import Record
from orchestrator.model.manifest.digest import manifest_digest
from orchestrator.model.manifest.document import VERSION
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.attempt_files import entries_of, events_of
from orchestrator.store.chain import Line, find_link, read_hint
from orchestrator.store.event_log import children_left_out
from orchestrator.store.layout import COMMANDS, ERRORS, EVENTS, IMPORTED, OPEN, REPORTS, Location
from orchestrator.store.metrics_line import event_id
from orchestrator.store.run_files import file_digest, names_in, parent_of, size_of, whole_lines_size
from orchestrator.store.store import RunStore, is_pruning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    from orchestrator.store.prune_lines import PrunedRun

ALTERED = "record-altered"

Depth: TypeAlias = "Literal['sizes', 'events', 'digests', 'logs']"
"""What is compared besides the record: sizes; digests of events and error files, without or with the sizes of
logs and reports; digests of these too. They are not synced, so that recovery does not ask for
them after a power cut."""


class Proof(Record):
    """How a record stands.

    ``line`` is its attempt's line, None where there is none. ``altered`` says in which point record or files are not
    what that line says, None when they are. ``is_open``: its end is not fully published, so that the line may come.
    ``logs_pruned``: files are gone, and the chain says that they were pruned. ``imported_from``: the line is of
    another machine's chain.
    """

    line: Line | None
    altered: str | None
    is_open: bool = False
    logs_pruned: bool = False
    imported_from: Line | None = None

    @property
    def holds(self) -> bool:
        """Whether the record is proved."""
        return self.line is not None and self.altered is None


def prove(
    store: RunStore, where: Location, document: Mapping[str, Any], depth: Depth, *, hint: int | None = None
) -> Proof:
    """Compare the record ``document`` of the run at ``where`` with its line. Reads only.

    ``hint`` is where that line may begin in the chain, for who knows; else the run's folder has one.
    Raises FileNotFoundError, and StorageError where something stands in the place of a file.
    """
    with store.task(where.task_id) as task, store.run_folder(where) as folder:
        return prove_open(task, folder, document, depth, hint=hint)


def prove_open(
    task: Folder, folder: Folder, document: Mapping[str, Any], depth: Depth, *, hint: int | None = None
) -> Proof:
    """Do what ``prove`` does, of a run whose ``folder`` is open already."""
    run_id, attempt = str(document.get("run_id")), document.get("attempt")
    if not isinstance(attempt, int) or isinstance(attempt, bool):
        return Proof(None, "its attempt is no number")
    link = find_link(task, event_id(run_id, attempt), read_hint(folder, attempt) if hint is None else hint)
    if link is None:
        return Proof(None, None, _is_open(task, run_id))
    why = next(_differences(folder, document, link.line, depth), None)
    if why is None:
        return Proof(link.line, why, imported_from=link.imported_from)
    from orchestrator.store.find_pruned import logs_pruned_in  # hardly ever needed

    if logs_pruned_in(task, folder, run_id) is None:
        return Proof(link.line, why, imported_from=link.imported_from)
    why = next(_differences(folder, document, link.line, depth, may_lack=True), None)
    return Proof(link.line, why, logs_pruned=True, imported_from=link.imported_from)


def logs_pruned_at(store: RunStore, where: Location) -> PrunedRun | None:
    """Return what the chain says of a run whose logs were pruned; None where they were not: two looks at names."""
    with (
        suppress(FileNotFoundError, StorageError),
        store.task(where.task_id) as task,
        store.run_folder(where) as folder,
    ):
        if folder.has(EVENTS) and not is_pruning(task):
            return None
        from orchestrator.store.find_pruned import logs_pruned_in

        return logs_pruned_in(task, folder, where.run_id)
    return None


def imported_from(store: RunStore, where: Location) -> dict[str, Any] | None:
    """Return what the folder of an imported run says of where it comes from; None of other runs: one look at a name.

    It is for lists and screens: what a run may do is decided by the chain (``Proof.imported_from``).
    """
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder:
        if folder.has(IMPORTED):
            from orchestrator.store.import_lines import origin_of

            return origin_of(folder)
    return None


def _is_open(task: Folder, run_id: str) -> bool:
    with suppress(FileNotFoundError, StorageError), task.sub(OPEN) as opened:
        return opened.has(run_id)
    return False


def _differences(
    folder: Folder, document: Mapping[str, Any], line: Line, depth: Depth, *, may_lack: bool = False
) -> Iterator[str]:
    """Yield in which points a record is not what its line says; ``may_lack``: files that are gone are none."""
    if document.get("status") not in TERMINAL:
        yield f"it is {document.get('status')}, and its attempt {document['attempt']} has ended"
    elif manifest_digest(document) != line.get("manifest_digest"):
        yield f"its record is not what attempt {document['attempt']} left"
    size, digest = events_of(line)
    if size is not None:
        entry = {"bytes": size, "sha256": digest}
        yield from _of_a_file(folder, EVENTS, entry, read=depth != "sizes", whole=True, may_lack=may_lack)
    yield from children_left_out(folder, document.get("child_runs"))
    known = entries_of(line)
    for path, entry in known.items():
        above = path.partition("/")[0]
        if (
            above not in (COMMANDS, ERRORS, REPORTS)
            or (depth == "events" and above != ERRORS)
            or not isinstance(entry.get("bytes"), int)
        ):
            continue
        read = depth == "logs" or (depth != "sizes" and above == ERRORS)
        try:
            with parent_of(folder, path) as (inner, name):
                yield from _of_a_file(inner, name, entry, read=read, path=path, may_lack=may_lack)
        except FileNotFoundError:
            if not may_lack:
                yield f"'{os.path.dirname(path)}' is gone"
    for path in names_in(folder, (ERRORS,)):
        if path not in known:
            yield f"'{path}' was not there when its attempt ended"


def _of_a_file(
    folder: Folder,
    name: str,
    entry: Mapping[str, Any],
    *,
    read: bool,
    path: str = "",
    whole: bool = False,
    may_lack: bool = False,
) -> Iterator[str]:
    """Yield how a file differs from its ``entry``; ``whole``: behind its last newline there may be a torn line."""
    shown = path or name
    try:
        size = whole_lines_size(folder, name) if whole else size_of(folder, name)
        if size != entry["bytes"]:
            yield f"'{shown}' has {size} bytes, and its attempt left {entry['bytes']}"
        elif read and file_digest(folder, name, size)[1] != entry["sha256"]:
            yield f"'{shown}' is not what its attempt left"
    except FileNotFoundError:
        if not may_lack:
            yield f"'{shown}' is gone"


def altered(where: Location, why: str) -> DamagedRecord:
    """Return the refusal of a record that is not what its run left (exit code 7)."""
    return DamagedRecord(
        f"the record of run '{where.run_id}' was altered: {why}",
        hint=f"codex-orchestrator verify {where.run_id}",
        code=ALTERED,
    )


def refuse_altered(store: RunStore, where: Location, document: Mapping[str, Any]) -> None:
    """Raise DamagedRecord when a record of version 2 differs from its line; one without a line is not judged here."""
    if document.get("version") == VERSION:
        with suppress(FileNotFoundError):
            why = prove(store, where, document, "digests").altered
            if why is not None:
                raise altered(where, why)


def is_proved(store: RunStore, where: Location, document: Mapping[str, Any]) -> bool:
    """Tell whether an ended record has a line in its task's chain and is what that says, in its files' sizes too."""
    try:
        return prove(store, where, document, "sizes").holds
    except (FileNotFoundError, StorageError):
        return False


def is_altered(store: RunStore, where: Location, record: Mapping[str, Any]) -> bool:
    """Tell whether a record is not what its task's chain says: then nobody can resume it."""
    try:
        return prove(store, where, record, "sizes").altered is not None
    except (FileNotFoundError, StorageError):
        return True


def refuse_pruned_logs(where: Location, proof: Proof) -> None:
    """Raise GateNotMet for a run whose logs were pruned: what rests on all of a run can't rest on it any more."""
    if proof.logs_pruned:
        raise GateNotMet(
            f"the logs of run '{where.run_id}' were pruned: they prove nothing",
            hint="start a new run, and cite that",
            code="logs-pruned",
        )
