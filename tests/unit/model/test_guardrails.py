"""Verdicts of guardrails, from a plan and what its stages came to."""

from __future__ import annotations

from datetime import date

import pytest

from orchestrator.model.guardrails import Verdict, executed, present, verdicts
from orchestrator.model.plan import Flag, Plan, PlannedStage, SessionPlan, Waiver

TODAY = date(2026, 11, 22)


def plan(
    *stages: PlannedStage, required: tuple[str, ...] = ("guard",), waivers: tuple[Waiver, ...] = (), blunt: str = ""
) -> Plan:
    """Return a plan with these stages; ``blunt`` is a guardrail flagged as one that can't fail."""
    return Plan(
        project="demo",
        project_path=".",
        task_id="1-demo",
        pipeline="diagnostics",
        title="Diagnostics",
        stages=stages,
        session=SessionPlan("diagnostics-demo", "none"),
        sla_seconds=1800,
        required_guardrails=required,
        waivers=waivers,
        flags=(Flag(blunt, "guardrail-cannot-fail", "it is 'echo'"),) if blunt else (),
    )


GUARD = PlannedStage("guard", "Guard", "command", ("check",), guardrail=True)


def waiver(until: str) -> Waiver:
    """Return a waiver for the guardrail of these tests."""
    return Waiver("guard", "moved", "ann", until)


def only(found: tuple[Verdict, ...]) -> Verdict:
    """Return the one verdict there is."""
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("success", "passed"),
        ("failure", "failed"),
        ("timeout", "failed"),
        ("error", "missing"),
        ("cancellation", "missing"),
        ("skip", "skipped"),
        (None, "missing"),
    ],
)
def test_each_outcome_has_its_verdict(outcome: str | None, verdict: str) -> None:
    """Success passes, failing fails, and what reached no end is no verdict."""
    found = verdicts(plan(GUARD), {"guard": outcome}, today=TODAY)
    assert (only(found).outcome, only(found).required) == (verdict, True)
    assert present(found) == (verdict == "passed")
    assert executed(found) == (verdict in ("passed", "failed"))


def test_a_guardrail_that_can_not_fail_never_passes() -> None:
    """Its success is advisory, with the reason; its failure is one."""
    found = verdicts(plan(GUARD, blunt="guard"), {"guard": "success"}, today=TODAY)
    assert only(found) == Verdict("guard", True, "advisory", "it is 'echo'")
    assert not present(found)
    assert not executed(found)
    assert only(verdicts(plan(GUARD, blunt="guard"), {"guard": "failure"}, today=TODAY)).outcome == "failed"


@pytest.mark.parametrize(
    ("until", "outcome", "verdict"),
    [
        ("2026-11-22", "failure", "waived"),
        ("2026-11-22", "skip", "waived"),
        ("2026-11-22", None, "waived"),
        ("2026-11-22", "success", "passed"),
        ("2026-11-21", "skip", "missing"),
        ("2026-11-21", "failure", "failed"),
    ],
)
def test_a_waiver_counts_while_it_stands(until: str, outcome: str | None, verdict: str) -> None:
    """A waiver excuses on its last day; afterwards a skipped guardrail counts as missing."""
    found = only(verdicts(plan(GUARD, waivers=(waiver(until),)), {"guard": outcome}, today=TODAY))
    assert found.outcome == verdict
    if verdict == "waived":
        assert "moved (waived by ann until 2026-11-22" in found.reason


def test_a_guardrail_without_a_stage_is_missing_or_waived() -> None:
    """What the plan lacks is missing, unless a waiver stands."""
    assert only(verdicts(plan(), {}, today=TODAY)).outcome == "missing"
    assert only(verdicts(plan(waivers=(waiver("2027-01-01"),)), {}, today=TODAY)).outcome == "waived"


def test_a_skipped_stage_says_why() -> None:
    """The config's reason is the verdict's; without one, something before it did not succeed."""
    skipped = PlannedStage("guard", "Guard", "skip", skip="no specs", guardrail=True)
    assert only(verdicts(plan(skipped), {"guard": "skip"}, today=TODAY)).reason == "skipped: no specs"
    build = PlannedStage("build", "Build", "command", ("make",))
    style = PlannedStage("style", "Style", "skip", skip="none yet")
    after = GUARD._replace(needs=("build", "style"))
    for stages, outcomes, said in (
        (
            (build, style, after),
            {"build": "failure", "style": "skip", "guard": "skip"},
            "a stage that it needs did not",
        ),
        ((build, style, after), {"build": "success", "style": "skip", "guard": "skip"}, "the run ended before"),
        ((GUARD,), {"guard": "skip"}, "the run ended before"),
    ):
        assert said in only(verdicts(plan(*stages), outcomes, today=TODAY)).reason


def test_guardrails_beyond_policy_are_listed_and_do_not_count() -> None:
    """Other guardrails have verdicts too, and no say in whether the required ones hold."""
    other = PlannedStage("licences", "Licences", "command", ("x",), guardrail=True)
    plain = PlannedStage("test", "Test", "command", ("x",))
    found = verdicts(plan(other, plain, GUARD), {"licences": "failure", "guard": "success"}, today=TODAY)
    assert [(verdict.id, verdict.required) for verdict in found] == [("guard", True), ("licences", False)]
    assert present(found)
    assert executed(found)


def test_without_required_guardrails_nothing_is_wanting() -> None:
    """A pipeline that policy does not bind has all the guardrails that it needs."""
    found = verdicts(plan(PlannedStage("a", "A", "command"), required=()), {}, today=TODAY)
    assert found == ()
    assert present(found)
    assert executed(found)
