"""Looking at one task: its runs, and what follows from them. Reads only."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from orchestrator.base.clock import stamp
from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder, take_open
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import is_run_id
from orchestrator.model.manifest.document import VERSION, parse
from orchestrator.store.doctor.attempt_ends import expected_lines
from orchestrator.store.doctor.chain_indexes import index_findings
from orchestrator.store.doctor.chain_records import missing_runs, read_chain, unproved_runs
from orchestrator.store.doctor.finding import repairable
from orchestrator.store.doctor.metrics_file import missing, read_lines
from orchestrator.store.doctor.planted_files import planted_finding
from orchestrator.store.doctor.records import (
    Check,
    RunSeen,
    inspect_run,
    is_pointer,
    temp_files,
)
from orchestrator.store.find import run_ids
from orchestrator.store.layout import (
    CLI,
    DAMAGED,
    MCP,
    METRICS,
    OPEN,
    STAGING,
    STATE,
    TASK_LOCK,
    Location,
)
from orchestrator.store.legacy.state import is_early_state
from orchestrator.store.liveness import sign_of_life
from orchestrator.store.pending_prune import on_their_way
from orchestrator.store.publish import pruned_entries
from orchestrator.store.state_file import State, is_countable, is_readable, rebuilt
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

METRICS_LIMIT = 1 << 30
STATE_LIMIT = 4 * 1024 * 1024
_LOCK_PATIENCE_SECONDS = 2.0
_STAGING_SECONDS = 60.0
"""Between a claim's folder and its lock are microseconds; a folder without a held lock that is older is left over."""


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """A task's runs, oldest first, and what is wrong with the task beside what is wrong with each of them."""

    task_id: str
    runs: tuple[RunSeen, ...]
    findings: tuple[Finding, ...]

    def all_findings(self) -> list[Finding]:
        """Return what is wrong with the runs and with the task."""
        return [*(finding for run in self.runs for finding in run.findings), *self.findings]


def inspect_task(
    store: RunStore, task_id: str, check: Check, looked: Callable[[object], None] = lambda run: None
) -> TaskSeen:
    """Return what a task looks like. What doesn't fit together is looked at twice: runs may end meanwhile.

    ``looked`` gets each run after it was looked at.
    """
    seen = _look(store, task_id, check, looked)
    if not seen.findings:
        return seen
    again = _look(store, task_id, check, looked)
    return replace(again, findings=tuple(each for each in again.findings if each in seen.findings))


def _look(store: RunStore, task_id: str, check: Check, is_done: Callable[[object], None]) -> TaskSeen:
    ids = run_ids(store, task_id)
    with store.task(task_id) as task:
        marked = _names(task, OPEN)

        def is_marked(run_id: str) -> bool:
            with suppress(FileNotFoundError, StorageError), task.sub(OPEN) as opened:
                return opened.has(run_id)
            return False

        looked = (inspect_run(store, Location(task_id, run_id), check, is_marked) for run_id in ids)
        seen = []
        for run in looked:
            is_done(run)
            seen.append(run)
        runs = tuple(run for run in seen if run is not None)
        findings = [*_staging(store, task), *_orphans(store, task)]
        with shared_lock(task):
            metrics = _read(task, METRICS, METRICS_LIMIT)
            state = _read_out(store, task_id)
            findings += temp_files(task.names(), store.workspace.shown(task.path))
            findings += _out_temps(store, task_id)
            # What the repair set aside is not gone: its own report named it.
            chain = read_chain(task)
            findings += index_findings(store, task)
            findings += missing_runs(store, task, chain, {*ids, *run_ids(store, task_id), *_names(task, DAMAGED)})
        moving = marked | _names(task, OPEN) | (set(run_ids(store, task_id)) - set(ids))
    settled = [run for run in runs if not run.is_busy and run.where.run_id not in moving]
    if isinstance(metrics, StorageError):
        findings += _unread(store, os.path.join(task.path, METRICS), metrics)
    else:
        findings += metrics_findings(store, task, metrics, settled)
    findings += unproved_runs(store, settled, chain.places)
    if isinstance(state, StorageError):
        findings += _unread(store, os.path.join(store.workspace.out_dir, task_id, STATE), state)
    else:
        findings += state_findings(store, task_id, state, runs, settled, len(moving))
    return TaskSeen(task_id, runs, tuple(findings))


