"""Where the proofs of checklists come from in a workspace: evidence in git, records and chains, configs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError, UsageError
from orchestrator.base.files.changes import UnfitFileError, current_text
from orchestrator.base.finding import Finding
from orchestrator.base.globs import Globs
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.record import Record
from orchestrator.checks.checklists.baseline import Baseline
from orchestrator.checks.checklists.documents import Documents, read_documents
from orchestrator.checks.checklists.evidence import Evidence, evidence_path, read_evidence
from orchestrator.checks.checklists.items import EVIDENCE_FOLDER, Citation, items_of, mirror_paths
from orchestrator.checks.checklists.mirrors import mirror_findings, tasks_in
from orchestrator.checks.checklists.tick_proof import NOTES, Sources, item_findings, kept_findings
from orchestrator.commands.look.run_view import with_decisions
from orchestrator.commands.review.granted_policy import signers_of, with_base
from orchestrator.commands.review.project_policy import review_policy
from orchestrator.commands.review.review_context import review_context_of
from orchestrator.config.project_names import project_names
from orchestrator.config.project_outlines import named_task
from orchestrator.config.routing.projects import task_owner
from orchestrator.config.routing.task_index import read_index
from orchestrator.config.workspace_file import read_docs_policy
from orchestrator.model.accounts import Signed
from orchestrator.model.review_policy import ReviewPolicy
from orchestrator.store.chain import find_link, last_lines, lines_in, parsed, read_hint
from orchestrator.store.find import read_document
from orchestrator.store.layout import CHAIN, Location
from orchestrator.store.metrics_line import event_id
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def sources_of(store: RunStore, environ: Mapping[str, str]) -> Sources:
    """Return the sources of a workspace. Each asks only for what it is called for, and reads a run's record once."""
    root = store.workspace.root

    def evidence(citation: Citation) -> Evidence | None:
        return kept_evidence(root, citation.task_id, citation.run_id)

    @cache
    def record(task_id: str, run_id: str) -> Mapping[str, Any] | None:
        return record_here(store, Location(task_id, run_id))

    def link(task_id: str, run_id: str, attempt: int) -> Mapping[str, Any] | None:
        return link_of(store, Location(task_id, run_id), attempt)

    def policy(project: str) -> tuple[ReviewPolicy, str | None]:
        around = review_context_of(store, {"version": 2, "project": project}, environ, look=False)
        return around.policy, around.fault

    def signed(project: str, run_id: str, entries: Sequence[Mapping[str, Any]]) -> tuple[Signed | None, ...]:
        allowed = with_base(root, project, review_policy(root, project)[0], environ).signers
        return signers_of(run_id, entries, allowed, environ)

    return Sources(evidence, record, link, task_owner(root), policy, signed=signed)


def kept_evidence(root: str, task_id: str, run_id: str) -> Evidence | None:
    """Return what is kept in git of a run, None where nothing is. Raises DamagedRecord."""
    path = evidence_path(task_id, run_id)
    try:
        text = current_text(root, path)
    except UnfitFileError as error:
        raise DamagedRecord(f"'{path}': {error}") from error
    if text is None:
        return None
    try:
        return read_evidence(text, path)
    except ValueError as error:
        raise DamagedRecord(f"'{path}' contradicts itself: {error}") from error


def record_here(store: RunStore, where: Location, *, from_chain: bool = True) -> Mapping[str, Any] | None:
    """Return the full record of a run where it exists here, as after a fresh clone it doesn't.

    ``from_chain`` is that of ``with_decisions``. Raises DamagedRecord where it can't be read or is altered.
    """
    if name_fault("task", where.task_id) is not None or not is_run_id(where.run_id):
        return None
    try:
        record, altered = with_decisions(store, where, read_document(store, where), from_chain=from_chain)
    except NotFound:
        return None
    except StorageError as error:
        raise DamagedRecord(error.message) from error
    if altered is not None:
        raise DamagedRecord(altered[1], code=altered[0])
    return record


def link_of(store: RunStore, where: Location, attempt: int) -> Mapping[str, Any] | None:
    """Return the line of an ended attempt: the task's chain's, of an imported run its own chain's; None without one.

    Raises DamagedRecord.
    """
    try:
        with store.task(where.task_id) as task:
            found = find_link(task, event_id(where.run_id, attempt), _noted_place(store, where, attempt))
    except FileNotFoundError:
        return None
    except StorageError as error:
        raise DamagedRecord(error.message) from error
    return None if found is None else found.line


def _noted_place(store: RunStore, where: Location, attempt: int) -> int | None:
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder:
        return read_hint(folder, attempt)
    return None


class DocsReport(Record):
    """What does not hold in the documents, what is only named, and how much was looked at."""

    findings: list[Finding]
    notes: list[Finding]
    counted: dict[str, int]


