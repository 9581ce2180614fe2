"""The verdicts of a run's guardrails: what each came to, and whether that is enough."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from orchestrator.base.clock import Clock, date
from orchestrator.base.record import Record
from orchestrator.model.builtin_guard import GUARD, NO_VERDICT, REPLACED, ReportedVerdict, is_builtin_guard
from orchestrator.model.manifest.manifest import Compared, GuardrailEntry, Manifest
from orchestrator.model.plan import Plan, PlannedStage, Waiver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

UNPROVEN = "unproven: no canary shows that its command can fail, and [guardrails] proof asks for one ('prove')"
GuardrailOutcome: TypeAlias = "Literal['passed', 'failed', 'missing', 'skipped', 'advisory', 'waived']"
"""``missing``: no verdict was reached; ``advisory``: it succeeded, but could not have failed."""


class Verdict(Record):
    """What one guardrail came to, and why; ``required`` says that policy asks for it."""

    id: str
    required: bool
    outcome: GuardrailOutcome
    reason: str
    compared: Compared | None = None


_BLOCKED = "it did not run, since a stage that it needs did not succeed"


def verdicts(
    plan: Plan,
    commands: Mapping[str, str | None],
    *,
    today: date,
    reused: Mapping[str, str] | None = None,
    reported: Mapping[str, ReportedVerdict] | None = None,
    proved: Collection[str] | None = None,
) -> tuple[Verdict, ...]:
    """Return a verdict for each required guardrail of ``plan``, in policy's order, then for every other one.

    ``commands`` maps stage ids to outcome words, or to None for a stage that has not finished; ``today``
    (UTC) decides whether a waiver stands. ``reused`` maps stages that were not run because nothing changed to
    the run whose verdict stands for theirs. ``reported`` is what built-in guards reported of themselves; without
    a report their success is none, and None takes it as it is. ``proved`` are the guardrails that a canary proves to
    be able to fail, which a plan may require of the project's own; None takes each for proved.
    """
    reused = reused or {}
    found = {**commands, **dict.fromkeys(reused, "success")}
    required = [_required(plan, guardrail, found, today, reported) for guardrail in plan.required_guardrails]
    others = [
        Verdict(stage.id, False, *_reached(plan, stage, found, reported))
        for stage in plan.stages
        if stage.guardrail and stage.id not in plan.required_guardrails
    ]
    judged_ones = (_proven(plan, verdict, proved) for verdict in (*required, *others))
    return tuple(_cited(verdict, reused.get(verdict.id)) for verdict in judged_ones)


def _proven(plan: Plan, verdict: Verdict, proved: Collection[str] | None) -> Verdict:
    is_own = verdict.required and verdict.id != GUARD
    if verdict.outcome != "passed" or not (is_own and plan.proof_required) or proved is None or verdict.id in proved:
        return verdict
    return verdict._replace(outcome="advisory", reason=UNPROVEN)


def _cited(verdict: Verdict, run_id: str | None) -> Verdict:
    if run_id is None or verdict.outcome != "passed":
        return verdict
    return verdict._replace(reason=f"nothing changed since run {run_id}, where the stage succeeded")


def foreseen(plan: Plan, *, today: date, proved: Collection[str] | None = None) -> tuple[dict[str, object], ...]:
    """Return of each guardrail, as ``verdicts`` lists them, what is known before a run: all keys of a verdict.

    ``outcome`` is None where the run decides; else no run on ``today`` (UTC) could bring another one. ``proved`` as
    for ``verdicts``.
    """
    best = {stage.id: "skip" if stage.kind == "skip" else "success" for stage in plan.stages}
    found = []
    for verdict in verdicts(plan, best, today=today, proved=proved):
        outcome, reason = (
            (verdict.outcome, verdict.reason) if verdict.outcome != "passed" else (None, "the run decides")
        )
        standing = [waiver for waiver in plan.waivers if waiver.guardrail == verdict.id and waiver.stands(today)]
        if outcome is None and verdict.required and standing:
            reason = f"waived until {standing[0].until}, should it not pass: {standing[0].reason}"
        found.append({"id": verdict.id, "required": verdict.required, "outcome": outcome, "reason": reason})
    return tuple(found)


def judged(manifest: Manifest, plan: Plan, clock: Clock) -> Manifest:
    """Return the manifest with the current verdicts of its guardrails."""
    outcomes = {command.id: command.outcome for command in manifest.commands}
    reused = {command.id: command.reused.run_id for command in manifest.commands if command.reused is not None}
    reported = {entry.id: verdict for entry in manifest.guardrails if (verdict := _reported(entry)) is not None}
    before = {entry.id: entry for entry in manifest.guardrails}
    proved = {entry.id for entry in manifest.guardrails if entry.proof is not None}
    today = clock.now().date()
    found = verdicts(plan, outcomes, today=today, reused=reused, reported=reported, proved=proved)
    entries = tuple(
        GuardrailEntry(
            item.id,
            item.required,
            item.outcome,
            item.reason,
            None if item.outcome in ("missing", "skipped") or item.id not in before else before[item.id].compared,
            before[item.id].proof if item.id in before else None,
        )
        for item in found
    )
    return manifest._replace(guardrails=entries)


def with_report(manifest: Manifest, stage_id: str, verdict: ReportedVerdict) -> Manifest:
    """Return the manifest with what a built-in guard reported of itself; ``judged`` takes it from there."""
    entries = tuple(
        entry._replace(outcome=verdict.outcome, reason=verdict.reason, compared=verdict.compared)
        if entry.id == stage_id
        else entry
        for entry in manifest.guardrails
    )
    return manifest._replace(guardrails=entries)


def _reported(entry: GuardrailEntry) -> ReportedVerdict | None:
    """Return what a guardrail's entry says of its own report; a waiver hides it."""
    if entry.outcome == "passed" or entry.outcome == "failed" or entry.outcome == "advisory":
        return ReportedVerdict(entry.outcome, entry.reason, entry.compared)
    return None


