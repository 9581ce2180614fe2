"""Where the proofs of checklists come from in a workspace: evidence in git, records and chains, configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.checklists.evidence import Evidence, evidence_path, read_evidence
from orchestrator.checklists.items import Citation
from orchestrator.checklists.proof import Sources
from orchestrator.commands.surroundings import surroundings_of
from orchestrator.commands.task_owner import task_owner
from orchestrator.errors import DamagedRecord, NotFound, StorageError
from orchestrator.flaw import Flaw
from orchestrator.identifiers import is_run_id, name_fault
from orchestrator.onboarding.changes import UnfitFileError, current_text
from orchestrator.review_policy import ReviewPolicy
from orchestrator.run_store.chain import has_link, lines_of, parsed
from orchestrator.run_store.layout import Location
from orchestrator.run_store.reading import read_document
from orchestrator.run_store.store import RunStore


def sources_of(store: RunStore, environ: Mapping[str, str]) -> Sources:
    """Return the sources of a workspace. Each asks only for what it is called for."""
    root = store.workspace.root

    def evidence(citation: Citation) -> Evidence | None:
        return kept_evidence(root, citation.task_id, citation.run_id)

    def record(task_id: str, run_id: str) -> Mapping[str, Any] | None:
        return record_here(store, Location(task_id, run_id))

    def link(task_id: str, run_id: str, attempt: int) -> Mapping[str, Any] | None:
        return link_of(store, Location(task_id, run_id), attempt)

    def policy(project: str) -> tuple[ReviewPolicy, str | None]:
        around = surroundings_of(store, {"version": 2, "project": project}, environ, look=False)
        return around.policy, around.fault

    return Sources(evidence, record, link, task_owner(root), policy)


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


def record_here(store: RunStore, where: Location) -> Mapping[str, Any] | None:
    """Return the full record of a run where it exists here, as after a fresh clone it doesn't."""
    if name_fault("task", where.task_id) is not None or not is_run_id(where.run_id):
        return None
    try:
        return read_document(store, where)
    except NotFound:
        return None
    except StorageError as error:
        raise DamagedRecord(error.message) from error


def link_of(store: RunStore, where: Location, attempt: int) -> Mapping[str, Any] | None:
    """Return the line of the task's chain of an ended attempt, None where there is none."""
    from orchestrator.metrics import event_id

    event = event_id(where.run_id, attempt)
    try:
        with store.task(where.task_id) as task:
            if not has_link(task, event):
                return None
            found = (parsed(line) for line in lines_of(task))
            return next((line for line in found if line is not None and line.get("event_id") == event), None)
    except FileNotFoundError:
        return None
    except StorageError as error:
        raise DamagedRecord(error.message) from error


def docs_flaws(store: RunStore, environ: Mapping[str, str]) -> tuple[list[Flaw], dict[str, int]]:
    """Return what does not hold in the workspace's checklists, and how much was looked at."""
    from orchestrator.checklists.documents import read_documents
    from orchestrator.checklists.items import items_of
    from orchestrator.checklists.mirrors import mirror_flaws, tasks_in
    from orchestrator.checklists.proof import item_flaws

    texts, flaws = read_documents(store.workspace.root)
    sources = sources_of(store, environ)
    items = [item for path, text in texts.items() for item in items_of(path, text)]
    found = [*flaws, *mirror_flaws(texts), *(flaw for item in items for flaw in item_flaws(item, sources))]
    counted = {"files": len(texts), "checklists": len(tasks_in(texts)), "ticked": sum(item.ticked for item in items)}
    return found, counted
