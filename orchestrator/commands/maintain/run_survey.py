"""What ``prune`` knows of each run: its record as the chain proves it, what it is held by, and how much it takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.files import Folder, explained
from orchestrator.base.record import Record
from orchestrator.commands.review.evidence_sources import cited_runs, kept_runs
from orchestrator.commands.review.review_context import review_context_of
from orchestrator.model.approvals import APPROVE, subject_of, validities
from orchestrator.model.manifest.many_manifests import ManyManifests
from orchestrator.model.outcome import TERMINAL
from orchestrator.model.retention import RunFacts
from orchestrator.process.shared_work import share
from orchestrator.store.canary_proof import noted_proofs
from orchestrator.store.chain import is_end, lines_of, parsed
from orchestrator.store.find import checked_manifest, manifest_bytes, run_ids, task_ids
from orchestrator.store.keys import keyed_runs
from orchestrator.store.layout import CLI, COMMANDS, ERRORS, EVENTS, MANIFEST, OPEN, Location
from orchestrator.store.outbox import waiting_exports
from orchestrator.store.prune import Chosen, manifest_file
from orchestrator.store.prune_lines import NamedAttempt, NamedRun, PrunedRun, is_prune, prunes_in, runs_in
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORTH_A_PROCESS = 1000
"""Runs: to look at them takes a third of a second, to send what was found 20 ms."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMED = ("status", "outcome", "project", "pipeline_id", "started_at", "completed_at")


class Surveyed(Record):
    """A run: what the rules ask for, and what a prune names; ``chosen`` is None of one that can't be pruned."""

    facts: RunFacts
    chosen: Chosen | None
    bytes: int
    log_bytes: int


class Survey(Record):
    """All runs of a workspace, and all that the chains have as pruned; by task those of these that are there again."""

    runs: tuple[Surveyed, ...]
    came_back: Mapping[str, tuple[str, ...]]
    pruned: frozenset[str] = frozenset()


class _Known(Record):
    """What a task's chain says: the ended attempts of its runs, and those that were pruned."""

    ends: Mapping[str, list[NamedAttempt]]
    pruned: Mapping[str, PrunedRun]
    opened: frozenset[str]


class _Look(Record):
    """What lies in a run's folder: the bytes of all files and of those that go with its logs, its manifest's file."""

    bytes: int
    log_bytes: int
    manifest: tuple[int, int] | None
    has_logs: bool


def survey(store: RunStore, environ: Mapping[str, str], progress: Callable[[int], None] = lambda done: None) -> Survey:
    """Return what is known of all runs; ``progress`` gets how many were looked at.

    Raises StorageError, ConfigError of a bad ``[docs]``, DamagedRecord of a key's file that can't be read.
    """
    held = _held(store, environ)
    known: dict[str, _Known] = {}
    there: list[Location] = []
    came_back: dict[str, tuple[str, ...]] = {}
    gone: set[str] = set()
    for task_id in task_ids(store):
        with store.task(task_id) as task:
            known[task_id] = _known(task)
        pruned = {run_id for run_id, entry in known[task_id].pruned.items() if not entry.lost}
        gone |= pruned
        run_ids_ = run_ids(store, task_id)
        if back := tuple(run_id for run_id in run_ids_ if run_id in pruned):
            came_back[task_id] = back
        there += [Location(task_id, run_id) for run_id in run_ids_ if run_id not in pruned]
    looked_at = 0

    def looked(places: Sequence[Location]) -> list[Surveyed]:
        nonlocal looked_at
        found = []
        for run in _surveyed_runs(store, places, known, held, environ):
            found.append(run)
            looked_at += 1
            progress(looked_at)
        return found

    runs = share(there, looked, _WORTH_A_PROCESS)
    progress(len(runs))
    return Survey(tuple(runs), came_back, frozenset(gone))


def _surveyed_runs(
    store: RunStore,
    places: Iterable[Location],
    known: Mapping[str, _Known],
    held: Mapping[str, list[str]],
    environ: Mapping[str, str],
) -> Iterator[Surveyed]:
    """Yield what is known of each run that is there, those of a task one after the other."""
    manifests = ManyManifests()
    for task_id, of_task in groupby(places, key=attrgetter("task_id")):
        with suppress(FileNotFoundError), store.task(task_id) as task, task.sub(CLI) as cli:
            for where in of_task:
                with suppress(FileNotFoundError):
                    yield _surveyed(store, cli, where, known[task_id], held, environ, manifests)


def _held(store: RunStore, environ: Mapping[str, str]) -> Mapping[str, list[str]]:
    """Return what holds runs from outside of their records, by run id."""
    found: dict[str, list[str]] = {}
    for why, run_ids_ in (
        ("evidence in git cites it", kept_runs(store.workspace.root)),
        ("a ticked item cites it", cited_runs(store, environ)),
        ("a key that is not free yet names it", keyed_runs(store)),
        ("an export of it waits", frozenset(entry.where.run_id for entry in waiting_exports(store))),
        ("it proves that a guardrail can fail", noted_proofs(store)),
    ):
        for run_id in run_ids_:
            found.setdefault(run_id, []).append(why)
    return found


def _known(task: Folder) -> _Known:
    ends: dict[str, list[NamedAttempt]] = {}
    prunes = []
    for data in lines_of(task):
        if is_prune(data):
            prunes.append(data)
        elif (line := parsed(data)) is not None and is_end(line):
            attempt, digest = line.get("attempt"), line.get("manifest_digest")
            if isinstance(attempt, int) and isinstance(digest, str):
                ends.setdefault(str(line.get("run_id")), []).append(NamedAttempt(attempt, digest))
    opened: frozenset[str] = frozenset()
    with suppress(FileNotFoundError), task.sub(OPEN) as markers:
        opened = frozenset(markers.names())
    return _Known(ends, runs_in(prunes_in(prunes), "record"), opened)


