"""What will run, as JSON and as text: stages in order with all that decides how they run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import date

from orchestrator.model.plan import Plan
from orchestrator.report.layout import Ink, clean, duration, labelled, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STEP = "  "


def plan_document(plan: Plan, nested: Mapping[str, Mapping[str, Any]], *, task_id: str) -> dict[str, Any]:
    """Return the record of a plan with its task, its owners, and the documents of its sub-pipelines by stage."""
    return {**plan.record(), "task_id": task_id, "owners": list(plan.owners), "subplans": dict(nested)}


def plan_text(document: Mapping[str, Any], *, today: date, width: int, color: bool) -> str:
    """Return the text of a plan document, about ``width`` columns wide; ``today`` (UTC) tells which waivers stand.

    Commands, names and paths are never cut.
    """
    ink = Ink(color)
    width = max(width, 20)
    lines: list[str] = []
    for label, values, style in _head(document):
        lines += labelled(ink, label, [clean(value) for value in values], width, style)
    lines += [ink("dim", "Stages"), *_stages(ink, document, width, _STEP)]
    for label, value, style in _tail(document, today):
        lines += labelled(ink, label, [clean(value)], width, style)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(plan: Mapping[str, Any]) -> Iterator[tuple[str, list[str], str]]:
    session = plan["session"]
    version = f" (built in, version {plan['builtin_version']})" if plan["builtin_version"] is not None else ""
    yield "Project", [f"{plan['project']} in {plan['project_path']}, task {plan['task_id']}"], "bold"
    yield "Pipeline", [f"{plan['pipeline']}{version}"], ""
    python = f", Python {session['python']}" if session["python"] else ""
    yield "Session", [f"{session['name']}, backend {session['backend']}{python}"], ""
    if session["install"]:
        yield "Install", [shlex.join(session["install"])], ""
    named = [*session["pass_env"], *(f"{name}={value}" for name, value in session["set_env"].items())]
    secret = [f"{name} (masked)" for name in session["secret_env"]]
    yield "Variables", [", ".join(["the built-in list", *named, *secret])], ""
    yield "Time", [f"{duration(plan['sla_seconds'])} allowed"], ""


def _stages(ink: Ink, plan: Mapping[str, Any], width: int, indent: str) -> Iterator[str]:
    for number, stage in enumerate(plan["stages"], start=1):
        mark = " (guardrail)" if stage["guardrail"] or stage["id"] in plan["required_guardrails"] else ""
        title = f": {stage['title']}" if stage["title"] != stage["id"] else ""
        yield indent + ink("bold", clean(f"{number}. {stage['id']}{mark}{title}"))
        inner = indent + _STEP + _STEP
        yield inner + ink("cyan", clean(_work(stage)))
        details = clean("; ".join(_details(stage)))
        yield from (inner + ink("dim", line) for line in wrap(details, max(20, width - len(inner))))
        if "explain" in stage:
            style, words = _explained(stage["explain"])
            yield from (inner + ink(style, line) for line in wrap(clean(words), max(20, width - len(inner))))
        if stage["id"] in plan["subplans"]:
            yield from _stages(ink, plan["subplans"][stage["id"]], width, inner)


def _work(stage: Mapping[str, Any]) -> str:
    if stage["kind"] == "skip":
        return f"skipped: {stage['skip']}"
    if stage["kind"] == "subpipeline":
        return f"pipeline {stage['pipeline']} of {stage['project']}"
    return str(stage["shell"]) if stage["kind"] == "shell" else shlex.join(stage["argv"])


def _explained(explained: Mapping[str, Any]) -> tuple[str, str]:
    if explained["would"] == "reuse":
        return "green", f"would not run: unchanged since run {explained['reused']['run_id']}"
    reasons = "; ".join(explained["reasons"])
    if explained["would"] == "run":
        return "yellow", f"would run: {reasons}"
    return "dim", f"would not run: {reasons}" if explained["would"] == "skip" else f"would perhaps run: {reasons}"


def _details(stage: Mapping[str, Any]) -> Iterator[str]:
    yield f"needs {', '.join(stage['needs'])}" if stage["needs"] else "needs nothing"
    if stage["cwd"] != ".":
        yield f"in {stage['cwd']}"
    if stage["timeout_seconds"] is not None:
        yield f"at most {duration(stage['timeout_seconds'])}"
    if stage["retries"]:
        yield f"retried up to {stage['retries']}×"
    if stage["allow_failure"]:
        yield "may fail"
    if stage["env"]:
        yield "with " + ", ".join(f"{name}={value}" for name, value in stage["env"].items())
    for key in ("inputs", "outputs", "reports"):
        if stage.get(key):
            yield f"{key} {', '.join(stage[key])}"


def _tail(plan: Mapping[str, Any], today: date) -> Iterator[tuple[str, str, str]]:
    stages = {stage["id"] for stage in plan["stages"]}
    waivers = {waiver["guardrail"]: waiver for waiver in plan["waivers"] if "guardrail" in waiver}
    blunt = {flag["stage"] for flag in plan["flags"] if flag["code"] == "guardrail-cannot-fail"}
    for guardrail in plan["required_guardrails"]:
        waiver = waivers.get(guardrail)
        style = "" if guardrail in stages else "red"
        text = f"{guardrail} is required" + ("" if guardrail in stages else ", and no stage has that id")
        if guardrail in plan.get("unproven", ()) and guardrail not in blunt and waiver is None:
            text += ", and unproven: no canary shows that it can fail"
            style = "yellow" if plan.get("proof_required") else style
        if guardrail in blunt:
            text, style = f"{text}, and only advisory: it can't fail", "yellow"
        if waiver is not None:
            stands = today.isoformat() <= waiver["until"]
            state = f"waived until {waiver['until']}" if stands else f"its waiver ended on {waiver['until']}"
            text += f"; {state} by {waiver['approved_by']}: {waiver['reason']}"
            style = "yellow"
        yield "Guardrail", text, style
    if not plan["required_guardrails"]:
        yield "Guardrail", "none is required of this pipeline", ""
    for waiver in plan["waivers"]:
        if waiver.get("stage") in stages and today.isoformat() <= waiver["until"]:
            text = f"stage {waiver['stage']} may be skipped until {waiver['until']}"
            yield "Waiver", f"{text} by {waiver['approved_by']}: {waiver['reason']}", "yellow"
    for flag in plan["flags"]:
        yield "Flag", flag["message"], "yellow"
    drift = plan.get("drift")
    if drift and drift["changes"]:
        which = "approved with" if drift["approved_run"] else "of"
        yield "Drift", f"other than the plan {which} {drift['against']}: {'; '.join(drift['changes'])}", "yellow"
    yield "Digest", plan["digest"], ""
