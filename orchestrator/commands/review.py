"""``review``: what a reviewer must see of a run, and the decision, bound to what was reviewed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TextIO

from orchestrator.approvals import APPROVE, COMMENT, DECISIONS, REASON_CODES, actors_of, folded
from orchestrator.clock import stamp
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.observation import appearance, is_terminal, observe
from orchestrator.commands.review_packet import packet_of
from orchestrator.commands.reviewer import Reviewer, reviewer_of
from orchestrator.commands.running import check_format
from orchestrator.commands.status import view
from orchestrator.commands.surroundings import surroundings_of
from orchestrator.errors import EXIT_DONE, EXIT_GATE, GateNotMet, Refused, StorageError, UsageError
from orchestrator.identifiers import check_name, near_hint
from orchestrator.manifest.schema import load
from orchestrator.manifest.shape import Manifest, manifest_digest
from orchestrator.manifest.transitions import interrupted
from orchestrator.outcome import TERMINAL
from orchestrator.redaction import Redactor, secret_values
from orchestrator.report.review_text import decided_text, review_text
from orchestrator.run_store.approved import ApprovedRun, note_approved
from orchestrator.run_store.claim import take_over
from orchestrator.run_store.layout import Location
from orchestrator.run_store.open_run import OpenRun
from orchestrator.run_store.owner import read_owner
from orchestrator.run_store.reading import find_run
from orchestrator.run_store.recovery import finish
from orchestrator.run_store.store import RunStore

MOST_CHARACTERS = 4000
MOST_REVIEWS = 200
"""With these two a record stays far below the size that is read (``manifest.document.MANIFEST_LIMIT``)."""

_PATIENCE_SECONDS = 30.0
"""Another review holds the record for milliseconds; a run that has ended, until it is published."""

Mask = Callable[[str], str]

_KEYS = {"a": APPROVE, "r": "request-changes", "c": COMMENT}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A decision as it was given."""

    decision: str
    actor: str | None
    role: str | None
    reason: str
    scope: str
    escalation: str | None


def review(
    context: Context,
    *,
    run: str = "latest",
    decision: str | None = None,
    actor: str | None = None,
    role: str | None = None,
    reason: str | None = None,
    scope: str | None = None,
    escalate: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Show what a reviewer must see of a run, or record a decision about it (docs/review.md).

    Without a decision: exit code 0 when the run is ready, else 4; in a terminal the decision
    is then asked for. With one: 0 when it was recorded. Raises GateNotMet for an approval of
    a run that is not ready, Refused for one's own run, a live one and one of version 1, UsageError,
    NotFound, DamagedRecord, StorageError.
    """
    check_format(format, ("text", "json"))
    store = context.store()
    where = find_run(store, run)
    if decision is None and escalate is not None:
        decision = COMMENT
    if decision is not None:
        asked = _Asked(decision, actor, role, reason or "", scope or "run", escalate)
        return _decided(context, store, where, asked)
    keyboard = sys.stdin
    asking = format == "text" and is_terminal(context.stdout) and keyboard is not None and is_terminal(keyboard)
    if not asking and any(given is not None for given in (actor, role, reason, scope)):
        raise UsageError(
            "--actor, --role, --reason and --scope belong to a decision",
            hint=f"give --decision {'|'.join(DECISIONS)}",
            code="no-decision",
        )
    packet = packet_of(context, store, where)
    width, color = appearance(context)
    text = review_text(packet, width=width, color=color)
    code = EXIT_DONE if packet["ready"]["ready"] else EXIT_GATE
    if not asking:
        return Answer(code, packet, text)
    context.stdout.write(text)
    context.stdout.flush()
    answered = ask(context, keyboard)
    if answered is None:
        return Answer(code, packet, "")
    chosen, why = answered
    return _decided(context, store, where, _Asked(chosen, actor, role, reason or why, scope or "run", None))


def ask(context: Context, keyboard: TextIO) -> tuple[str, str] | None:
    """Ask for decision and reason; None when the reviewer leaves (Ctrl-D, or nothing typed)."""

    def line(prompt: str) -> str | None:
        context.stderr.write(prompt)
        context.stderr.flush()
        typed = keyboard.readline()
        return typed.strip() if typed else None

    while True:
        typed = line("Decision: [a]pprove, [r]equest-changes, [c]omment, nothing to leave: ")
        if not typed:
            return None
        chosen = _KEYS.get(typed.lower(), typed.lower())
        if chosen not in DECISIONS:
            continue
        reason = line("Reason: ")
        if reason is None:
            return None
        if reason or chosen == APPROVE:
            return chosen, reason


def _decided(context: Context, store: RunStore, where: Location, asked: _Asked) -> Answer:
    """Record the decision, and answer with the run's status document and the new entry, ``recorded``."""
    _check_words(asked)
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
    around = surroundings_of(store, seen.record, context.environ)
    if around.fault is None and asked.role is not None and around.policy.roles:
        _check_role(asked.role, around.policy.roles)
    run = _taken(store, where)
    try:
        if not run.manifest.metrics_recorded:
            finish(store, run, interrupted)
        before = view(store, where, context.environ, around)
        mask = _mask(context, run.manifest)
        names = reviewer.names | {folded(mask(reviewer.actor))}
        own = bool(names & actors_of(run.manifest.as_json()))
        if asked.decision == APPROVE:
            _check_own(where, reviewer, own=own, alone=around.fault is None and around.policy.alone)
            _check_ready(where, before)
        if len(run.manifest.approvals) >= MOST_REVIEWS:
            raise Refused(f"run '{where.run_id}' has {MOST_REVIEWS} reviews, and takes no more", code="too-many")
        entry = _entry(mask, stamp(context.clock.now()), run.manifest, asked, reviewer, own=own)
        run.save(replace(run.manifest, approvals=(*run.manifest.approvals, entry)))
    finally:
        run.close()
    document = view(store, where, context.environ)
    if asked.decision == APPROVE and document["ready"]["ready"]:
        _note(store, where, run.manifest)
        document = view(store, where, context.environ)
    recorded = document["approvals"][len(run.manifest.approvals) - 1]
    width, color = appearance(context)
    text = decided_text(recorded, document, width=width, color=color)
    return Answer(EXIT_DONE, {**document, "recorded": recorded}, text)


def _check_words(asked: _Asked) -> None:
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


def _check_own(where: Location, reviewer: Reviewer, *, own: bool, alone: bool) -> None:
    if own and not alone:
        raise Refused(
            f"'{reviewer.actor}' ran '{where.run_id}', and nobody approves a run of their own",
            hint="let somebody else review it; a project of one person sets 'alone = true' under [review]",
            code="own-run",
        )


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


def _entry(mask: Mask, at: str, manifest: Manifest, asked: _Asked, reviewer: Reviewer, *, own: bool) -> dict[str, Any]:
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
        "attempt": manifest.attempt,
        "manifest_digest": manifest_digest(manifest.as_json()),
        "commit": last.get("commit"),
        "tree_digest": last.get("tree_digest"),
    }