def _surveyed(
    store: RunStore,
    cli: Folder,
    where: Location,
    known: _Known,
    held: Mapping[str, list[str]],
    environ: Mapping[str, str],
    manifests: ManyManifests,
) -> Surveyed:
    run_id = where.run_id
    try:
        with cli.sub(run_id) as folder:
            found = _look(folder)
            seen = found.manifest or manifest_file(folder)
            record, digest = manifests.read(manifest_bytes(folder), f"{folder.path}/{MANIFEST}")
            checked_manifest(record, folder, where)
            is_writable = os.access(folder.path, os.W_OK | os.X_OK)
    except (DamagedRecord, NotFound, StorageError) as error:
        return _unreadable(where, error.code)
    holds = [*_holds(record, digest, run_id, known), *held.get(run_id, ())]
    if not is_writable:
        holds.append("its folder can't be written to")
    try:
        if any(isinstance(entry, dict) and entry.get("decision") == APPROVE for entry in record.get("approvals") or ()):
            holds += _approvals(store, record, environ)
        facts = _facts(record, where, tuple(holds), has_logs=found.has_logs)
    except (KeyError, TypeError, ValueError, AttributeError):  # of another type, which no full check has refused yet
        return _unreadable(where, DamagedRecord.default_code)
    named = None
    if facts.completed_at is not None and run_id in known.ends and record["version"] == 2:
        named = NamedRun(run_id, tuple(known.ends[run_id]), *(record[key] for key in _NAMED))
    return Surveyed(facts, None if named is None else Chosen(named, seen), found.bytes, found.log_bytes)


def _unreadable(where: Location, code: str) -> Surveyed:
    return Surveyed(RunFacts(where.run_id, where.task_id, holds=(f"its record can't be read: {code}",)), None, 0, 0)


def _holds(record: Mapping[str, Any], digest: str, run_id: str, known: _Known) -> Iterator[str]:
    """Yield why a record is kept whatever the rules say, by itself and by its task's chain."""
    if record["version"] != 2:
        yield "it is of version 1"
        return
    if record["status"] not in TERMINAL:
        yield f"it has not ended: {record['status']}"
        return
    if run_id in known.opened or not record.get("metrics_recorded"):
        yield "its end is not fully published"
    ends = known.ends.get(run_id, ())
    if not ends:
        yield "the task's chain has no line of it"
    elif (ends[-1].attempt, ends[-1].manifest_digest) != (record.get("attempt"), digest):
        yield "its record was altered"
    if run_id in known.pruned:
        yield "it is there again, and was acknowledged as lost"


def _approvals(store: RunStore, record: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    around = review_context_of(store, record, environ, look=False)
    judged = validities(record["approvals"], subject_of(record, "unknown", around.signed), around.policy)
    for entry, validity in zip(record["approvals"], judged, strict=True):
        if entry.get("decision") == APPROVE and validity.state == "valid":
            yield f"an approval by {entry.get('actor')} counts"


def _facts(record: Mapping[str, Any], where: Location, holds: tuple[str, ...], *, has_logs: bool) -> RunFacts:
    """Return what the rules judge. Raises TypeError, ValueError or AttributeError of a record that can't be read."""
    lineage = record.get("lineage")
    commands = [entry for entry in record.get("commands") or () if isinstance(entry, dict)]
    children = [entry.get("run_id") for entry in record.get("child_runs") or () if isinstance(entry, dict)]
    root = lineage.get("rootRunId") if isinstance(lineage, dict) else None
    below = (entry.get("sub_run_id") for entry in commands)
    cited = (entry["reused"].get("run_id") for entry in commands if isinstance(entry.get("reused"), dict))
    ended = record.get("completed_at") if record.get("status") in TERMINAL else None
    if isinstance(ended, str):
        parse_stamp(ended)
    return RunFacts(
        where.run_id,
        where.task_id,
        str(record.get("project") or ""),
        str(record.get("pipeline_id") or ""),
        str(record.get("status")),
        str(record.get("started_at")),
        ended if isinstance(ended, str) else None,
        _texts((record.get("parent_run_id"), root, *children, *below), where.run_id),
        _texts(cited, where.run_id),
        holds,
        has_logs,
    )


def _texts(values: Iterable[object], own: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str) and value != own))


def _look(folder: Folder) -> _Look:
    """Return what lies in a run's folder. Raises FileNotFoundError, StorageError."""
    total = logs = 0
    manifest, has_logs = None, False
    with explained(folder.path), os.scandir(folder.fd) as entries:
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                size = _bytes_below(folder.fd, name)
                logs += size if name in (COMMANDS, ERRORS) else 0
            else:
                found = entry.stat(follow_symlinks=False)
                size = found.st_size
                if name == EVENTS:
                    has_logs = True
                    logs += size
                elif name == MANIFEST:
                    manifest = found.st_ino, found.st_mtime_ns
            total += size
    return _Look(total, logs, manifest, has_logs)


def _bytes_below(above: int, name: str) -> int:
    """Return the bytes of all files below a folder in an open one; 0 of one that is gone meanwhile. Raises OSError."""
    try:
        fd = os.open(name, _FOLDER, dir_fd=above)
    except FileNotFoundError:
        return 0
    try:
        with os.scandir(fd) as entries:
            return sum(
                [
                    _bytes_below(fd, entry.name)
                    if entry.is_dir(follow_symlinks=False)
                    else entry.stat(follow_symlinks=False).st_size
                    for entry in entries
                ]
            )
    finally:
        os.close(fd)
