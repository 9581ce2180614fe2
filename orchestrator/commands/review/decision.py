"""A reviewer's decision: checked, bound to what is on record, and written into it under its lock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.base.clock import stamp
from orchestrator.base.errors import EXIT_DONE, GateNotMet, Refused, StorageError, UsageError
from orchestrator.base.identifiers import check_name, near_hint
from orchestrator.base.person_names import forms_of
from orchestrator.base.redaction import Redactor, secret_values
from orchestrator.base.text.appearance import appearance
from orchestrator.checks.signatures import agent_keys, allowed_key, is_ssh_key, sign, signer_of, statement_of
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.run_view import observe
from orchestrator.commands.look.status import view
from orchestrator.commands.review.granted_policy import with_base
from orchestrator.commands.review.plan_of_config import PlanProof, plan_proof, with_proof
from orchestrator.commands.review.project_policy import review_policy
from orchestrator.commands.review.review_context import review_context_of
from orchestrator.commands.review.reviewer import Reviewer, reviewer_of
from orchestrator.commands.run.ended_run import with_delivery
from orchestrator.git.user_git import user_git
from orchestrator.model.accounts import Signed, given_names, people_of
from orchestrator.model.approvals import APPROVE, COMMENT, DECISIONS, REASON_CODES, is_nobody_of
from orchestrator.model.manifest.document import render
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import Manifest, manifest_digest
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.model.outcome import TERMINAL
from orchestrator.report.review_text import decided_text
from orchestrator.store.decisions import add_decision
from orchestrator.store.last_approved import ApprovedRun, note_approved
from orchestrator.store.layout import Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.owner import read_owner
from orchestrator.store.recovery import finish
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import take_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_CHARACTERS = 4000
MOST_BYTES = 1024 * 1024
"""What all reviews of a run may take, so that its record stays below what is read (``document.MANIFEST_LIMIT``)."""

_PATIENCE_SECONDS = 30.0
"""Another review holds the record for milliseconds; a run that has ended, until it is published."""

Mask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """A decision as it was given. ``shown`` is the manifest digest of what the reviewer was shown, if anything.

    ``sign`` is the key to sign it with, empty for git's own; None: it is not signed.
    """

    decision: str
    actor: str | None
    role: str | None
    reason: str
    scope: str
    escalation: str | None
    shown: str | None = None
    sign: str | None = None


def decided(context: Context, store: RunStore, where: Location, asked: DecisionRequest) -> Answer:
    """Record the decision, and answer with the run's status document and the new entry, ``recorded``.

    Raises UsageError for words that are none, Refused where the run or the reviewer's standing forbids the decision.
    """
    check_words(asked)
    seen = observe(store, where)
    if seen.record["version"] == 1:
        raise Refused(
            f"run '{where.run_id}' was written by version 1, whose records are never changed", code="version-1"
        )
    if seen.record["status"] not in TERMINAL and seen.alive:
        raise _alive(where)
    # The validator is loaded, and git has answered, before the record is locked: others wait for the lock.
    manifest = load(dict(seen.record), store.paths(where).manifest)
    folder = os.path.join(store.workspace.root, str(manifest.plan["project_path"]))
    reviewer = reviewer_of(context.environ, folder, asked.actor)
    around = review_context_of(store, seen.record, context.environ)
    if around.fault is None and asked.role is not None and around.policy.roles:
        _check_role(asked.role, around.policy.roles)
    approving = asked.decision == APPROVE
    proof = plan_proof(store.workspace.root, seen.record, context.environ) if approving else PlanProof()
    run = _taken(store, where)
    try:
        if asked.shown not in (None, manifest_digest(run.manifest.as_json())):
            raise Refused(
                f"run '{where.run_id}' is not what was shown any more: somebody resumed it meanwhile",
                hint=f"codex-orchestrator review {where.run_id}",
                code="changed-meanwhile",
            )
        if not (run.manifest.metrics_recorded and run.has_line):
            finish(store, run, interrupted)
        before = view(store, where, context.environ, around)
        mask = _mask(context, run.manifest)
        own = reviewer.ran(run.manifest.as_json())
        entry = _entry(mask, stamp(context.clock.now()), run.manifest, asked, reviewer, own=own)
        signer = _signed(context, store, where, entry, asked, project=run.manifest.project)
        if asked.decision == APPROVE:
            if signer is not None:
                own = not is_nobody_of(signer, people_of(run.manifest.as_json()))
            if own and not (around.fault is None and around.policy.alone):
                raise _own_run(where, reviewer, run.manifest, _not_yet(context, store, run.manifest.project))
            if around.policy.signed and signer is None:
                raise UsageError(
                    "the project counts signed approvals only", hint="add --sign, or --sign KEY", code="unsigned"
                )
            _check_ready(where, with_proof(before, proof))
        approvals = (*run.manifest.approvals, entry)
        if len(render({"approvals": approvals})) > MOST_BYTES:
            raise Refused(f"the reviews of run '{where.run_id}' fill {MOST_BYTES} bytes: no more fit", code="too-many")
        with store.task(where.task_id) as task, store.lock_task(task):
            add_decision(task, where.run_id, run.manifest.attempt, entry)
        run.save(run.manifest._replace(approvals=approvals))
    finally:
        run.close()
    document = view(store, where, context.environ)
    if asked.decision == APPROVE and document["ready"]["ready"]:
        _note(store, where, run.manifest)
        document = view(store, where, context.environ)
    recorded = document["approvals"][len(run.manifest.approvals) - 1]
    look = appearance(context.stdout, context.environ)
    width, color = look.width, look.color
    text = decided_text(recorded, document, width=width, color=color)
    return with_delivery(context, store, Answer(EXIT_DONE, {**document, "recorded": recorded}, text))


def _signed(
    context: Context, store: RunStore, where: Location, entry: dict[str, Any], asked: DecisionRequest, *, project: str
) -> Signed | None:
    """Sign the entry, and return whose key it was; None when nobody asked, or the project has no signers.

    Raises UsageError when it can't be signed, or the key is none of the signers at the base commit.
    """
    if asked.sign is None:
        return None
    root = store.workspace.root
    allowed = with_base(root, project, review_policy(root, project)[0], context.environ)
    key = asked.sign or _own_key(context, store, allowed.signers)
    entry["signature"] = sign(statement_of(where.run_id, entry), os.path.expanduser(key), context.environ)
    if allowed.signers is None:
        if allowed.fault is not None:
            raise UsageError(allowed.fault, hint="run the commit after the one that brings it in", code="no-signers")
        return None
    found = signer_of(where.run_id, entry, allowed.signers, context.environ)
    if isinstance(found, str):
        raise UsageError(f"the signature by '{key}' does not count: {found}", code="not-a-signer")
    return found


def _own_key(context: Context, store: RunStore, allowed: bytes | None) -> str:
    """Return the key of who calls: git's, else the one in ssh-agent that is a signer's. Raises UsageError."""
    asked = ["config", "--get", "user.signingkey"]
    _, output, complaint = user_git(store.workspace.root, context.environ)(asked, b"", {})
    own = output.strip()
    if own and is_ssh_key(own):
        return own
    listed = agent_keys(context.environ)
    key = allowed_key(listed, allowed)
    if key is None:
        none = complaint.partition("\n")[0] or "git has no user.signingkey"
        git = f"git's user.signingkey '{own}' is no key of ssh" if own else none
        agent = f"of ssh-agent's {len(listed)} keys not exactly one is a signer's" if listed else "no agent has a key"
        raise UsageError(f"--sign has no key: {git}, and {agent}", hint="name a private key: --sign KEY", code="no-key")
    return key


def check_words(asked: DecisionRequest) -> None:
    """Raise UsageError for a decision whose words no run could take."""
    if asked.decision not in DECISIONS:
        raise UsageError(
            f"--decision is '{asked.decision}'; it is one of {', '.join(DECISIONS)}",
            hint=near_hint(asked.decision, DECISIONS),
            code="bad-decision",
        )
    if asked.decision != APPROVE and not (asked.reason.strip() or asked.escalation):
        raise UsageError(
            f"--decision {asked.decision} needs --reason", hint="say why, for the record", code="no-reason"
        )
    if asked.escalation is not None and (asked.decision != COMMENT or not asked.escalation.strip()):
        raise UsageError("--escalate says to whom and why, and goes with a comment", code="bad-escalation")
    for flag, text in (("reason", asked.reason), ("scope", asked.scope), ("escalate", asked.escalation or "")):
        if len(text) > MOST_CHARACTERS:
            raise UsageError(f"--{flag} has more than {MOST_CHARACTERS} characters", code="too-long")
    if asked.role is not None:
        check_name("role", asked.role)


def _check_role(role: str, roles: tuple[str, ...]) -> None:
    if role not in roles:
        raise UsageError(
            f"the project asks for no role '{role}' in its reviews", hint=near_hint(role, roles), code="unknown-role"
        )


def _own_run(where: Location, reviewer: Reviewer, manifest: Manifest, not_yet: str) -> Refused:
    """Return the refusal; ``not_yet`` says what of the config would have allowed it in a later commit."""
    is_named = bool(forms_of(reviewer.actor) & given_names(manifest.as_json()))
    who = f"'{reviewer.actor}'" if is_named else "this account"
    return Refused(
        f"{who} ran '{where.run_id}', and nobody approves a run of their own{not_yet and f' ({not_yet})'}",
        hint="another account approves (another user, another person's CI job), or 'review --sign' with a key that "
        "[review] signers gives to somebody else; who works alone has [review] alone = true in an earlier commit",
        code="own-run",
    )


def _not_yet(context: Context, store: RunStore, project: str) -> str:
    root = store.workspace.root
    return with_base(root, project, review_policy(root, project)[0], context.environ).not_yet


def _check_ready(where: Location, document: Mapping[str, Any]) -> None:
    """Refuse the approval of a run that something else than a review is missing from."""
    missing = [reason["message"] for reason in document["ready"]["reasons"] if reason["code"] not in REASON_CODES]
    if document["review"]["stale_when_tree_moves"] and document["freshness"]["tree"] != "same":
        missing.append("the project's tree is not known to be the one that ran, and the project asks for that")
    if missing:
        raise GateNotMet(
            f"run '{where.run_id}' can't be approved: {'; '.join(missing)}",
            hint="request-changes and comment are always recorded",
            code="review-not-ready",
        )


def _alive(where: Location) -> Refused:
    return Refused(
        f"run '{where.run_id}' is alive; it is reviewed when it has ended",
        hint=f"codex-orchestrator status {where.run_id} --watch",
        code="alive",
    )


def _taken(store: RunStore, where: Location) -> OpenRun:
    """Take the record's lock; another review, or a run that is being published, is waited for."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return take_over(store, where)
        except Refused as refusal:
            if refusal.code != "alive":
                raise
        seen = observe(store, where)
        with store.run_folder(where) as folder:
            owner = read_owner(folder)
        running = seen.record["status"] not in TERMINAL and owner is not None and owner.purpose == "run"
        if running or time.monotonic() > until:
            raise _alive(where)
        time.sleep(0.01)