@contextmanager
def shared_lock(task: Folder) -> Iterator[None]:
    """Keep the task's metrics and state as they are while they are read; after 2 s they are read all the same."""
    try:
        fd = task.open_read(TASK_LOCK)
    except (FileNotFoundError, StorageError):
        yield
        return
    stand_in = None
    try:
        until = time.monotonic() + _LOCK_PATIENCE_SECONDS
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                stand_in = take_open(task.seam, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            time.sleep(0.005)
        yield
    finally:
        os.close(fd)
        if stand_in is not None:
            os.close(stand_in)


def metrics_findings(store: RunStore, task: Folder, data: bytes | None, settled: list[RunSeen]) -> list[Finding]:
    """Return what is wrong with the bytes of a metrics file (None: there is none), given runs that have ended."""
    place = store.workspace.shown(os.path.join(task.path, METRICS))
    file = read_lines(data or b"")
    expected = [line for run in settled for line in expected_of(store, run)]
    absent = missing(file, expected)
    findings = []
    if file.is_torn:
        findings.append(repairable("metrics-torn", place, "its last line has no end"))
    unreadable = len(file.aside) - (1 if file.is_torn and file.aside else 0)
    if unreadable > 0:
        findings.append(
            repairable("metrics-unreadable", place, f"unreadable, or contradicts others: {_lines(unreadable)}")
        )
    if file.repeated:
        findings.append(repairable("metrics-repeated", place, f"twice there: {_lines(len(file.repeated))}"))
    if absent:
        shown = ", ".join(sorted({str(line["run_id"]) for line in absent})[:3])
        findings.append(repairable("metrics-missing", place, f"without {_lines(len(absent))} of ended runs: {shown}"))
    return findings


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def expected_of(store: RunStore, run: RunSeen) -> Iterator[dict[str, Any]]:
    """Yield the metrics lines that follow from a run's record; none when it has not ended."""
    if run.manifest is not None and run.manifest.is_terminal:
        yield from expected_lines(run.manifest, stamp(store.clock.now()))


def state_findings(
    store: RunStore, task_id: str, state: bytes | None, runs: tuple[RunSeen, ...], settled: list[RunSeen], moving: int
) -> list[Finding]:
    """Return what is wrong with the bytes of a state (None: there is none)."""
    place = store.workspace.shown(os.path.join(store.workspace.out_dir, task_id, STATE))
    expected = state_of(task_id, (run.document for run in settled), pruned_of(store, task_id))
    if state is None:
        return [repairable("state-missing", place, "there is no state of the task")] if expected["runs"] else []
    found = read_state(state, task_id)
    if found is None:
        is_early = not expected["runs"] and is_early_state(state)
        return [] if is_early else [repairable("state-damaged", place, "it can't be read as a state of version 2")]
    is_quiet = moving == 0 and len(settled) == len(runs)
    same = _same(found, expected) if is_quiet else _is_within(found, expected, settled)
    return [] if same else [repairable("state-stale", place, "it does not say what the manifests say")]


def pruned_of(store: RunStore, task_id: str) -> list[dict[str, Any]]:
    """Return the state's entries of a task's pruned runs; of a chain that can't be read there are none."""
    with suppress(FileNotFoundError, StorageError), store.task(task_id) as task:
        return list(pruned_entries(store, task))
    return []


def state_of(task_id: str, documents: Iterable[dict[str, Any] | None], pruned: Iterable[dict[str, Any]] = ()) -> State:
    """Return the state that follows from records, and from the entries of runs that were ``pruned``.

    Records that don't count (None, version 1, not ended) are left out.
    """
    ended = [
        document
        for document in documents
        if document is not None and document["version"] == VERSION and is_countable(document)
    ]
    return rebuilt(task_id, ended[-1]["project"] if ended else "", 0, ended, pruned)


def read_state(data: bytes, task_id: str) -> State | None:
    """Return the state when it is one of version 2 of that task, else None."""
    try:
        state = parse(data, STATE)
    except DamagedRecord:
        return None
    return state if is_readable(state, task_id) else None


def _same(found: State, expected: State) -> bool:
    return all(found[key] == expected[key] for key in ("lastRunAt", "totals", "runs"))


def _is_within(found: State, expected: State, settled: list[RunSeen]) -> bool:
    """Compare only the runs that stand still; those that are on their way may be in the state or not."""
    still = {run.where.run_id for run in settled}
    listed = {run["runId"]: run for run in found["runs"] if run["runId"] in still}
    known = {run["runId"]: run for run in expected["runs"]}
    return all(known.get(run_id) == run for run_id, run in listed.items())


def _staging(store: RunStore, task: Folder) -> Iterator[Finding]:
    with suppress(FileNotFoundError, StorageError), task.sub(STAGING) as staging:
        for name in sorted(staging.names()):
            if is_left_over(store, staging, name):
                place = store.workspace.shown(os.path.join(staging.path, name))
                yield repairable("leftover-staging", place, "a start that did not end left it behind")


def is_left_over(store: RunStore, staging: Folder, name: str) -> bool:
    """Tell whether a folder in ``.staging`` belongs to no living claim."""
    with suppress(FileNotFoundError, StorageError), staging.sub(name) as staged:
        age = store.clock.now().timestamp() - os.fstat(staged.fd).st_mtime
        return age > _STAGING_SECONDS and sign_of_life(staged, store.clock.now()) is None
    return False


def _orphans(store: RunStore, task: Folder) -> Iterator[Finding]:
    """Yield markers and pointers of runs that aren't there. They come after their run, so it isn't on its way."""
    staged = _names(task, STAGING)
    pointers, markers = _names(task, MCP), _names(task, OPEN) - staged
    there = _names(task, CLI) | on_their_way(task).keys()
    shown = store.workspace.shown
    for run_id in sorted(markers - there - _names(task, STAGING)):
        if is_run_id(run_id):
            place = shown(os.path.join(task.path, OPEN, run_id))
            yield repairable("stale-marker", place, "it marks a run that was never seen")
    for run_id in sorted(filter(is_run_id, pointers - there)):
        place = shown(os.path.join(task.path, MCP, run_id))
        with suppress(FileNotFoundError, StorageError), task.sub(MCP) as mcp, mcp.sub(run_id) as folder:
            if is_pointer(folder):
                yield repairable("pointer-dangling", place, "it leads to a run that is not there")
            else:
                message = "a record of the early version that is not in the index"
                yield Finding("early-record", place, message, hint="codex-orchestrator migrate", level="warning")


def _names(folder: Folder, name: str) -> set[str]:
    with suppress(FileNotFoundError, StorageError), folder.sub(name) as inner:
        return set(inner.names())
    return set()


def _read(folder: Folder, name: str, limit: int) -> bytes | StorageError | None:
    """Return a file's bytes, what keeps it from being read, or None where there is none."""
    try:
        return folder.read(name, limit)
    except FileNotFoundError:
        return None
    except StorageError as error:
        return error


def _read_out(store: RunStore, task_id: str) -> bytes | StorageError | None:
    try:
        with Folder.at(store.workspace.out_dir, store.seam) as out, out.sub(task_id) as folder:
            return _read(folder, STATE, STATE_LIMIT)
    except FileNotFoundError:
        return None
    except StorageError as error:
        return error


def _unread(store: RunStore, path: str, error: StorageError) -> Iterator[Finding]:
    """Yield what keeps a file from being read: no repair can write it either. Links and pipes are found elsewhere."""
    if error.code != "planted-link":
        yield Finding(error.code, store.workspace.shown(path), error.message, hint=error.hint)
    elif os.path.isdir(path) and not os.path.islink(path):
        yield planted_finding(store, path, "a folder")


def _out_temps(store: RunStore, task_id: str) -> list[Finding]:
    with (
        suppress(FileNotFoundError, StorageError),
        Folder.at(store.workspace.out_dir, store.seam) as out,
        out.sub(task_id) as folder,
    ):
        return list(temp_files(folder.names(), store.workspace.shown(folder.path)))
    return []
