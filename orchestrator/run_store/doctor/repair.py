"""Healing what was found. Every write happens under the lock of the run or of the task that it is about.

Truth is only ever taken from manifests, so that healing twice, or beside live runs, comes to the same.
What can't be read is moved aside, never removed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from orchestrator.clock import stamp
from orchestrator.durable import Folder, Lock
from orchestrator.errors import DamagedRecord, NotFound, Refused, StorageError
from orchestrator.manifest.shape import render
from orchestrator.run_store.claim import take_over
from orchestrator.run_store.doctor.finding import Finding
from orchestrator.run_store.doctor.metrics_file import healed, missing, read_lines
from orchestrator.run_store.doctor.records import (
    RunSeen,
    inspect_run,
    is_temp,
    older_target,
    pointer_faults,
    redirect_of,
    torn_tail,
)
from orchestrator.run_store.doctor.tasks import (
    METRICS_LIMIT,
    TaskSeen,
    expected_of,
    is_left_over,
    read_state,
    state_of,
)
from orchestrator.run_store.doctor.workspace import RecordsSeen, full_check, older_orphans
from orchestrator.run_store.layout import (
    CLI,
    EVENTS,
    MANIFEST,
    MCP,
    METRICS,
    OLD_POINTERS,
    OPEN,
    RESERVE,
    RUN_LOCK,
    STAGING,
    STATE,
    STATE_V1,
    TOKEN,
    Location,
)
from orchestrator.run_store.open_run import OpenRun
from orchestrator.run_store.publish import pointer_bytes
from orchestrator.run_store.reading import read_document, run_ids
from orchestrator.run_store.recovery import Closer, recover_run, recover_task
from orchestrator.run_store.store import RunStore

DAMAGED = ".damaged"
_STATE_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mended:
    """What was mended: the finding's code, its place, and what was done."""

    code: str
    place: str
    done: str


def repair(store: RunStore, seen: RecordsSeen, close: Closer) -> Iterator[Mended]:
    """Mend what can be mended of what was seen, and yield each thing once it is done. Raises StorageError."""
    for task in seen.tasks:
        yield from _repair_task(store, task, close)
    known = {run.where.run_id for task in seen.tasks for run in task.runs}
    for finding in seen.findings:
        if finding.code == "older-pointer-dangling":
            yield from _drop_older_pointers(store, known)
            break


def _repair_task(store: RunStore, task: TaskSeen, close: Closer) -> Iterator[Mended]:
    codes = {finding.code for finding in task.all_findings() if finding.heals}
    if not codes:
        return
    for run in task.runs:
        if any(finding.code == "damaged-manifest" and finding.heals for finding in run.findings):
            with _past_planted():
                yield from _set_aside(store, run.where)
    if codes & {"died", "unpublished", "stale-marker"}:
        with _past_planted():
            yield from _finish(store, task, close)
    for run in task.runs:
        if run.manifest is not None and any(finding.heals for finding in run.findings):
            with _past_planted():
                yield from _tidy_run(store, run.where)
    with _past_planted(), store.task(task.task_id) as folder:
        if "leftover-staging" in codes:
            yield from _clear_staging(store, folder)
        if "pointer-dangling" in codes:
            yield from _drop_pointers(store, folder)
        yield from _fold_again(store, task.task_id, folder)


def _finish(store: RunStore, task: TaskSeen, close: Closer) -> Iterator[Mended]:
    """Close what died and publish what was not published, marked or not."""
    recover_task(store, task.task_id, close)
    for run in task.runs:
        codes = {finding.code for finding in run.findings} & {"died", "unpublished"}
        if codes and run.manifest is not None:
            with suppress(NotFound, DamagedRecord, FileNotFoundError):
                recover_run(store, run.where, close)
            done = "its record is closed as interrupted" if "died" in codes else "its end is published"
            yield Mended(codes.pop(), store.paths(run.where).folder, done)
    for finding in task.findings:
        if finding.code == "stale-marker":
            yield _done(finding, "removed")


@contextmanager
def _past_planted() -> Iterator[None]:
    """Leave alone what a planted link stands in the way of: that is a finding of its own, and somebody's to look at."""
    try:
        yield
    except StorageError as error:
        if error.code != "planted-link":
            raise


def _done(finding: Finding, done: str) -> Mended:
    return Mended(finding.code, finding.place, done)


