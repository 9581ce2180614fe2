"""Whether a ticked item is proved by the run that it cites."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import RESERVED_PIPELINES
from orchestrator.checks.checklists.evidence import Evidence
from orchestrator.checks.checklists.items import Citation, Item, task_of_path, word
from orchestrator.checks.checklists.needs import APPROVAL
from orchestrator.checks.checklists.needs_shown import gaps, is_recomputable, waived_in
from orchestrator.model.accounts import Signed, people_of
from orchestrator.model.approvals import APPROVE, REASON_CODES, Subject, Validity, reasons, validities
from orchestrator.model.base_policy import unapproved_softening
from orchestrator.model.clean_tree import tree_fault
from orchestrator.model.fleet import is_fleet
from orchestrator.model.manifest.manifest import manifest_digest
from orchestrator.model.review_policy import ReviewPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

NOTES = frozenset({"before-baseline", "tick-of-version-1"})
"""Codes of what is named and is no finding."""

_MET = frozenset({"passed", "waived"})


Entries: TypeAlias = "Sequence[Mapping[str, Any]]"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where proofs come from, as functions.

    ``evidence`` returns what is kept in git of a cited run, None where nothing is; ``record`` the full manifest
    where it exists here; ``link`` its line of the chain. The three raise DamagedRecord. ``owner`` names a
    task's project, ``policy`` what a project asks of reviews, with why it is not known, if it isn't;
    ``baseline`` says whether an item was ticked at the commit ``[docs] since``;
    ``signed`` (project, run, reviews) whose signature each review has.
    """

    evidence: Callable[[Citation], Evidence | None]
    record: Callable[[str, str], Mapping[str, Any] | None]
    link: Callable[[str, str, int], Mapping[str, Any] | None]
    owner: Callable[[str], str | None]
    policy: Callable[[str], tuple[ReviewPolicy, str | None]]
    baseline: Callable[[Item], bool] = lambda item: False
    signed: Callable[[str, str, Entries], tuple[Signed | None, ...]] = lambda project, run_id, entries: ()


def item_findings(item: Item, sources: Sources) -> Iterator[Finding]:
    """Yield what is wrong with an item; one that is not ticked claims nothing, but may ask for what nobody knows.

    One of ``NOTES`` stands for all that is wrong with an item that was ticked before the baseline.
    """
    found = list(_findings(item, sources))
    if item.ticked and found and sources.baseline(item):
        what = "it was ticked at the commit of '[docs] since' already, and is not judged"
        yield Finding("before-baseline", item.path, f"'{item.id}': {what}", item.line)
    else:
        yield from found


def _findings(item: Item, sources: Sources) -> Iterator[Finding]:
    def finding(code: str, message: str, hint: str = "") -> Finding:
        return Finding(code, item.path, f"'{item.id}': {message}", item.line, hint)

    if item.unclear is not None and (item.ticked or task_of_path(item.path) is not None):
        yield finding("needs-unclear", item.unclear, "write (needs: diagnostics), (needs: diagnostics/test, approval)")
    if not item.ticked:
        return
    if item.early is not None and not item.citations:
        yield _early_finding(item, item.early, sources)
        return
    if item.task is None:
        yield finding("tick-without-task", "neither the file nor a heading says which task it belongs to")
        return
    if not item.citations:
        yield finding("tick-without-run", "it is ticked and cites no run")
        return
    yield from _proof_findings(item, sources, finding)


def _proof_findings(item: Item, sources: Sources, finding: Callable[..., Finding]) -> Iterator[Finding]:
    kept: list[Evidence] = []
    for run_id in dict.fromkeys(item.said):
        if all(citation.run_id != run_id for citation in item.citations):
            yield finding("wrong-run", f"it says run {run_id}, and links to another one's evidence")
    for citation in item.citations:
        try:
            evidence = sources.evidence(citation)
        except DamagedRecord as error:
            yield finding("evidence-damaged", error.message)
            continue
        if evidence is None:
            yield finding(
                "evidence-missing", f"there is no evidence of run {citation.run_id} in git: {citation.target}"
            )
            continue
        kept.append(evidence)
        for code, message in _run_faults(item, citation, evidence, sources):
            yield finding(code, message)
    if len(kept) == len(item.citations):
        for code, message in _claim_faults(item, kept, sources):
            yield finding(code, message, _approving(kept[-1]) if code in REASON_CODES else "")


