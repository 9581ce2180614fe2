"""Whether a ticked item is proved by the run that it cites."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.finding import Flaw
from orchestrator.checks.checklists.evidence import Evidence
from orchestrator.checks.checklists.items import Citation, Item, word
from orchestrator.model.approvals import APPROVE, Subject, Validity, actors_of, reasons, validities
from orchestrator.model.manifest.manifest import manifest_digest
from orchestrator.model.review_policy import ReviewPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

APPROVAL = "approval"
_MET = frozenset({"passed", "waived"})


@dataclass(frozen=True, slots=True)
class Sources:
    """Where proofs come from, as functions.

    ``evidence`` returns what is kept in git of a cited run, None where nothing is; ``record`` the full manifest
    where it exists here; ``link`` its line of the chain. The three raise DamagedRecord. ``owner`` names a
    task's project, ``policy`` what a project asks of reviews, with what makes that untellable, if anything.
    """

    evidence: Callable[[Citation], Evidence | None]
    record: Callable[[str, str], Mapping[str, Any] | None]
    link: Callable[[str, str, int], Mapping[str, Any] | None]
    owner: Callable[[str], str | None]
    policy: Callable[[str], tuple[ReviewPolicy, str | None]]


def item_flaws(item: Item, sources: Sources) -> Iterator[Flaw]:
    """Yield what is wrong with an item; one that is not ticked claims nothing."""
    if not item.ticked:
        return

    def flaw(code: str, message: str) -> Flaw:
        return Flaw(code, item.path, f"'{item.id}': {message}", item.line)

    if item.task is None:
        yield flaw("tick-without-task", "neither the file nor a heading says which task it belongs to")
        return
    if not item.citations:
        yield flaw("tick-without-run", "it is ticked and cites no run")
        return
    kept: list[Evidence] = []
    for citation in item.citations:
        try:
            evidence = sources.evidence(citation)
        except DamagedRecord as error:
            yield flaw("evidence-damaged", error.message)
            continue
        if evidence is None:
            yield flaw("evidence-missing", f"there is no evidence of run {citation.run_id} in git: {citation.target}")
            continue
        kept.append(evidence)
        for code, message in _run_faults(item, citation, evidence, sources):
            yield flaw(code, message)
    if len(kept) == len(item.citations):
        for code, message in _claim_faults(item, kept, sources):
            yield flaw(code, message)


def kept_flaws(citation: Citation, sources: Sources) -> Iterator[Flaw]:
    """Yield what is wrong with the evidence that is kept of a run, whether an item cites it or not."""
    path = citation.target
    try:
        evidence = sources.evidence(citation)
    except DamagedRecord as error:
        yield Flaw("evidence-damaged", path, error.message)
        return
    if evidence is None:
        return
    if evidence.run_id != citation.run_id:
        yield Flaw("wrong-run", path, f"it is the evidence of another run, {evidence.run_id}")
    if evidence.manifest["task_id"] != citation.task_id:
        yield Flaw("wrong-task", path, f"it is the evidence of a run of task '{evidence.manifest['task_id']}'")
    for code, message in _agreement(evidence, sources):
        yield Flaw(code, path, message)


def _run_faults(item: Item, citation: Citation, evidence: Evidence, sources: Sources) -> Iterator[tuple[str, str]]:
    manifest, run = evidence.manifest, evidence.run_id
    if run != citation.run_id:
        yield "wrong-run", f"{citation.target} is the evidence of another run, {run}"
    if manifest["task_id"] != item.task or citation.task_id != item.task:
        yield "wrong-task", f"run {run} is of task '{manifest['task_id']}', not '{item.task}'"
    owner = sources.owner(str(item.task))
    if owner is not None and manifest["project"] != owner:
        yield "wrong-project", f"run {run} is of project '{manifest['project']}', and the task is of '{owner}'"
    if manifest["status"] != "succeeded":
        yield "run-not-succeeded", f"run {run} ended with outcome {manifest['outcome']}"
    for entry in manifest["guardrails"]:
        if entry["required"] and entry["outcome"] not in _MET:
            yield "guardrail-not-passed", f"guardrail '{entry['id']}' of run {run} is {entry['outcome']}"
    yield from _flags(manifest, run)
    yield from _agreement(evidence, sources)


def _flags(manifest: Mapping[str, Any], run: str) -> Iterator[tuple[str, str]]:
    waived = {entry["id"] for entry in manifest["guardrails"] if entry["outcome"] == "waived"}
    for flag in manifest["plan"].get("flags") or ():
        if flag.get("code") == "guardrail-cannot-fail" and flag.get("stage") not in waived:
            yield "guardrail-cannot-fail", f"run {run}: {flag.get('message')}"


def _agreement(evidence: Evidence, sources: Sources) -> Iterator[tuple[str, str]]:
    """Compare the evidence with the full record and the chain, where they are here."""
    manifest, run = evidence.manifest, evidence.run_id
    if evidence.chain is not None and evidence.chain.get("manifest_digest") != evidence.digest:
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


def _claim_faults(item: Item, kept: list[Evidence], sources: Sources) -> Iterator[tuple[str, str]]:
    for need in item.needs:
        if need != APPROVAL and not any(covers(evidence.manifest, need) for evidence in kept):
            runs = ", ".join(f"{evidence.run_id} ({evidence.manifest['pipeline_id']})" for evidence in kept)
            yield "not-covered", f"it needs {need}, which {runs} does not show"
    if item.digest != kept[-1].digest:
        yield "wrong-digest", f"it cites digest {item.digest or '(none)'}; the run's is {kept[-1].digest}"
    for evidence in kept:
        yield from _review_faults(item, evidence, sources)


def covers(manifest: Mapping[str, Any], need: str) -> bool:
    """Tell whether a run shows a need: a pipeline, or ``pipeline/stage``, whose stage succeeded in it."""
    pipeline, _, stage = need.partition("/")
    if manifest["pipeline_id"] != pipeline:
        return False
    return not stage or any(entry["id"] == stage and entry["status"] == "succeeded" for entry in manifest["commands"])


def _review_faults(item: Item, evidence: Evidence, sources: Sources) -> Iterator[tuple[str, str]]:
    policy, fault = sources.policy(str(evidence.manifest["project"]))
    asked = APPROVAL in item.needs
    if fault is not None and asked:
        yield "review-policy-unknown", fault
    policy = policy._replace(approvals=max(policy.approvals, int(asked)), stale_when_tree_moves=False)
    entries = judged_reviews(_latest_reviews(evidence, sources), evidence, policy)
    yield from reasons(entries, policy)
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
    entries: tuple[Mapping[str, Any], ...], evidence: Evidence, policy: ReviewPolicy
) -> list[dict[str, Any]]:
    """Return reviews with their validity, as ``approvals.reasons`` takes them."""
    subject = Subject(int(evidence.manifest["attempt"]), evidence.digest, actors_of(evidence.manifest), None)
    found: tuple[Validity, ...] = validities(entries, subject, policy)
    return [{**entry, "validity": one.as_json()} for entry, one in zip(entries, found, strict=True)]


def approval_of(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first approval that counts, or None."""
    return next((e for e in entries if e.get("decision") == APPROVE and e["validity"]["state"] == "valid"), None)