def docs_findings(store: RunStore, environ: Mapping[str, str]) -> DocsReport:
    """Return what does not hold in the workspace's checklists. Raises ConfigError for a bad ``workspace.toml``."""
    documents, baseline = _documents(store.workspace.root, environ)
    texts = documents.texts
    sources = replace(sources_of(store, environ), baseline=baseline.holds)
    known = frozenset((*tasks_in(texts), *known_tasks(store.workspace.root)))
    items = [item for path, text in texts.items() for item in items_of(path, text, known)]
    found = [finding for item in items for finding in item_findings(item, sources)]
    real = [finding for finding in found if finding.code not in NOTES]
    notes = [*documents.notes, *(finding for finding in found if finding.code in NOTES)]
    ticked = {(item.task or item.path, item.key) for item in items if item.ticked}  # a mirror repeats what is ticked
    counted = {"files": len(texts), "checklists": len(tasks_in(texts)), "ticked": len(ticked)}
    return DocsReport([*documents.unreadable, *baseline.findings, *mirror_findings(texts), *real], notes, counted)


def _documents(root: str, environ: Mapping[str, str]) -> tuple[Documents, Baseline]:
    policy = read_docs_policy(root)
    return read_documents(root, Globs(policy.ignore).match), Baseline(root, policy.since, environ)


def known_tasks(root: str) -> frozenset[str]:
    """Return the tasks that the index and the configs name, also those of configs that can't be used."""
    found = {task for name in project_names(root) if (task := named_task(root, name)) is not None}
    with suppress(UsageError):
        found.update(read_index(root).projects)
    return frozenset(found)


def checklist_findings(store: RunStore, environ: Mapping[str, str], task_id: str, sources: Sources) -> list[Finding]:
    """Return what ``docs_findings`` would find of one task."""
    documents, baseline = _documents(store.workspace.root, environ)
    texts = documents.texts
    known = frozenset((*tasks_in(texts), *known_tasks(store.workspace.root)))
    sources = replace(sources, baseline=baseline.holds)
    found = [finding for finding in documents.unreadable if finding.path in mirror_paths(task_id)]
    found += mirror_findings(texts, task_id)
    for path, text in texts.items():
        for item in items_of(path, text, known):
            if item.task == task_id:
                found += item_findings(item, sources)
    return [*(finding for finding in found if finding.code not in NOTES), *baseline.findings]


def cited_runs(store: RunStore, environ: Mapping[str, str], task_id: str | None = None) -> frozenset[str]:
    """Return the runs that ticked items of the workspace's checklists cite: those of one task, or of all."""
    documents, _ = _documents(store.workspace.root, environ)
    known = frozenset((*tasks_in(documents.texts), *known_tasks(store.workspace.root)))
    items = (item for path, text in documents.texts.items() for item in items_of(path, text, known) if item.ticked)
    return frozenset(each.run_id for item in items for each in item.citations if task_id in (None, each.task_id))


def kept_runs(root: str) -> frozenset[str]:
    """Return the runs of which evidence is kept in git, of all tasks."""
    found: set[str] = set()
    folder = os.path.join(root, EVIDENCE_FOLDER)
    with suppress(OSError):
        for task_id in os.listdir(folder):
            with suppress(OSError):
                found.update(name.removesuffix(".json") for name in os.listdir(os.path.join(folder, task_id)))
    return frozenset(filter(is_run_id, found))


def evidence_findings(store: RunStore, task_id: str, sources: Sources, last: int) -> list[Finding]:
    """Return what does not hold of the evidence of a task's ``last`` runs that are kept in git."""
    names: list[str] = []
    with suppress(OSError):
        names = sorted(os.listdir(os.path.join(store.workspace.root, EVIDENCE_FOLDER, task_id)))
    runs = [stem for stem, suffix in map(os.path.splitext, names) if suffix == ".json" and is_run_id(stem)]
    cited = [Citation(task_id, run_id, evidence_path(task_id, run_id)) for run_id in runs[-last:]]
    return [finding for citation in cited for finding in kept_findings(citation, sources)]


def bounded(store: RunStore, sources: Sources, last: int) -> Sources:
    """Return sources at a cost that has a bound: the line of a run is looked for among the ``last`` of the chain only.

    Decisions are looked up in its index.
    """

    @cache
    def record(task_id: str, run_id: str) -> Mapping[str, Any] | None:
        return record_here(store, Location(task_id, run_id), from_chain=False)

    def link(task_id: str, run_id: str, attempt: int) -> Mapping[str, Any] | None:
        wanted = event_id(run_id, attempt)
        try:
            with store.task(task_id) as task:
                _, tail = last_lines(task, CHAIN, last)
        except FileNotFoundError:
            return None
        except StorageError as error:
            raise DamagedRecord(error.message) from error
        lines = (line for line in map(parsed, tail.split(b"\n")[:-1]) if line is not None)
        inner = (each for line in lines for each in lines_in(line))
        return next((line for line in inner if line.get("event_id") == wanted), None)

    return replace(sources, record=record, link=link)