def _approving(evidence: Evidence) -> str:
    run = evidence.run_id
    return (
        f"codex-orchestrator review {run} --decision approve, by somebody else; then tick again: that is evidence, too"
    )


def _early_finding(item: Item, cited: tuple[str, str], sources: Sources) -> Finding:
    """Return the note of an item that cites a run of version 1 as that version did; a finding where no such run is."""
    try:
        record = sources.record(*cited)
    except DamagedRecord:
        record = None
    if record is not None and record["version"] == 1:
        what = f"it cites run {cited[1]} of version 1, whose records prove nothing"
        return Finding("tick-of-version-1", item.path, f"'{item.id}': {what}", item.line)
    what = f"it cites run {cited[1]} as version 1 did, and no such record of version 1 is here"
    hint = "name the commit from which on items are proved in workspace.toml: [docs] since"
    return Finding("tick-without-run", item.path, f"'{item.id}': {what}", item.line, hint)


def kept_findings(citation: Citation, sources: Sources) -> Iterator[Finding]:
    """Yield what is wrong with the evidence that is kept of a run, whether an item cites it or not."""
    path = citation.target
    try:
        evidence = sources.evidence(citation)
    except DamagedRecord as error:
        yield Finding("evidence-damaged", path, error.message)
        return
    if evidence is None:
        return
    if evidence.run_id != citation.run_id:
        yield Finding("wrong-run", path, f"it is the evidence of another run, {evidence.run_id}")
    if evidence.manifest["task_id"] != citation.task_id:
        yield Finding("wrong-task", path, f"it is the evidence of a run of task '{evidence.manifest['task_id']}'")
    for code, message in _agreement(evidence, sources):
        yield Finding(code, path, message)


def _run_faults(item: Item, citation: Citation, evidence: Evidence, sources: Sources) -> Iterator[tuple[str, str]]:
    manifest, run = evidence.manifest, evidence.run_id
    if run != citation.run_id:
        yield "wrong-run", f"{citation.target} is the evidence of another run, {run}"
    if manifest["task_id"] != item.task or citation.task_id != item.task:
        yield "wrong-task", f"run {run} is of task '{manifest['task_id']}', not '{item.task}'"
    owner = sources.owner(str(item.task))
    if is_fleet(manifest):
        yield "wrong-project", f"run {run} is of many projects: the run of one of them can prove an item"
    elif owner is not None and manifest["project"] != owner:
        yield "wrong-project", f"run {run} is of project '{manifest['project']}', and the task is of '{owner}'"
    if manifest["status"] != "succeeded":
        yield "run-not-succeeded", f"run {run} ended with outcome {manifest['outcome']}"
    for entry in manifest["guardrails"]:
        if entry["required"] and entry["outcome"] not in _MET:
            yield "guardrail-not-passed", f"guardrail '{entry['id']}' of run {run} is {entry['outcome']}"
    yield from _flags(manifest, run)
    if is_recomputable(manifest):
        yield from clean_tree_faults(manifest)
    yield from _agreement(evidence, sources)


def _flags(manifest: Mapping[str, Any], run: str) -> Iterator[tuple[str, str]]:
    waived = waived_in(manifest)
    for flag in manifest["plan"].get("flags") or ():
        if flag.get("code") == "guardrail-cannot-fail" and flag.get("stage") not in waived:
            yield "guardrail-cannot-fail", f"run {run}: {flag.get('message')}"


