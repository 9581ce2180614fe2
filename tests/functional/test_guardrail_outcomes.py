"""What each required guardrail came to is told apart in ``plan``, in the manifest and in ``status``."""

from __future__ import annotations

from tests.harness import Orchestrator, WorkspaceFolder

REQUIRED = ("good", "bad", "skipped", "blunt", "waived", "excused", "expired")
WAIVERS = {"waived": "2999-12-31", "excused": "2999-12-31", "expired": "2020-12-31"}
EXPECTED = {
    "good": ("passed", "the stage succeeded"),
    "bad": ("failed", "the stage failed"),
    "skipped": ("skipped", "did not succeed"),
    "blunt": ("advisory", "can't fail"),
    "waived": ("waived", "moving house (waived by ann until 2999-12-31; without the waiver: failed)"),
    "excused": ("waived", "without the waiver: missing"),
    "expired": ("missing", "its waiver ended on 2020-12-31"),
    "voluntary": ("failed", "the stage failed"),
}


SOFTER = "[spec_guard]\nchecklists = false\n"
FLAG = "[spec_guard] asks less than the default: checklists are not checked"


def guarded(workspace: WorkspaceFolder) -> None:
    """Onboard a project with a guardrail for each outcome; ``excused`` has no stage at all."""
    waivers = "".join(
        f'[[waivers]]\nguardrail = "{name}"\nreason = "moving house"\napproved_by = "ann"\nuntil = {until}\n'
        for name, until in WAIVERS.items()
    )
    required = ", ".join(f'"{name}"' for name in REQUIRED)
    stages: dict[str, str | dict[str, object]] = {
        "good": "test -d .",
        "bad": "test -e nothing",
        "skipped": {"shell": "test -d .", "needs": ["bad"]},
        "blunt": "test -e nothing || true",
        "waived": "test -e nothing",
        "expired": {"shell": "test -d .", "needs": ["bad"]},
        "voluntary": "test -e nothing",
    }
    tables = {
        name: {"needs": [], "guardrail": True, **({"shell": stage} if isinstance(stage, str) else stage)}
        for name, stage in stages.items()
    }
    workspace.project("app", tables, extra=f"[guardrails]\nrequired = [{required}]\n{SOFTER}{waivers}")


def test_outcomes_are_kept_apart(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run's manifest and status have the same verdict and reason for each guardrail; what is not required says so."""
    guarded(workspace)
    assert orchestrate("start").code == 3
    manifest = workspace.manifest(workspace.runs("1-app")[0])
    recorded = manifest["guardrails"]
    shown = orchestrate("status", "--format", "json").document
    text = orchestrate("status").stdout
    assert shown["guardrails"] == recorded
    found = {entry["id"]: entry for entry in recorded}
    assert [entry["id"] for entry in recorded if entry["required"]] == list(REQUIRED)
    for name, (outcome, reason) in EXPECTED.items():
        assert found[name]["outcome"] == outcome
        assert reason in found[name]["reason"]
        assert f"{name} {outcome}" in text
    assert "voluntary failed (not required)" in text
    assert FLAG in [flag["message"] for flag in manifest["plan"]["flags"]]
    assert FLAG in " ".join(text.split())
    reasons = {reason["code"] for reason in shown["ready"]["reasons"]}
    assert reasons >= {f"guardrail-{word}" for word in ("failed", "skipped", "advisory", "missing")}
    assert "guardrail-waived" not in reasons


def test_a_plan_tells_what_no_run_can_change(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Before a run, ``plan`` says which guardrails are advisory, waived or missing whatever happens, and who waived."""
    guarded(workspace)
    found = {entry["id"]: entry for entry in orchestrate("plan", "--format", "json").document["guardrails"]}
    assert {name: entry["outcome"] for name, entry in found.items()} == {
        **dict.fromkeys(("good", "bad", "skipped", "waived", "expired", "voluntary", "spec-guard")),
        "blunt": "advisory",
        "excused": "waived",
    }
    assert found["waived"]["reason"] == "waived until 2999-12-31, should it not pass: moving house"
    text = orchestrate("plan").stdout
    assert "waived is required; waived until 2999-12-31 by ann: moving house" in text
    assert "excused is required, and no stage has that id; waived until 2999-12-31" in text
    assert "expired is required; its waiver ended on 2020-12-31 by ann" in text
    assert "blunt is required, and only advisory" in text
    assert FLAG in " ".join(text.split())
