"""Whether the index of a task's chain names what the chain has, and nothing else (``chain_index``)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.store.chain_index import Index
from orchestrator.store.doctor.finding import Repaired, repairable
from orchestrator.store.layout import CHAIN
from orchestrator.store.store import RunStore

DIFFERS = "chain-index-differs"
_SHOWN = 3


def index_findings(store: RunStore, task: Folder) -> Iterator[Finding]:
    """Yield what is wrong with the caller's index of a task's chain. Reads only. Raises StorageError.

    One whose seal is broken, or that is of another chain, is no finding: nobody uses it.
    """
    index = Index(task, store.workspace)
    wrong = list(index.differences())
    if wrong:
        again = set(index.differences())  # it may have been made anew in between
        wrong = [key for key in wrong if key in again]
    if wrong:
        shown = ", ".join(wrong[:_SHOWN]) + (", …" if len(wrong) > _SHOWN else "")
        what = f"its index, sealed by this account's key, leaves out, adds or moves lines about {shown}"
        yield repairable(DIFFERS, store.workspace.shown(os.path.join(task.path, CHAIN)), what)


def index_again(store: RunStore, task: Folder) -> Iterator[Repaired]:
    """Make the caller's index of a task's chain anew, and yield that, where the disk takes it. Raises StorageError."""
    for finding in index_findings(store, task):
        Index(task, store.workspace).extend(afresh=True)
        if not any(index_findings(store, task)):
            yield Repaired(DIFFERS, finding.path, "the index is made anew from the chain")