def _set_aside(store: RunStore, where: Location) -> Iterator[Mended]:
    """Move the folder of a run whose record is damaged below ``.damaged/``, unless a process holds it."""
    with suppress(FileNotFoundError), store.run_folder(where) as folder, _held(folder) as lock:
        if lock is None or _is_whole(store, where):
            return
        with (
            store.task(where.task_id) as task,
            store.lock_task(task),
            task.sub(CLI) as cli,
            task.sub(DAMAGED, create=True) as aside,
        ):
            names = (where.run_id if number == 1 else f"{where.run_id}.{number}" for number in count(1))
            name = next(name for name in names if not aside.has(name))
            cli.move_to(where.run_id, aside, name)
            aside.sync()
            cli.sync()
            with suppress(FileNotFoundError), task.sub(OPEN) as opened:
                opened.remove(where.run_id)
            place = store.workspace.shown(os.path.join(aside.path, name))
        _drop_pointer(store, where)
        yield Mended("damaged-manifest", store.paths(where).folder, f"the run is set aside as '{place}'")


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


def _tidy_run(store: RunStore, where: Location) -> Iterator[Mended]:
    """Mend what lies beside a record that is in order, and what leads to it, unless the run goes on again."""
    try:
        run = take_over(store, where)
    except (Refused, NotFound, DamagedRecord):
        return
    try:
        if run.manifest.is_terminal:
            yield from _tidied(store, run)
    finally:
        run.close()


def _tidied(store: RunStore, run: OpenRun) -> Iterator[Mended]:
    folder, place = run.folder, store.paths(run.where).folder
    for name in sorted(folder.names()):
        if is_temp(name) or name == RESERVE:
            folder.remove(name)
            code = "leftover-reserve" if name == RESERVE else "leftover-temp"
            yield Mended(code, os.path.join(place, name), "removed")
    if _mend_token(folder):
        yield Mended("token-mode", os.path.join(place, TOKEN), "its mode is 0600 again")
    if torn_tail(folder, EVENTS):
        _cut_tail(folder, EVENTS)
        yield Mended("torn-events", os.path.join(place, EVENTS), "the torn line is cut off")
    yield from _point_again(store, run)


def _mend_token(folder: Folder) -> bool:
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


def _point_again(store: RunStore, run: OpenRun) -> Iterator[Mended]:
    """Write the pointers anew that don't say what the record says."""
    where = run.where
    for finding in pointer_faults(store, run.manifest):
        if finding.code.startswith("older-"):
            _link_again(store, where)
            yield _done(finding, "made anew")
        else:
            with (
                store.task(where.task_id) as task,
                task.sub(MCP, create=True) as mcp,
                mcp.sub(where.run_id, create=True) as pointer,
            ):
                for name in filter(is_temp, pointer.names()):
                    pointer.remove(name)
                pointer.write(MANIFEST, pointer_bytes(store, run.manifest))
            yield _done(finding, "removed" if finding.code == "leftover-temp" else "written anew")


def _link_again(store: RunStore, where: Location) -> None:
    with (
        store.runs() as runs,
        runs.sub(OLD_POINTERS, create=True) as pointers,
        pointers.sub(where.run_id, create=True) as folder,
    ):
        folder.remove(MANIFEST)
        folder.link(MANIFEST, older_target(where))
        folder.sync()


def _drop_pointer(store: RunStore, where: Location) -> None:
    """Remove both pointers to a run that is not there any more; what else lies beside them stays."""
    with suppress(FileNotFoundError), store.task(where.task_id) as task, task.sub(MCP) as mcp:
        _drop(mcp, where.run_id)
    with suppress(FileNotFoundError), store.runs() as runs, runs.sub(OLD_POINTERS) as pointers:
        with suppress(FileNotFoundError), pointers.sub(where.run_id) as folder:
            mine = redirect_of(folder) == older_target(where)
        if mine:
            _drop(pointers, where.run_id)


def _drop(pointers: Folder, run_id: str) -> bool:
    with suppress(FileNotFoundError), pointers.sub(run_id) as folder:
        if set(folder.names()) - {MANIFEST}:
            return False
        folder.remove(MANIFEST)
        pointers.seam.rmdir(run_id, pointers.fd)
        return True
    return False


def _drop_pointers(store: RunStore, task: Folder) -> Iterator[Mended]:
    there = set(run_ids(store, os.path.basename(task.path)))
    with task.sub(MCP) as mcp:
        for run_id in sorted(set(mcp.names()) - there):
            if not _exists(task, run_id) and _drop(mcp, run_id):
                yield Mended("pointer-dangling", store.workspace.shown(os.path.join(mcp.path, run_id)), "removed")


def _exists(task: Folder, run_id: str) -> bool:
    with suppress(FileNotFoundError), task.sub(CLI) as cli:
        return cli.has(run_id)
    return False


