"""One task: its chain, and everything that the chain speaks of."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import is_run_id
from orchestrator.store.doctor.tasks import METRICS_LIMIT, shared_lock
from orchestrator.store.doctor.workspace import full_check
from orchestrator.store.find import read_document, run_ids, task_ids
from orchestrator.store.layout import CHAIN, METRICS, OPEN, Location
from orchestrator.store.liveness import sign_of_life
from orchestrator.store.store import RunStore
from orchestrator.store.unattended import is_unattended
from orchestrator.store.verification.chain_lines import read_chain
from orchestrator.store.verification.metrics_lines import metrics_findings
from orchestrator.store.verification.prunes import ends_by_event, lost_runs, prune_findings, pruned_by_level
from orchestrator.store.verification.runs import run_findings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

CHAIN_LIMIT = 1 << 30

Judge: TypeAlias = "Callable[[Location, Mapping[str, Any]], None]"
"""Gets each record that could be read, after it was compared: nobody reads it twice. It may get one again."""


def _nobody(where: Location, record: Mapping[str, Any]) -> None:
    """Judges nothing."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at: tasks, runs, lines of chains; what does not hold, and what is only noted."""

    tasks: int
    runs: int
    links: int
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()


def verify_all(
    store: RunStore, looked: Callable[[object], None] = lambda run_id: None, judged: Judge = _nobody
) -> Verified:
    """Verify every run of every task; ``looked`` gets each run after it was looked at, ``judged`` its record."""
    seen = [verify_task(store, task_id, looked=looked, judged=judged) for task_id in task_ids(store)]
    findings = tuple(finding for task in seen for finding in task.findings)
    notes = tuple(note for task in seen for note in task.notes)
    return Verified(len(seen), sum(task.runs for task in seen), sum(task.links for task in seen), findings, notes)


def verify_run(store: RunStore, where: Location, judged: Judge = _nobody) -> Verified:
    """Verify one run, its metrics lines, and the chain of its task; ``judged`` gets its record."""
    return verify_task(store, where.task_id, only=where.run_id, judged=judged)


def verify_task(
    store: RunStore,
    task_id: str,
    only: str | None = None,
    looked: Callable[[object], None] = lambda run_id: None,
    judged: Judge = _nobody,
) -> Verified:
    """Verify a task's chain, metrics and runs, or of these ``only`` one run. What was found is looked at twice.

    Runs may end, and be published, between two looks: what is a finding then is none at the next.
    """
    seen = _look(store, task_id, only, looked, judged)
    if not seen.findings:
        return seen
    again = _look(store, task_id, only, looked, judged)
    findings = tuple(each for each in again.findings if each in seen.findings)
    return Verified(again.tasks, again.runs, again.links, findings, again.notes)


def _look(
    store: RunStore, task_id: str, only: str | None, is_done: Callable[[object], None], judged: Judge
) -> Verified:
    with store.task(task_id) as task:
        moving = marked_runs(task)
        with shared_lock(task):
            chain_data, chain_findings = _read(store, task, CHAIN, CHAIN_LIMIT)
            metrics_data, other_findings = _read(store, task, METRICS, METRICS_LIMIT)
        ids = set(run_ids(store, task_id))
        moving |= marked_runs(task)
        shown = store.workspace.shown(task.path)
    chain_path = os.path.join(shown, CHAIN)
    chain = read_chain(chain_data, chain_path)
    findings = [*chain_findings, *chain.findings, *other_findings]
    wanted = sorted(ids | {link.run_id for link in chain.links if is_run_id(link.run_id)})
    moving |= {run_id for run_id in wanted if holds_lock(store, Location(task_id, run_id))}
    found = metrics_findings(metrics_data, os.path.join(shown, METRICS), chain, moving)
    findings += found
    looked = [run_id for run_id in wanted if only in (None, run_id)]
    pruned = pruned_by_level(chain)
    ends = ends_by_event(metrics_data) if chain.prunes else {}
    findings += (each for each in prune_findings(chain, chain_path, ids, ends) if only is None or only in each.message)
    for run_id in looked:
        links = chain.of_run(run_id)
        where = Location(task_id, run_id)
        findings += run_findings(
            store,
            where,
            links,
            chain_path,
            full_check,
            is_moving=run_id in moving,
            decisions=chain.decisions_about(run_id),
            pruned={level: found[run_id] for level, found in pruned.items() if run_id in found},
            judged=judged,
        )
        is_done(run_id)
    lost = (note for note in lost_runs(chain, chain_path, ids) if only is None or only in note.message)
    unattended = _unattended(store, task_id, [run_id for run_id in looked if run_id in moving])
    return Verified(1, len(looked), len(chain.links), tuple(findings), (*chain.notes, *lost, *unattended))


def _unattended(store: RunStore, task_id: str, runs: Iterable[str]) -> Iterator[Finding]:
    """Yield a note for each run that is open in the cloud by its record, and that nobody attends.

    Whoever writes an engine into the record of an interrupted run keeps it from being closed: here it is named.
    """
    for run_id in runs:
        where = Location(task_id, run_id)
        with suppress(DamagedRecord, NotFound, StorageError):
            if is_unattended(store, where, read_document(store, where)):
                message = "it goes on in the cloud by its record, which nothing proves before its end"
                hint = f"codex-orchestrator attach {run_id}"
                yield Finding("unattended", store.paths(where).manifest, message, hint=hint, level="warning")


def marked_runs(task: Folder) -> set[str]:
    """Return the runs whose end is not fully published."""
    with suppress(FileNotFoundError, StorageError), task.sub(OPEN) as opened:
        return set(opened.names())
    return set()


def holds_lock(store: RunStore, where: Location) -> bool:
    """Tell whether a run's process holds its lock; a folder that can't be read is nobody's."""
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder:
        return sign_of_life(folder, store.clock.now()) is not None
    return False


def _read(store: RunStore, task: Folder, name: str, limit: int) -> tuple[bytes, list[Finding]]:
    try:
        return task.read(name, limit), []
    except FileNotFoundError:
        return b"", []
    except StorageError as error:
        return b"", [Finding(error.code, store.workspace.shown(os.path.join(task.path, name)), error.message)]


def findings_by_place(findings: Collection[Finding]) -> Iterator[Finding]:
    """Yield findings in the order of files and lines."""
    yield from sorted(findings, key=lambda finding: (finding.path, finding.line or 0, finding.code))