def clean_tree_faults(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield why nobody can reproduce a run: its project's tree was no commit's (contract, section 7, "The tree")."""
    fault = tree_fault(manifest)
    if fault is not None:
        yield "dirty-tree", fault


def _agreement(evidence: Evidence, sources: Sources) -> Iterator[tuple[str, str]]:
    """Compare the evidence with the full record and the chain, where they are here."""
    manifest, run = evidence.manifest, evidence.run_id
    if evidence.chain is None:
        yield "evidence-unproven", f"no line of the task's chain is kept of run {run}"
    elif not _is_line_of(evidence.chain, evidence):
        yield "evidence-damaged", f"the chain's line that is kept of run {run} is of another record"
    try:
        record = sources.record(str(manifest["task_id"]), run)
    except DamagedRecord as error:
        yield "manifest-damaged", error.message
        return
    if record is None:
        return
    if record["version"] != 2 or manifest_digest(record) != evidence.digest:
        attempt = record.get("attempt")
        what = f"it is at attempt {attempt} now" if attempt != manifest["attempt"] else "its manifest is another one"
        yield "evidence-stale", f"the evidence is not what run {run} is: {what}"
        return
    if list(record["approvals"][: len(evidence.approvals)]) != list(evidence.approvals):
        yield "evidence-stale", f"the reviews that are kept of run {run} are not those in its record"
    try:
        link = sources.link(str(manifest["task_id"]), run, int(manifest["attempt"]))
    except DamagedRecord as error:
        yield "chain-unreadable", error.message
        return
    if link is not None and evidence.chain is not None and dict(link) != dict(evidence.chain):
        yield "evidence-stale", f"the task's chain has another line of run {run} than is kept"


def _is_line_of(line: Mapping[str, Any], evidence: Evidence) -> bool:
    manifest = evidence.manifest
    said = (line.get("run_id"), line.get("attempt"), line.get("manifest_digest"))
    return said == (evidence.run_id, manifest["attempt"], evidence.digest)


def _claim_faults(item: Item, kept: list[Evidence], sources: Sources) -> Iterator[tuple[str, str]]:
    asked = {need.partition("/")[0] for need in item.needs}
    for evidence in kept:
        pipeline = str(evidence.manifest["pipeline_id"])
        if pipeline in RESERVED_PIPELINES - asked:
            what = f"run {evidence.run_id} is of the reserved pipeline '{pipeline}'"
            yield "not-covered", f"{what}, which proves only what an item needs of '{pipeline}'"
    for need in item.needs:
        if need == APPROVAL:
            continue
        lacking = [next(gaps(evidence.manifest, need), None) for evidence in kept]
        if None not in lacking:
            runs = ", ".join(f"{evidence.run_id} ({evidence.manifest['pipeline_id']})" for evidence in kept)
            yield "not-covered", f"it needs {need}, which {runs} does not show: {lacking[-1]}"
    if item.digest != kept[-1].digest:
        yield "wrong-digest", f"it cites digest {item.digest or '(none)'}; the run's is {kept[-1].digest}"
    for evidence in kept:
        yield from _review_faults(item, evidence, sources)


def _review_faults(item: Item, evidence: Evidence, sources: Sources) -> Iterator[tuple[str, str]]:
    policy, fault = sources.policy(str(evidence.manifest["project"]))
    asked = APPROVAL in item.needs
    if fault is not None and asked:
        yield "review-policy-unknown", fault
    policy = policy._replace(approvals=max(policy.approvals, int(asked)), stale_when_tree_moves=False)
    entries = judged_reviews(_latest_reviews(evidence, sources), evidence, policy, sources)
    for code, message in reasons(entries, policy):
        yield code, f"{message}, of run {evidence.run_id} that it cites"
    yield from unapproved_softening(evidence.manifest.get("policy") or (), entries)
    approval = approval_of(entries)
    said = None if approval is None else (word(str(approval["actor"])), str(approval["timestamp"]))
    if item.approved != said and (item.approved is not None or asked):
        found = "none is cited" if item.approved is None else f"it cites {item.approved[0]} at {item.approved[1]}"
        known = "no valid one is on record" if said is None else f"on record is {said[0]} at {said[1]}"
        yield "wrong-approval", f"approval: {found}, and {known}"


def _latest_reviews(evidence: Evidence, sources: Sources) -> tuple[Mapping[str, Any], ...]:
    """Return the reviews of the full record, where it is here and of the same attempt: later ones count too."""
    try:
        record = sources.record(str(evidence.manifest["task_id"]), evidence.run_id)
    except DamagedRecord:
        record = None
    same = record is not None and record["version"] == 2 and manifest_digest(record) == evidence.digest
    return tuple(record["approvals"]) if same and record is not None else evidence.approvals


def judged_reviews(
    entries: Entries, evidence: Evidence, policy: ReviewPolicy, sources: Sources
) -> list[dict[str, Any]]:
    """Return reviews with their validity, as ``approvals.reasons`` takes them."""
    signed = sources.signed(str(evidence.manifest["project"]), evidence.run_id, entries)
    people = people_of(evidence.manifest)
    subject = Subject(int(evidence.manifest["attempt"]), evidence.digest, people, None, signed=signed)
    found: tuple[Validity, ...] = validities(entries, subject, policy)
    return [{**entry, "validity": one.as_json()} for entry, one in zip(entries, found, strict=True)]


def approval_of(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first approval that counts, or None."""
    return next((e for e in entries if e.get("decision") == APPROVE and e["validity"]["state"] == "valid"), None)