def _drop_older_pointers(store: RunStore, known: set[str]) -> Iterator[Mended]:
    with suppress(FileNotFoundError), store.runs() as runs, runs.sub(OLD_POINTERS) as pointers:
        for run_id in older_orphans(store, known):
            if _drop(pointers, run_id):
                place = store.workspace.shown(os.path.join(pointers.path, run_id))
                yield Mended("older-pointer-dangling", place, "removed")


def _clear_staging(store: RunStore, task: Folder) -> Iterator[Mended]:
    with suppress(FileNotFoundError), task.sub(STAGING) as staging:
        for name in sorted(staging.names()):
            if is_left_over(store, staging, name):
                with staging.sub(name) as staged, _held(staged) as lock:
                    if lock is not None:
                        staging.remove_folder(name)
                        place = store.workspace.shown(os.path.join(staging.path, name))
                        yield Mended("leftover-staging", place, "removed")


def _fold_again(store: RunStore, task_id: str, task: Folder) -> Iterator[Mended]:
    """Write metrics and state anew where they don't say what the manifests of now say, under the task's lock.

    The full look at every run comes before the lock, so that runs which end meanwhile don't wait for it.
    """
    looked = (
        inspect_run(store, Location(task_id, run_id), full_check, lambda run_id: False)
        for run_id in run_ids(store, task_id)
    )
    settled = [run for run in looked if run is not None and not run.is_busy]
    with store.lock_task(task):
        for name in filter(is_temp, task.names()):
            task.remove(name)
            yield Mended("leftover-temp", store.workspace.shown(os.path.join(task.path, name)), "removed")
        yield from _fold_metrics(store, task, settled)
        yield from _fold_state(store, task_id)


def _documents(store: RunStore, task_id: str) -> Iterator[dict[str, Any]]:
    for run_id in run_ids(store, task_id):
        with suppress(DamagedRecord, NotFound, StorageError):
            yield read_document(store, Location(task_id, run_id))


def _fold_metrics(store: RunStore, task: Folder, settled: list[RunSeen]) -> Iterator[Mended]:
    try:
        data = task.read(METRICS, METRICS_LIMIT)
    except FileNotFoundError:
        data = b""
    except StorageError:
        return
    file = read_lines(data)
    absent = missing(file, (line for run in settled for line in expected_of(store, run)))
    wanted = healed(file, absent)
    if wanted == data:
        return
    place = store.workspace.shown(os.path.join(task.path, METRICS))
    words = [f"{len(absent)} lines added"] if absent else []
    if file.aside:
        name = f"metrics.damaged-{stamp(store.clock.now()).replace(':', '-')}.jsonl"
        task.write(name, b"".join(line + b"\n" for line in file.aside))
        words.append(f"{len(file.aside)} unreadable ones set aside as '{name}'")
    if file.repeated:
        words.append(f"{len(file.repeated)} repeated ones left out")
    task.write(METRICS, wanted)
    yield Mended("metrics", place, "; ".join(words) or "its last line is whole")


def _fold_state(store: RunStore, task_id: str) -> Iterator[Mended]:
    expected = state_of(task_id, _documents(store, task_id))
    with store.out(task_id) as out:
        place = store.workspace.shown(os.path.join(out.path, STATE))
        for name in filter(is_temp, out.names()):
            out.remove(name)
            yield Mended("leftover-temp", store.workspace.shown(os.path.join(out.path, name)), "removed")
        try:
            data = out.read(STATE, _STATE_LIMIT)
        except FileNotFoundError:
            data = b""
        except StorageError as error:
            if error.code != "too-large":
                return
            data = b"?"
        found = read_state(data, task_id) if data else None
        if found is not None and all(found[key] == expected[key] for key in ("lastRunAt", "totals", "runs")):
            return
        if not expected["runs"] and found is None:
            return
        done = "written anew from the manifests"
        if data and found is None:
            done += f"; the old one is kept as '{_keep(store, out, data)}'"
        if found is not None:
            project = expected["project"] or found["project"]
            expected = {**expected, "project": project, "revision": found["revision"] + 1}
        out.write(STATE, render(expected))
        yield Mended("state", place, done)


def _keep(store: RunStore, out: Folder, data: bytes) -> str:
    is_early = b'"schema_version"' not in data and data.lstrip().startswith(b"{") and not out.has(STATE_V1)
    name = STATE_V1 if is_early else f"{STATE}.damaged-{stamp(store.clock.now()).replace(':', '-')}"
    out.move_to(STATE, out, name)
    return name
