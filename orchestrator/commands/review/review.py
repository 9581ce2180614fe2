"""``review``: what a reviewer must see of a run, and the decision, bound to what was reviewed."""

from __future__ import annotations

import sys

from orchestrator.base.errors import EXIT_DONE, EXIT_GATE, UsageError
from orchestrator.base.text.appearance import appearance, is_terminal
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review.decision import DecisionRequest, decided
from orchestrator.commands.review.fleet_review import decided_fleet
from orchestrator.commands.review.review_packet import packet_of
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.model.approvals import APPROVE, COMMENT, DECISIONS
from orchestrator.model.fleet import is_fleet
from orchestrator.model.manifest.manifest import manifest_digest
from orchestrator.report.fleet_text import fleet_status_text
from orchestrator.report.review_text import review_text
from orchestrator.store.find import find_run, read_document
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TextIO

_KEYS = {"a": APPROVE, "r": "request-changes", "c": COMMENT}


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
    sign: str | None = None,
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
        asked = DecisionRequest(decision, actor, role, reason or "", scope or "run", escalate, sign=sign)
        return _decided(context, store, where, asked)
    keyboard = sys.stdin
    asking = format == "text" and is_terminal(context.stdout) and is_terminal(keyboard)
    if not asking and any(given is not None for given in (actor, role, reason, scope)):
        raise UsageError(
            "--actor, --role, --reason and --scope belong to a decision",
            hint=f"give --decision {'|'.join(DECISIONS)}",
            code="no-decision",
        )
    shown = manifest_digest(read_document(store, where))
    packet = packet_of(context, store, where)
    seen = appearance(context.stdout, context.environ)
    width, color = seen.width, seen.color
    text = _text(packet, shown, width=width, color=color)
    code = EXIT_DONE if packet["ready"]["ready"] else EXIT_GATE
    if not asking:
        return Answer(code, packet, text)
    context.stdout.write(text)
    context.stdout.flush()
    answered = ask(context, keyboard)
    if answered is None:
        return Answer(code, packet, "")
    chosen, why = answered
    return _decided(
        context, store, where, DecisionRequest(chosen, actor, role, reason or why, scope or "run", None, shown, sign)
    )


def _text(packet: Mapping[str, Any], digest: str, *, width: int, color: bool) -> str:
    if "fleet" not in packet:
        return review_text(packet, width=width, color=color, digest=digest)
    return fleet_status_text(packet, width=width, color=color)


def _decided(context: Context, store: RunStore, where: Location, asked: DecisionRequest) -> Answer:
    if not is_fleet(read_document(store, where)):
        return decided(context, store, where, asked)
    return decided_fleet(context, store, where, asked)


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
