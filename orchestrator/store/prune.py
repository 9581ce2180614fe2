"""Pruning runs of a task: what goes is named in the chain first, and then goes, whatever happens in between.

Under the task's lock: what the prune is about is noted (``pending_prune``), each run is looked at once more, the
chain's line is written and synced, and each folder is renamed out of ``cli/``. Without it: pointers and files are
removed, and the note goes last. Who takes a run's lock looks at the note afterwards, and a prune looks at the locks
after it has written the note, so that one of the two gives way. What a killed process left is finished, or forgotten
where its line was not written, by the next writing command.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from orchestrator.base.clock import CLOCK_TOLERANCE, parse_stamp, stamp
from orchestrator.base.errors import Refused, StorageError
from orchestrator.base.files import Folder, explained, whole_lines
from orchestrator.base.record import Record
from orchestrator.process.shared_work import share
from orchestrator.store.chain import last_line, parsed
from orchestrator.store.find_pruned import note_logs_pruned
from orchestrator.store.layout import (
    CHAIN,
    CLI,
    COMMANDS,
    ERRORS,
    EVENTS,
    MANIFEST,
    MCP,
    OLD_POINTERS,
    OPEN,
    PENDING,
    PRUNED,
    RUN_LOCK,
)
from orchestrator.store.pending_prune import Pending, read_pending, write_pending, written_line
from orchestrator.store.prune_lines import NamedRun, PruneLine, add_prune
from orchestrator.store.run_index import renew
from orchestrator.store.store import RunStore, is_pruning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

_WORTH_A_PROCESS = 1000
"""Runs: to remove them takes a fifth of a second."""
_LOCK = ".lock"
_PATIENCE_SECONDS = 3600.0
"""Another prune of the task may have very many files to remove."""


class Chosen(Record):
    """A run that is to be pruned, and what its manifest's file was when that was decided (inode, time of change)."""

    run: NamedRun
    seen: tuple[int, int]


class Terms(Record):
    """By whom, why and by which rules runs are pruned."""

    actor: str
    reason: str | None
    rules: Mapping[str, Any]


def prune_runs(
    store: RunStore,
    task_id: str,
    level: Literal["record", "logs"],
    chosen: Sequence[Chosen],
    terms: Terms,
    progress: Callable[[int], None] = lambda done: None,
) -> frozenset[str]:
    """Prune runs of a task and return those that were: one to which something happened meanwhile is left alone.

    ``progress`` gets how many are removed. Raises Refused when the clock is behind the chain, StorageError; then
    nothing has happened, or the next writing command finishes it.
    """
    with (
        store.task(task_id) as task,
        task.sub(PRUNED, create=True) as place,
        _patiently(place),
    ):
        _finish(store, task, place)
        with store.lock_task(task):
            refuse_clock(store, task)
            offset = _whole_size(task)
            pending = Pending(level, tuple(entry.run.run_id for entry in chosen), offset)
            place.sync_name()
            write_pending(place, pending)
            try:
                untouched = _untouched(task, chosen)
                still = [entry.run for entry in chosen if entry.run.run_id in untouched]
                if len(still) < len(chosen):
                    pending = pending._replace(runs=tuple(run.run_id for run in still))
                    write_pending(place, pending)
                if still:
                    line = PruneLine(
                        level, False, terms.actor, terms.reason, terms.rules, tuple(still), stamp(store.clock.now()), ""
                    )
                    add_prune(task, line)
            except StorageError:
                with suppress(StorageError):
                    if written_line(task, pending) is None:
                        place.remove(PENDING)
                raise
            if level == "record":
                _take_out(task, place, pending.runs)
        _finish(store, task, place, progress)
    return frozenset(pending.runs)


def remove_again(store: RunStore, task_id: str, runs: Iterable[str]) -> None:
    """Remove the folders of runs that the chain has as pruned and that came back. Raises StorageError."""
    with store.task(task_id) as task, task.sub(PRUNED, create=True) as place, _patiently(place):
        _finish(store, task, place)
        known = tuple(runs)
        _take_out(task, place, known)
        with task.sub(CLI) as cli:
            renew(task, cli)
        _remove(store, task, place, known, lambda done: None)


def finish_prune(store: RunStore, task: Folder) -> None:
    """Finish a prune whose process was killed; one whose process lives is left to it. Raises StorageError."""
    if not is_pruning(task):
        return
    with task.sub(PRUNED) as place:
        lock = place.lock(_LOCK, blocking=False)
        if lock is not None:
            with lock:
                _finish(store, task, place)


def refuse_clock(store: RunStore, task: Folder) -> None:
    """Raise Refused when this host's clock is behind the chain's last line: the next one would be a finding."""
    before = parsed(last_line(task) or b"") or {}
    at, now = before.get("recorded_at"), store.clock.now()
    if before.get("host") != os.uname().nodename or not isinstance(at, str):
        return
    with suppress(ValueError):
        if parse_stamp(at) > now + CLOCK_TOLERANCE:
            raise Refused(
                f"the clock says {stamp(now)}, and the last line of '{task.path}/{CHAIN}' was written at {at}",
                hint="set the clock right: ages are measured by it",
                code="clock-went-back",
            )


