"""The runs of a task against its chain: those that are gone, and records that are not what their run left.

``verify`` says the same, and more: it reads every file. The doctor compares what ``status`` does. Reads only.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from shlex import quote

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.record import Record
from orchestrator.process.shared_work import share
from orchestrator.store.chain import is_end, lines_in, lines_of, parsed
from orchestrator.store.doctor.records import RunSeen
from orchestrator.store.layout import CHAIN, MANIFEST
from orchestrator.store.metrics_line import event_id
from orchestrator.store.prune_lines import prunes_in, runs_in
from orchestrator.store.record_proof import ALTERED, prove
from orchestrator.store.store import RunStore

MISSING = "run-missing"
UNKNOWN = "not-in-chain"

_WORTH_A_PROCESS = 1000
"""Runs: to prove them takes half a second."""


class ChainSeen(Record):
    """A task's chain, read once.

    ``ended`` are the runs whose end it knows, in their order. ``places`` says of each end's ``event_id`` where its
    line begins (bytes): a run's folder notes that too, but such a note is a hint which a copy or an older program may
    lack, and looking for the line of each run by itself would cost the square of their number. ``prunes`` are the
    lines of other kinds.
    """

    ended: tuple[str, ...]
    places: Mapping[str, int]
    prunes: tuple[bytes, ...]


def read_chain(task: Folder) -> ChainSeen:
    """Return what a task's chain says. Raises StorageError."""
    ended: dict[str, None] = {}
    places: dict[str, int] = {}
    prunes = []
    offset = 0
    for data in lines_of(task):
        line = parsed(data)
        if line is not None and not is_end(line):
            prunes.append(data)
        elif line is not None and is_run_id(run_id := str(line.get("run_id"))):
            ended[run_id] = None
        for inner in lines_in(line or {}):
            if is_end(inner) and isinstance(event := inner.get("event_id"), str):
                places.setdefault(event, offset)
        offset += len(data) + 1
    return ChainSeen(tuple(ended), places, tuple(prunes))


def missing_runs(store: RunStore, task: Folder, seen: ChainSeen, there: Collection[str]) -> Iterator[Finding]:
    """Yield the runs whose end the chain knows, that no prune has named, and that are not ``there``."""
    place = store.workspace.shown(os.path.join(task.path, CHAIN))
    pruned = runs_in(prunes_in(seen.prunes), "record")
    for run_id in seen.ended:
        if run_id not in there and run_id not in pruned:
            hint = f"restore its folder from a backup, or: codex-orchestrator prune --acknowledge {run_id} --reason …"
            yield Finding(MISSING, place, f"the record of {run_id} is gone", hint=hint)


def unproved_runs(store: RunStore, settled: Sequence[RunSeen], places: Mapping[str, int]) -> list[Finding]:
    """Return the ended runs that no line of the chain proves, or whose record or sizes of files are not what it says.

    ``places`` are those of ``ChainSeen``.
    """
    return share(settled, lambda part: list(_unproved(store, part, places)), _WORTH_A_PROCESS)


def _unproved(store: RunStore, settled: Iterable[RunSeen], places: Mapping[str, int]) -> Iterator[Finding]:
    for run in settled:
        if run.manifest is None or run.document is None:
            continue
        with suppress(FileNotFoundError, StorageError):
            place = places.get(event_id(run.where.run_id, run.manifest.attempt))
            proof = prove(store, run.where, run.document, "sizes", hint=place)
            path = os.path.join(store.paths(run.where).folder, MANIFEST)
            if proof.altered is not None:
                hint = f"codex-orchestrator verify {run.where.run_id}"
                yield Finding(ALTERED, path, proof.altered, hint=hint)
            elif proof.line is None and run.manifest.is_terminal and not proof.is_open:
                what = f"attempt {run.manifest.attempt} ended, and the task's chain has no line of it"
                yield Finding(UNKNOWN, path, what, hint=_ways_out(store, run.where.task_id))


def _ways_out(store: RunStore, task_id: str) -> str:
    """Return what to do about a chain that is lost: nothing here makes one up of records that it does not prove."""
    folders = (store.workspace.runs_dir, store.workspace.out_dir)
    words = " ".join(quote(store.workspace.shown(os.path.join(folder, task_id))) for folder in folders)
    return (
        f"restore {CHAIN} of the task from a backup; without one set the records aside: mv {words} ELSEWHERE, then "
        "codex-orchestrator doctor --repair"
    )
