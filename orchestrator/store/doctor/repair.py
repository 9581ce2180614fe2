"""Repairs of what was found. Every write happens under the lock of the run or of the task that it is about.

Truth is only ever taken from manifests, so that repairing twice, or beside live runs, comes to the same.
What can't be read is moved aside, never removed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

from orchestrator.base.errors import DamagedRecord, NotFound, Refused, StorageError
from orchestrator.base.files import Folder, Lock
from orchestrator.store.doctor.chain_indexes import DIFFERS, index_again
from orchestrator.store.doctor.finding import Repaired, repaired
from orchestrator.store.doctor.records import inspect_run, is_temp, torn_tail
from orchestrator.store.doctor.repair_folds import fold_again
from orchestrator.store.doctor.repair_pointers import (
    drop_older_pointers,
    drop_pointer,
    drop_pointers,
    point_again,
)
from orchestrator.store.doctor.tasks import TaskSeen, is_left_over
from orchestrator.store.doctor.workspace import RecordsSeen, full_check
from orchestrator.store.layout import CLI, DAMAGED, EVENTS, OPEN, RESERVE, RUN_LOCK, STAGING, TOKEN, Location
from orchestrator.store.liveness import beyond_locks
from orchestrator.store.open_run import OpenRun
from orchestrator.store.recovery import Closer, recover_run, recover_task
from orchestrator.store.run_index import changing
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import take_over


def repair(store: RunStore, seen: RecordsSeen, close: Closer) -> Iterator[Repaired]:
    """Repair what can be repaired of what was seen, and yield each thing once it is done. Raises StorageError."""
    for task in seen.tasks:
        yield from _repair_task(store, task, close)
    known = {run.where.run_id for task in seen.tasks for run in task.runs}
    for finding in seen.findings:
        if finding.code == "older-pointer-dangling":
            yield from drop_older_pointers(store, known)
            break


def _repair_task(store: RunStore, task: TaskSeen, close: Closer) -> Iterator[Repaired]:
    codes = {finding.code for finding in task.all_findings() if finding.repairable}
    if not codes:
        return
    for run in task.runs:
        if any(finding.code == "damaged-manifest" and finding.repairable for finding in run.findings):
            with _past_planted():
                yield from _set_aside(store, run.where)
    if codes & {"died", "unpublished", "stale-marker"}:
        with _past_planted():
            yield from _finish(store, task, close)
    for run in task.runs:
        if run.manifest is not None and any(finding.repairable for finding in run.findings):
            with _past_planted():
                yield from _tidy_run(store, run.where)
    with _past_planted(), store.task(task.task_id) as folder:
        if "leftover-staging" in codes:
            yield from _clear_staging(store, folder)
        if "pointer-dangling" in codes:
            yield from drop_pointers(store, folder)
        if DIFFERS in codes:
            yield from index_again(store, folder)
        yield from fold_again(store, task.task_id, folder)


def _finish(store: RunStore, task: TaskSeen, close: Closer) -> Iterator[Repaired]:
    """Close what died and publish what was not published, marked or not."""
    recover_task(store, task.task_id, close)
    for run in task.runs:
        codes = {finding.code for finding in run.findings} & {"died", "unpublished"}
        if codes and run.manifest is not None:
            try:
                recover_run(store, run.where, close)
            except (NotFound, DamagedRecord, FileNotFoundError):
                continue
            done = "its record is closed as interrupted" if "died" in codes else "its end is published"
            yield Repaired(codes.pop(), store.paths(run.where).folder, done)
    for finding in task.findings:
        if finding.code == "stale-marker":
            yield repaired(finding, "removed")


@contextmanager
def _past_planted() -> Iterator[None]:
    """Leave alone what a planted link stands in the way of: that is a finding of its own, and somebody's to look at."""
    try:
        yield
    except StorageError as error:
        if error.code != "planted-link":
            raise