def _patiently(place: Folder) -> Any:
    lock = place.lock(_LOCK, blocking=True, patience=lambda: _PATIENCE_SECONDS)
    assert lock is not None  # noqa: S101 -- a blocking lock is always granted
    return lock


def _whole_size(task: Folder) -> int:
    """Return where the next line of the chain begins: a torn one is cut off before it is written."""
    fd = task.open_read(CHAIN)
    try:
        return whole_lines(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def manifest_file(folder: Folder) -> tuple[int, int]:
    """Return what tells whether a run's manifest was written anew. Raises FileNotFoundError."""
    found = os.stat(MANIFEST, dir_fd=folder.fd, follow_symlinks=False)
    return found.st_ino, found.st_mtime_ns


def _untouched(task: Folder, chosen: Iterable[Chosen]) -> frozenset[str]:
    """Return the runs that nobody holds, whose end is published, and whose record is as it was."""
    opened: set[str] = set()
    with suppress(FileNotFoundError), task.sub(OPEN) as markers:
        opened.update(markers.names())
    found = set()
    with task.sub(CLI) as cli:
        for entry in chosen:
            run_id = entry.run.run_id
            with suppress(FileNotFoundError, StorageError), cli.sub(run_id) as folder:
                if run_id not in opened and manifest_file(folder) == entry.seen and not folder.is_locked(RUN_LOCK):
                    found.add(run_id)
    return frozenset(found)


def _finish(store: RunStore, task: Folder, place: Folder, progress: Callable[[int], None] = lambda done: None) -> None:
    """Remove what the prune that is noted has named in the chain; the lock of ``.pruned`` is held."""
    if not is_pruning(task):
        return
    pending = read_pending(task)
    line = None if pending is None else written_line(task, pending)
    if pending is None or line is None:
        with store.lock_task(task):
            _cut_torn(task)
    else:
        # The process that wrote them may not have come to sync them.
        task.sync_file(CHAIN)
        place.sync_file(PENDING)
        place.sync()
        place.sync_name()
        if pending.level == "record":
            _take_out(task, place, pending.runs)
            with task.sub(CLI) as cli:
                renew(task, cli)
            _remove(store, task, place, pending.runs, progress)
        else:
            _remove_logs(task, pending, progress)
    place.remove(PENDING)


def _cut_torn(task: Folder) -> None:
    """Cut off what a killed prune wrote of its line; the task's lock is held."""
    whole = _whole_size(task)
    if whole < os.stat(CHAIN, dir_fd=task.fd, follow_symlinks=False).st_size:
        fd = task.seam.open(CHAIN, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0, task.fd)
        try:
            task.seam.truncate(fd, whole)
        finally:
            os.close(fd)


def _take_out(task: Folder, place: Folder, runs: Iterable[str]) -> None:
    """Rename the folders of runs out of ``cli/``: there a folder is whole or gone."""
    with task.sub(CLI) as cli:
        for run_id in runs:
            with suppress(FileNotFoundError):
                _move(cli, place, run_id)
        cli.sync()
        place.sync()


def _move(cli: Folder, place: Folder, run_id: str) -> None:
    try:
        cli.move_to(run_id, place, run_id)
    except StorageError as error:
        if error.code != "enotempty" or not cli.has(run_id):
            raise
        place.remove_folder(run_id)
        cli.move_to(run_id, place, run_id)


def _remove(store: RunStore, task: Folder, place: Folder, runs: Sequence[str], progress: Callable[[int], None]) -> None:
    """Remove pointers and folders of runs that are out of ``cli/``; their names are gone for good when this returns."""
    with store.runs() as all_runs:
        for above, name in ((task, MCP), (all_runs, OLD_POINTERS)):
            with suppress(FileNotFoundError), above.sub(name) as pointers:
                for run_id in runs:
                    _drop_pointer(pointers, run_id)
                pointers.sync()
    done = 0

    def removed(part: Sequence[str]) -> list[str]:
        nonlocal done
        for run_id in part:
            place.remove_folder(run_id)
            done += 1
            progress(done)
        return []

    # A copy of this process has its lock, so that nobody else removes what one whose process was killed still does.
    share(runs, removed, _WORTH_A_PROCESS)
    for further in range(done + 1, len(runs) + 1):
        progress(further)
    place.sync()


def _drop_pointer(pointers: Folder, run_id: str) -> None:
    """Remove the pointer to a run; what else somebody put beside it stays, and so does a link in its place."""
    with suppress(FileNotFoundError):
        try:
            with pointers.sub(run_id) as folder:
                folder.remove(MANIFEST)
        except StorageError as error:
            if error.code != "planted-link":
                raise
            return
        try:
            pointers.seam.rmdir(run_id, pointers.fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                with explained(f"{pointers.path}/{run_id}"):
                    raise


def _remove_logs(task: Folder, pending: Pending, progress: Callable[[int], None]) -> None:
    """Remove logs, error files and events of runs, the events last."""
    with task.sub(CLI) as cli:
        for done, run_id in enumerate(pending.runs, start=1):
            with suppress(FileNotFoundError), cli.sub(run_id) as folder:
                note_logs_pruned(folder, pending.offset)
                for name in (COMMANDS, ERRORS):
                    folder.remove_folder(name)
                folder.remove(EVENTS)
            progress(done)
