"""Ticking: items of a task's checklist, with the run that proves each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.base.errors import GateNotMet, NotFound, UsageError
from orchestrator.base.files.changes import FileChange, current_text
from orchestrator.base.identifiers import near_hint
from orchestrator.base.quoting import shown
from orchestrator.checks.checklists.evidence import Evidence, evidence_of, evidence_path, render_evidence
from orchestrator.checks.checklists.items import Citation, Item, items_of, mirror_paths, slug, word
from orchestrator.checks.checklists.mirrors import HINT, source_of, ticked, unclear_items
from orchestrator.checks.checklists.needs import APPROVAL
from orchestrator.checks.checklists.tick_proof import (
    Sources,
    approval_of,
    clean_tree_faults,
    item_findings,
    judged_reviews,
)
from orchestrator.commands.context import Context
from orchestrator.commands.look.run_view import child_reasons, child_standing
from orchestrator.commands.review.evidence_sources import link_of, record_here, sources_of
from orchestrator.commands.review.plan_of_config import refuse_foreign_plan
from orchestrator.model.manifest.json_schema import load
from orchestrator.report.readiness import counting_children, reasons_of_children
from orchestrator.store.find import find_run
from orchestrator.store.layout import Location
from orchestrator.store.record_proof import ALTERED, prove, refuse_pruned_logs
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.checks.checklists.documents import Documents


def ticking(
    context: Context, store: RunStore, documents: Documents, names: Sequence[str], reference: str, task: str | None
) -> list[FileChange]:
    """Return what ticks the items ``names`` with the run ``reference``, all or none.

    Raises GateNotMet when the run does not prove one of them, UsageError, NotFound, DamagedRecord.
    """
    where = find_run(store, reference)
    task = task or where.task_id
    record = record_here(store, where)
    if record is None:
        raise NotFound(f"there is no record of run '{where.run_id}'")
    if record["version"] != 2:
        raise UsageError(f"run '{where.run_id}' is of version 1, which proves no item", code="version-1")
    load(dict(record), store.paths(where).manifest)
    refuse_foreign_plan(store, where, record, context.environ)
    documents.refuse_unreadable(task)
    evidence = evidence_of(record, link_of(store, where, int(record["attempt"])))
    for code, message in clean_tree_faults(evidence.manifest):
        raise GateNotMet(message, hint="commit, and start a run of that commit", code=code)
    path = evidence_path(where.task_id, where.run_id)
    sources = replace(sources_of(store, context.environ), evidence=lambda citation: evidence)
    citation = Citation(where.task_id, where.run_id, path)
    texts = dict(documents.texts)
    for name in names:
        item = _item(task, name, texts)
        proof = (where.run_id, path, evidence.digest, _approval(item, citation, evidence, sources))
        try:
            texts.update({change.path: change.after for change in ticked(item, texts, proof)})
        except KeyError as error:
            raise UsageError(
                f"{error.args[0]} has no item {shown(item.id)} as {item.path} has it", hint=HINT, code="mirror-differs"
            ) from None
    _check_record(store, where, record)
    _check_children(store, where, record)
    places = [FileChange(place, documents.texts.get(place), texts[place]) for place in mirror_paths(task)]
    return [FileChange(path, current_text(store.workspace.root, path), render_evidence(evidence)), *places]


def _check_record(store: RunStore, where: Location, record: Mapping[str, object]) -> None:
    """Raise GateNotMet when record, events, error files or logs are not what the run left: all of it is cited."""
    try:
        proof = prove(store, where, record, "logs")
    except FileNotFoundError:
        raise NotFound(f"there is no record of run '{where.run_id}'") from None
    refuse_pruned_logs(where, proof)
    why = proof.altered
    if why is not None:
        hint = f"codex-orchestrator verify {where.run_id}"
        raise GateNotMet(f"the record of run '{where.run_id}' was altered: {why}", hint=hint, code=ALTERED)


def _check_children(store: RunStore, where: Location, record: Mapping[str, Any]) -> None:
    """Raise GateNotMet when a child run that counts proves nothing: no item is truer than what is below its run."""
    standing, why = child_standing(store), child_reasons(store)
    plan = record.get("plan") or {"stages": ()}
    children = [{**one, **(standing(one["task_id"], one["run_id"]) or {})} for one in record["child_runs"]]
    body = {"child_runs": children, "plan_stages": {one["id"]: one["allow_failure"] for one in plan["stages"]}}
    reasons = {one["run_id"]: why(one["task_id"], one["run_id"]) for one in counting_children(body)}
    for code, message in reasons_of_children({**body, "child_reasons": reasons}):
        raise GateNotMet(message, hint=f"codex-orchestrator status {where.run_id}", code=code)


def _item(task: str, name: str, texts: Mapping[str, str]) -> Item:
    """Return the one item that is named by its bold word, text or the words of its text, with its headings or not."""
    source = source_of(task, texts)
    if source is None:
        raise NotFound(f"task '{task}' has no checklist", hint=f"it would be {mirror_paths(task)[0]}")
    for finding in unclear_items(source, texts[source]):
        if finding.code == "conflict-markers":
            raise UsageError(f"{finding.place}: {finding.message}", hint=finding.hint, code=finding.code)
    items = list(items_of(source, texts[source]))
    wanted = " ".join(name.split())
    found: list[Item] = []
    for forms in (_names, _texts, _places):
        found = found or [item for item in items if wanted in forms(item)]
    if len(found) != 1:
        how = "no item" if not found else f"{len(found)} items"
        hint = near_hint(name, [item.id for item in items])
        if found:
            hint = f"say which: {'; '.join(shown(_places(item)[0]) for item in found[:5])}"
            if len({item.key for item in found}) < len(found):
                hint = "give each its own word in bold: - [ ] **word**: …"
        raise UsageError(f"{source} has {how} {shown(name)}", hint=hint, code="unknown-item")
    return found[0]


def _names(item: Item) -> tuple[str, ...]:
    return (item.id,) if item.key[:1] == ("",) else (item.key[-1], item.id)


def _texts(item: Item) -> tuple[str, ...]:
    claim = " ".join(item.claim.split())
    return (claim, claim.partition(" (needs:")[0], slug(item.claim))


def _places(item: Item) -> tuple[str, ...]:
    return (" / ".join(part for part in item.key if part),)


def _approval(item: Item, citation: Citation, evidence: Evidence, sources: Sources) -> tuple[str, str] | None:
    """Return the approval to cite, None where there is none; GateNotMet says what the run does not prove."""
    policy, fault = sources.policy(str(evidence.manifest["project"]))
    policy = policy._replace(approvals=max(policy.approvals, int(APPROVAL in item.needs)), stale_when_tree_moves=False)
    approval = approval_of(judged_reviews(evidence.approvals, evidence, policy, sources)) if fault is None else None
    approved = None if approval is None else (word(str(approval["actor"])), str(approval["timestamp"]))
    claimed = replace(
        item,
        ticked=True,
        citations=(citation,),
        digest=evidence.digest,
        approved=approved,
        said=(citation.run_id,),
    )
    findings = list(item_findings(claimed, sources))
    if findings:
        raise GateNotMet(
            "; ".join(dict.fromkeys(finding.message for finding in findings)),
            hint=f"codex-orchestrator status {evidence.run_id}",
            code=findings[0].code,
        )
    return approved