def _set_aside(store: RunStore, where: Location) -> Iterator[Repaired]:
    """Move the folder of a run whose record is damaged below ``.damaged/``, unless a process holds it."""
    with suppress(FileNotFoundError), store.run_folder(where) as folder, _held(folder) as lock:
        if lock is None or beyond_locks(folder, store.clock.now()) is not None or _is_whole(store, where):
            return
        with (
            store.task(where.task_id) as task,
            store.lock_task(task),
            task.sub(CLI) as cli,
            task.sub(DAMAGED, create=True) as aside,
        ):
            names = (where.run_id if number == 1 else f"{where.run_id}.{number}" for number in count(1))
            name = next(name for name in names if not aside.has(name))
            with changing(task):
                cli.move_to(where.run_id, aside, name)
            aside.sync()
            cli.sync()
            with suppress(FileNotFoundError), task.sub(OPEN) as opened:
                opened.remove(where.run_id)
            place = store.workspace.shown(os.path.join(aside.path, name))
        drop_pointer(store, where)
        yield Repaired("damaged-manifest", store.paths(where).folder, f"the run is set aside as '{place}'")


def _is_whole(store: RunStore, where: Location) -> bool:
    """Tell whether the record is in order by now; its lock, which is held here, counts as busy."""
    seen = inspect_run(store, where, full_check, lambda run_id: False)
    return seen is None or not any(finding.code == "damaged-manifest" for finding in seen.findings)


@contextmanager
def _held(folder: Folder) -> Iterator[Lock | None]:
    lock = folder.lock(RUN_LOCK, blocking=False)
    try:
        yield lock
    finally:
        if lock is not None:
            lock.release()


def _tidy_run(store: RunStore, where: Location) -> Iterator[Repaired]:
    """Repair what lies beside a record that is in order, and what leads to it, unless the run goes on again."""
    try:
        run = take_over(store, where)
    except (Refused, NotFound, DamagedRecord):
        return
    try:
        if run.manifest.is_terminal:
            yield from _tidied(store, run)
    finally:
        run.close()


def _tidied(store: RunStore, run: OpenRun) -> Iterator[Repaired]:
    folder, place = run.folder, store.paths(run.where).folder
    for name in sorted(folder.names()):
        if is_temp(name) or name == RESERVE:
            folder.remove(name)
            code = "leftover-reserve" if name == RESERVE else "leftover-temp"
            yield Repaired(code, os.path.join(place, name), "removed")
    if _repair_token(folder):
        yield Repaired("token-mode", os.path.join(place, TOKEN), "its mode is 0600 again")
    if torn_tail(folder, EVENTS):
        _cut_tail(folder, EVENTS)
        yield Repaired("torn-events", os.path.join(place, EVENTS), "the torn line is cut off")
    yield from point_again(store, run)


def _repair_token(folder: Folder) -> bool:
    try:
        fd = folder.open_read(TOKEN)
    except (FileNotFoundError, StorageError):
        return False
    try:
        if stat.S_IMODE(os.fstat(fd).st_mode) == 0o600:
            return False
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)
    return True


def _cut_tail(folder: Folder, name: str) -> None:
    """Cut what stands behind the last newline."""
    fd = folder.seam.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0, folder.fd)
    try:
        end = os.fstat(fd).st_size
        whole = 0
        while end > 0 and not whole:
            begin = max(0, end - 65536)
            whole = begin + os.pread(fd, end - begin, begin).rfind(b"\n") + 1
            whole, end = (0, begin) if whole == begin else (whole, begin)
        folder.seam.truncate(fd, whole)
    finally:
        os.close(fd)


def _clear_staging(store: RunStore, task: Folder) -> Iterator[Repaired]:
    with suppress(FileNotFoundError), task.sub(STAGING) as staging:
        for name in sorted(staging.names()):
            if is_left_over(store, staging, name):
                with staging.sub(name) as staged, _held(staged) as lock:
                    if lock is not None:
                        staging.remove_folder(name)
                        place = store.workspace.shown(os.path.join(staging.path, name))
                        yield Repaired("leftover-staging", place, "removed")
