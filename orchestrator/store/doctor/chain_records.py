"""The runs of a task against its chain: those that are gone, and records that are not what their run left.

``verify`` says the same, and more: it reads every file. The doctor compares what ``status`` does. Reads only.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import is_run_id
from orchestrator.store.chain import is_end, lines_of, parsed
from orchestrator.store.doctor.records import RunSeen
from orchestrator.store.layout import CHAIN, MANIFEST
from orchestrator.store.prune_lines import prunes_in, runs_in
from orchestrator.store.record_proof import ALTERED, prove
from orchestrator.store.store import RunStore

MISSING = "run-missing"


def missing_runs(store: RunStore, task: Folder, there: Collection[str]) -> Iterator[Finding]:
    """Yield the runs whose end the chain knows, that no prune has named, and that are not ``there``.

    Raises StorageError.
    """
    ended: dict[str, None] = {}
    prunes = []
    for data in lines_of(task):
        line = parsed(data)
        if line is not None and is_end(line) and is_run_id(run_id := str(line.get("run_id"))):
            ended[run_id] = None
        elif line is not None:
            prunes.append(data)
    place = store.workspace.shown(os.path.join(task.path, CHAIN))
    pruned = runs_in(prunes_in(prunes), "record")
    for run_id in ended:
        if run_id not in there and run_id not in pruned:
            hint = f"restore its folder from a backup, or: codex-orchestrator prune --acknowledge {run_id} --reason …"
            yield Finding(MISSING, place, f"the record of {run_id} is gone", hint=hint)


def altered_runs(store: RunStore, settled: Iterable[RunSeen]) -> Iterator[Finding]:
    """Yield the ended runs whose record, or the sizes of whose files, are not what the chain's line says."""
    for run in settled:
        if run.manifest is None or run.document is None:
            continue
        with suppress(FileNotFoundError, StorageError):
            why = prove(store, run.where, run.document, "sizes").altered
            if why is not None:
                path = os.path.join(store.paths(run.where).folder, MANIFEST)
                hint = f"codex-orchestrator verify {run.where.run_id}"
                yield Finding(ALTERED, path, why, hint=hint)