def present(found: Iterable[Verdict]) -> bool:
    """Tell whether every required guardrail passed (``guardrails_present``, as version 1 meant it)."""
    return all(verdict.outcome == "passed" for verdict in found if verdict.required)


def executed(found: Iterable[Verdict]) -> bool:
    """Tell whether every required guardrail reached a verdict, good or bad (``guardrails_executed``)."""
    return all(verdict.outcome in ("passed", "failed") for verdict in found if verdict.required)


def _required(
    plan: Plan,
    guardrail: str,
    commands: Mapping[str, str | None],
    today: date,
    reported: Mapping[str, ReportedVerdict] | None,
) -> Verdict:
    stage = next((stage for stage in plan.stages if stage.id == guardrail), None)
    if stage is None:
        outcome, reason = _missing("the plan has no such stage")
    else:
        outcome, reason = _reached(plan, stage, commands, reported)
    if outcome == "passed":
        return Verdict(guardrail, True, outcome, reason)
    waivers = [waiver for waiver in plan.waivers if waiver.guardrail == guardrail]
    standing = next((waiver for waiver in waivers if waiver.stands(today)), None)
    if standing is not None:
        return Verdict(guardrail, True, "waived", _waived(standing, outcome))
    if waivers:
        last = max(waiver.until for waiver in waivers)
        reason = f"{reason}; its waiver ended on {last}"
        outcome = "missing" if outcome == "skipped" else outcome
    return Verdict(guardrail, True, outcome, reason)


def _reached(
    plan: Plan,
    stage: PlannedStage,
    commands: Mapping[str, str | None],
    reported: Mapping[str, ReportedVerdict] | None,
) -> tuple[GuardrailOutcome, str]:
    outcome = commands.get(stage.id)
    if outcome == "success":
        return _success(plan, stage, reported)
    report = (reported or {}).get(stage.id)
    if outcome == "failure" and report is not None and report.outcome == "failed" and report.reason:
        return "failed", report.reason
    if outcome in ("failure", "timeout"):
        return "failed", "the stage failed" if outcome == "failure" else "the stage took too long"
    if outcome == "skip" and stage.skip:
        return "skipped", f"skipped: {stage.skip}"
    if outcome == "skip":
        blocking = {other.id for other in plan.stages if not other.skip and commands.get(other.id) != "success"}
        return "skipped", _BLOCKED if blocking.intersection(stage.needs) else "it did not run: the run ended before"
    if outcome == "error":
        return _missing("the environment or the runner broke before it could judge")
    return _missing("the stage was stopped" if outcome == "cancellation" else "the stage has not finished")


def _success(
    plan: Plan, stage: PlannedStage, reported: Mapping[str, ReportedVerdict] | None
) -> tuple[GuardrailOutcome, str]:
    for flag in plan.flags:
        if flag.stage == stage.id and flag.code in ("guardrail-cannot-fail", REPLACED):
            return "advisory", flag.message
    if stage.id == GUARD and not is_builtin_guard(stage, plan.project):
        return "advisory", f"{REPLACED}: its command is not the built-in guard"
    if stage.id == GUARD and reported is not None:
        report = reported.get(stage.id, ReportedVerdict("advisory", f"{NO_VERDICT}: it ended without a verdict"))
        if report.outcome != "passed":
            return "advisory", report.reason
    return "passed", "the stage succeeded"


def _missing(reason: str) -> tuple[GuardrailOutcome, str]:
    return "missing", reason


def _waived(waiver: Waiver, outcome: str) -> str:
    return f"{waiver.reason} (waived by {waiver.approved_by} until {waiver.until}; without the waiver: {outcome})"
