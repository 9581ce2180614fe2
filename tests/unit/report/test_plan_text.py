"""What will run, as text: everything that decides how a stage runs is on the screen."""

from __future__ import annotations

from datetime import date
from typing import Any

from orchestrator.model.plan import Flag, Plan, PlannedStage, SessionPlan, Waiver
from orchestrator.report.plan_text import plan_document, plan_text
from tests.records import make_plan, make_stage

TODAY = date(2026, 11, 22)


def whole_plan() -> Plan:
    """Return a plan in which everything is set."""
    stages = (
        PlannedStage("build", "Build it", "command", ("python", "-m", "build it"), timeout_seconds=600.0, retries=2),
        PlannedStage("lint", "lint", "shell", shell="a | b", cwd="src", env={"MODE": "ci"}, needs=("build",)),
        PlannedStage("deep", "deep", "subpipeline", pipeline="smoke", project="other", allow_failure=True),
        PlannedStage("docs", "docs", "skip", skip="nothing to build", inputs=("src/**",), outputs=("dist/*",)),
        make_stage("spec-guard", guardrail=True),
    )
    session = SessionPlan(
        "diagnostics-hello", "uv|virtualenv", "3.12", ("-e", ".[test]"), ("CI",), {"A": "1"}, ("KEY",)
    )
    return make_plan(*stages)._replace(session=session, sla_seconds=1200.0, builtin_version=3)


def text_of(plan: Plan, nested: dict[str, dict[str, Any]] | None = None, width: int = 100) -> str:
    """Return the text of a plan."""
    return plan_text(plan_document(plan, nested or {}, task_id="7-task"), today=TODAY, width=width, color=False)


def test_the_document_is_the_record_with_task_owners_and_sub_pipelines() -> None:
    """The JSON of a plan is what the manifest would keep, and what is told besides."""
    plan = whole_plan()._replace(owners=("platform",))
    below = plan_document(make_plan(make_stage("x")), {}, task_id="8-other")
    document = plan_document(plan, {"deep": below}, task_id="7-task")
    record = plan.record()
    assert {key: document[key] for key in record} == record
    assert (document["task_id"], document["owners"]) == ("7-task", ["platform"])
    assert document["subplans"]["deep"]["stages"][0]["id"] == "x"


def test_everything_that_decides_is_on_the_screen() -> None:
    """Commands, needs, folders, limits, environment, session, SLA and digest are in the text."""
    plan = whole_plan()
    text = text_of(plan)
    for part in (
        "hello in packages/hello, task 7-task",
        "diagnostics (built in, version 3)",
        "diagnostics-hello, backend uv|virtualenv, Python 3.12",
        "-e '.[test]'",
        "the built-in list, CI, A=1, KEY (masked)",
        "20m allowed",
        "1. build: Build it",
        "python -m 'build it'",
        "at most 10m; retried up to 2×",
        "a | b",
        "needs build; in src; with MODE=ci",
        "pipeline smoke of other",
        "may fail",
        "skipped: nothing to build",
        "inputs src/**; outputs dist/*",
        "5. spec-guard (guardrail)",
        "spec-guard is required",
        plan.digest,
    ):
        assert part in text, part


def test_sub_pipelines_are_shown_below_their_stage() -> None:
    """The stages of a sub-pipeline stand, further in, below the stage that runs it."""
    below = plan_document(make_plan(make_stage("inner")), {}, task_id="8-other")
    lines = text_of(whole_plan(), {"deep": below}).splitlines()
    inner = next(index for index, line in enumerate(lines) if "1. inner" in line)
    assert lines[inner].startswith("      1. inner")
    assert any("3. deep" in line for line in lines[:inner])
    assert any("4. docs" in line for line in lines[inner:])


def test_waivers_missing_guardrails_and_flags_are_said() -> None:
    """A waiver that stands, one that ended, a guardrail without a stage, and every flag are told."""
    waivers = (
        Waiver("spec-guard", "moving house", "ann", "2026-11-22"),
        Waiver("gone", "long ago", "bob", "2026-11-21"),
    )
    flag = Flag("spec-guard", "guardrail-cannot-fail", "guardrail 'spec-guard' can't fail")
    text = text_of(
        whole_plan()._replace(required_guardrails=("spec-guard", "gone"), waivers=waivers, flags=(flag,)), width=200
    )
    assert (
        "spec-guard is required, and only advisory: it can't fail; waived until 2026-11-22 by ann: moving house" in text
    )
    assert "gone is required, and no stage has that id; its waiver ended on 2026-11-21 by bob: long ago" in text
    assert "Flag       guardrail 'spec-guard' can't fail" in text


def test_a_pipeline_without_guardrails_says_so() -> None:
    """Where policy binds nothing, the text says that, instead of nothing."""
    assert "none is required of this pipeline" in text_of(whole_plan()._replace(required_guardrails=()))


def test_values_of_secret_names_are_masked() -> None:
    """The value of a variable that looks secret is in neither form of the plan."""
    stage = make_stage("build")._replace(env={"API_TOKEN": "hunter2hunter2"})
    assert "hunter2" not in text_of(make_plan(stage))


def test_config_text_cannot_steer_the_terminal() -> None:
    """Titles, commands and reasons are shown, not obeyed."""
    stage = PlannedStage("build", "\x1b[2J", "shell", shell="echo '\x1b]0;x\x07'", skip=None)
    assert "\x1b" not in text_of(make_plan(stage), width=40)