def _note(store: RunStore, where: Location, manifest: Manifest) -> None:
    """Note the run as the one whose plan was approved last; the approval stands without that."""
    try:
        approved = ApprovedRun(where, str(manifest.plan["digest"]))
        note_approved(store, manifest.project, manifest.pipeline_id, approved)
    except StorageError as error:
        store.warn(f"the approval is recorded, but not noted for later runs: {error.message}")


def _mask(context: Context, manifest: Manifest) -> Mask:
    """Return what masks secrets: those of the environment, and of the variables that the run's config names."""
    named = manifest.plan.get("session", {}).get("secret_env", ())
    return Redactor(secret_values(context.environ, named)).text


def _entry(
    mask: Mask, at: str, manifest: Manifest, asked: DecisionRequest, reviewer: Reviewer, *, own: bool
) -> dict[str, Any]:
    """Return the entry for ``approvals``, bound to what is on record; secrets in its words are masked."""
    last = manifest.provenance[-1] if manifest.provenance else {}
    return {
        "actor": mask(reviewer.actor),
        "role": asked.role,
        "timestamp": at,
        "decision": asked.decision,
        "reason": mask(asked.reason.strip()),
        "scope": mask(asked.scope.strip()) or "run",
        "escalation": None if asked.escalation is None else mask(asked.escalation.strip()),
        "own_run": own,
        "recorded_by": None if reviewer.recorded_by is None else mask(reviewer.recorded_by),
        "account": {key: mask(value) if isinstance(value, str) else value for key, value in reviewer.account.items()},
        "attempt": manifest.attempt,
        "manifest_digest": manifest_digest(manifest.as_json()),
        "commit": last.get("commit"),
        "tree_digest": last.get("tree_digest"),
    }
