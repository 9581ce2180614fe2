"""``checklist``: tick an item with the run that proves it, in all mirrors at once; make mirrors equal again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.base.errors import GateNotMet, NotFound, UsageError
from orchestrator.base.files.changes import FileChange, current_text
from orchestrator.base.identifiers import check_name, near_hint, shown
from orchestrator.checks.checklists.evidence import Evidence, evidence_of, evidence_path, render_evidence
from orchestrator.checks.checklists.items import Citation, Item, items_of, mirror_paths, word
from orchestrator.checks.checklists.mirrors import source_of, synced, tasks_in, ticked
from orchestrator.checks.checklists.proof import APPROVAL, Sources, approval_of, item_flaws, judged_reviews
from orchestrator.commands.context import Answer, Context
from orchestrator.store.store import RunStore


def checklist(
    context: Context,
    *,
    words: Sequence[str] = (),
    run: str | None = None,
    task: str | None = None,
    yes: bool = False,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Do ``tick ITEM`` or ``sync``; differences are shown before anything is written, and asked about by ``sync``.

    Raises GateNotMet when the run does not prove the item, UsageError, NotFound, DamagedRecord, Refused and
    StorageError; then nothing was written.
    """
    from orchestrator.checks.checklists.documents import read_documents
    from orchestrator.commands.run.launch import check_format

    check_format(format, ("text", "json"))
    store = context.store()
    if task is not None:
        check_name("task", task)
    verb, rest = (words[0], words[1:]) if words else ("", ())
    texts, unfit = read_documents(store.workspace.root)
    if unfit:
        raise UsageError(f"'{unfit[0].path}' can't be read: {unfit[0].message}", code=unfit[0].code)
    if verb == "sync" and not rest and run is None:
        tasks = tasks_in(texts) if task is None else [task]
        changes = [change for name in tasks for change in synced(name, texts)]
        return _written(context, store, changes, yes=yes, dry_run=dry_run)
    if verb == "tick" and len(rest) == 1 and run is not None:
        changes = _ticking(context, store, texts, rest[0], run, task)
        return _written(context, store, changes, yes=True, dry_run=dry_run)
    if verb == "tick" and run is None:
        raise UsageError(
            "checklist tick needs the run that proves the item", hint="add --run RUN", code="bad-checklist"
        )
    if verb == "tick" and len(rest) > 1:
        raise UsageError(
            f"checklist tick takes one item, not {len(rest)}", hint="call it once for each item", code="bad-checklist"
        )
    said = " ".join(words) or "nothing"
    raise UsageError(
        f"checklist does 'tick ITEM --run RUN' and 'sync', not {shown(said)}",
        hint=near_hint(verb, ("tick", "sync"))
        if verb not in ("tick", "sync")
        else "codex-orchestrator checklist --help",
        code="bad-checklist",
    )


def _ticking(
    context: Context, store: RunStore, texts: dict[str, str], name: str, reference: str, task: str | None
) -> list[FileChange]:
    from orchestrator.commands.review.evidence_sources import link_of, record_here, sources_of
    from orchestrator.store.find import find_run

    where = find_run(store, reference)
    task = task or where.task_id
    record = record_here(store, where)
    if record is None:
        raise NotFound(f"there is no record of run '{where.run_id}'")
    if record["version"] != 2:
        raise UsageError(f"run '{where.run_id}' is of version 1, which proves no item", code="version-1")
    item = _item(task, name, texts)
    evidence = evidence_of(record, link_of(store, where, int(record["attempt"])))
    sources = replace(sources_of(store, context.environ), evidence=lambda citation: evidence)
    path = evidence_path(where.task_id, where.run_id)
    approved = _check(item, Citation(where.task_id, where.run_id, path), evidence, sources)
    text = render_evidence(evidence)
    old = current_text(store.workspace.root, path)
    return [FileChange(path, old, text), *ticked(item, texts, where.run_id, path, evidence.digest, approved)]


def _item(task: str, name: str, texts: dict[str, str]) -> Item:
    source = source_of(task, texts)
    if source is None:
        raise NotFound(f"task '{task}' has no checklist", hint=f"it would be {mirror_paths(task)[0]}")
    items = list(items_of(source, texts[source]))
    found = [item for item in items if item.id == name] or [item for item in items if name and item.claim == name]
    if len(found) != 1:
        how = "no item" if not found else f"{len(found)} items"
        raise UsageError(
            f"{source} has {how} {shown(name)}", hint=near_hint(name, [item.id for item in items]), code="unknown-item"
        )
    return found[0]


def _check(item: Item, citation: Citation, evidence: Evidence, sources: Sources) -> tuple[str, str] | None:
    """Return the approval to cite, None where there is none; GateNotMet says what the run does not prove."""
    policy, fault = sources.policy(str(evidence.manifest["project"]))
    policy = policy._replace(approvals=max(policy.approvals, int(APPROVAL in item.needs)), stale_when_tree_moves=False)
    approval = approval_of(judged_reviews(evidence.approvals, evidence, policy)) if fault is None else None
    approved = None if approval is None else (word(str(approval["actor"])), str(approval["timestamp"]))
    claimed = replace(item, ticked=True, citations=(citation,), digest=evidence.digest, approved=approved)
    faults = list(item_flaws(claimed, sources))
    if faults:
        raise GateNotMet(
            "; ".join(dict.fromkeys(flaw.message for flaw in faults)),
            hint=f"codex-orchestrator status {evidence.run_id}",
            code=faults[0].code,
        )
    return approved


def _written(context: Context, store: RunStore, changes: Sequence[FileChange], *, yes: bool, dry_run: bool) -> Answer:
    from orchestrator.base.files.changes import diff_text
    from orchestrator.commands.review import consent

    became = consent.settle(context, store.workspace.root, changes, yes=yes, dry_run=dry_run)
    diff = diff_text(changes)
    document = {"result": became, "files": consent.listed(changes), "diff": diff, **consent.error_of(became)}
    lines = [diff] if became in (consent.SHOWN, consent.UNASKED) else []
    if became == consent.WRITTEN:
        lines += [f"wrote {change.path}" for change in changes if change.action != "unchanged"]
    elif became == consent.NOTHING:
        lines.append("Nothing to do: all places say the same.")
    else:
        lines.append(consent.verdict(became))
    return Answer(consent.exit_code(became), document, "\n".join(lines) + "\n")
