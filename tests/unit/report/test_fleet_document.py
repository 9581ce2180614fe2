"""How the projects of a fleet stand: totals, order, readiness, what to type next, and the closing lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.report.fleet_document import Child, children_to_resume, fleet_next, fleet_part, fleet_ready
from orchestrator.report.fleet_text import fleet_digest, fleet_status_text, selection_text


def command(project: str, status: str = "succeeded", outcome: str | None = "success", **more: Any) -> dict[str, Any]:
    """Return the entry of a project in a fleet's record."""
    ended = {"exit_code": None, "signal": None, "completed_at": "2026-11-22T10:00:00.100Z"}
    return {"id": project, "status": status, "outcome": outcome, "summary": None, **ended, **more}


def child(project: str, status: str = "succeeded", *codes: str, alive: bool = False) -> Child:
    """Return the run of a project."""
    document = {
        "run_id": f"run-{project}",
        "status": status,
        "outcome": None,
        "attempt": 1,
        "completed_at": "2026-11-22T10:00:00.000Z",
        "alive": alive,
        "attended": None,
        "guardrails": [{"id": "spec-guard", "required": True, "outcome": "passed"}],
        "sla": {"breached": project == "late"},
        "manifest": f".runs/{project}",
        "next_argv": ["codex-orchestrator", "status", f"run-{project}"],
        "ready": {"ready": not codes, "reasons": [{"code": code, "message": code} for code in codes]},
    }
    return Child(document, "test", "test failed (exit 1)") if status == "failed" else Child(document)


def body(*commands: dict[str, Any], status: str = "succeeded", alive: bool = False) -> dict[str, Any]:
    """Return the status document of a fleet."""
    return {
        "run_id": "r",
        "status": status,
        "outcome": "success",
        "status_detail": None,
        "attempt": 1,
        "alive": alive,
        "attended": None,
        "sla": {"active_seconds": 3.0},
        "pipeline_id": "smoke",
        "task_id": "fleet",
        "commands": list(commands),
        "ready": {"ready": True, "reasons": []},
    }


def test_failed_projects_come_first_and_totals_add_up() -> None:
    """Each project is counted once; what never began is queued while the fleet lives and skipped after."""
    commands = (
        command("good"),
        command("bad", "failed", "failure"),
        command("stopped", "failed", "cancellation"),
        command("sick", "failed", "failure", summary="its config is odd"),
        command("busy", "running", None),
        command("next", "pending", None),
        command("below", "skipped", "skip", summary="needs 'bad'"),
    )
    children = {
        "good": child("good"),
        "bad": child("bad", "failed"),
        "stopped": child("stopped", "cancelled"),
        "busy": child("busy", "in_progress", alive=True),
    }
    live = fleet_part(body(*commands, alive=True), children)
    assert [entry["project"] for entry in live["projects"]] == [
        "bad",
        "sick",
        "stopped",
        "busy",
        "next",
        "below",
        "good",
    ]
    assert live["totals"] == {"queued": 1, "running": 1, "succeeded": 1, "failed": 2, "cancelled": 1, "skipped": 1}
    assert live["projects"][1]["cause"] == "its config is odd"
    stopped = fleet_part(body(command("x", "failed", "cancellation")), {})["projects"][0]
    assert (stopped["status"], stopped["cause"]) == ("cancelled", "cancelled")
    dead = fleet_part(body(*commands), {name: each for name, each in children.items() if name != "busy"})
    assert (dead["totals"]["queued"], dead["totals"]["skipped"]) == (0, 2)


@pytest.mark.parametrize(
    ("codes", "status", "expected"),
    [
        ((), "succeeded", None),
        ((), "failed", ["codex-orchestrator", "resume", "r"]),
        (("approval-missing",), "succeeded", ["codex-orchestrator", "review", "r"]),
        (("guardrail-advisory",), "succeeded", ["codex-orchestrator", "status", "run-a"]),
    ],
)
def test_a_fleet_is_ready_when_every_child_is(codes: tuple[str, ...], status: str, expected: list[str] | None) -> None:
    """Reasons of children are the fleet's, by code with the projects named; the next command follows from them."""
    children = {"a": child("a", "succeeded", *codes), "b": child("b")}
    found = {**body(command("a"), command("b"), status=status)}
    found["ready"] = fleet_ready(found, children)
    assert found["ready"]["ready"] == (not codes)
    assert [reason["code"] for reason in found["ready"]["reasons"]] == list(codes)
    assert all(reason["message"].endswith(": a") for reason in found["ready"]["reasons"])
    assert fleet_next(found, children) == expected


def test_a_child_that_nobody_attends_comes_first() -> None:
    """A fleet that ended while a child goes on in the cloud leads to that child; while the fleet lives, to itself."""
    going = child("b", "in_progress", "run-in-progress")
    going = going._replace(document={**going.document, "alive": None, "attended": False})
    children = {"a": child("a", "failed", "run-not-succeeded"), "b": going}
    assert fleet_next(body(status="failed"), children) == ["codex-orchestrator", "attach", "run-b"]
    assert fleet_next(body(status="in_progress", alive=True), children) == [
        *("codex-orchestrator", "status", "r", "--watch"),
    ]
    assert fleet_part(body(command("b"), status="failed"), children)["projects"][0]["attended"] is False


def test_a_success_whose_run_is_not_known_is_not_ready() -> None:
    """A project that succeeded is counted so, but nothing says that its run is ready when there is none to read."""
    found = body(command("a"), command("b"), command("c", "skipped", "skip"))
    part = fleet_part(found, {"a": child("a")})
    assert (part["totals"]["succeeded"], part["totals"]["skipped"]) == (2, 1)
    assert part["projects"][2]["cause"] == "its run is not known"
    ready = fleet_ready(found, {"a": child("a")})
    assert ready["reasons"] == [{"code": "child-not-succeeded", "message": "projects whose run is not known: b"}]
    assert not ready["ready"]


@pytest.mark.parametrize(
    ("ended", "cause"),
    [
        ({"signal": "SIGKILL"}, "SIGKILL after its run had succeeded"),
        ({"exit_code": 8}, "exit 8 after its run had succeeded"),
        ({"signal": "SIGKILL", "completed_at": "2026-11-22T10:00:00.000Z"}, "SIGKILL after its run had succeeded"),
        ({"signal": "SIGKILL", "completed_at": "2026-11-22T09:00:00.000Z"}, None),
        ({}, None),
    ],
    ids=["killed", "exit", "same-time", "resumed-alone", "interrupted"],
)
def test_a_process_that_failed_after_its_runs_success(ended: dict[str, Any], cause: str | None) -> None:
    """The project is failed as the fleet is, its record's word beside; one that was resumed since has succeeded."""
    found = body(command("a", "failed", "failure", **ended), command("b"), status="failed")
    part = fleet_part(found, {"a": child("a"), "b": child("b")})
    entry = part["projects"][0]
    assert (entry["project"], entry["cause"]) == ("a", cause)
    assert part["totals"]["failed"] == (cause is not None)
    assert entry.get("run_status") == (None if cause is None else "succeeded")
    assert entry["status"] == ("succeeded" if cause is None else "failed")
    assert children_to_resume(part) is None
    answer = {"failed": [], "manifest": "m.json", "next_command": "codex-orchestrator resume r"}
    text = fleet_digest(answer, {**found, "fleet": part}, width=80, color=False)
    assert (f"Failed: a ({cause})" in text) == (cause is not None)


def test_a_child_that_failed_is_one_reason() -> None:
    """However a child ended badly, the fleet says so once; many projects are counted."""
    children = {f"p{number}": child(f"p{number}", "failed", "run-not-succeeded") for number in range(7)}
    ready = fleet_ready(body(), children)
    shown = "p0, p1, p2, p3, p4 and 2 more"
    assert ready["reasons"] == [
        {
            "code": "child-not-succeeded",
            "message": f"projects whose run has not succeeded: {shown}",
        }
    ]
    assert fleet_ready(body(status="in_progress", alive=True), children)["reasons"] == []


def test_a_fleet_that_succeeded_and_is_not_ready_says_so_at_its_end() -> None:
    """A project that checked nothing is named where the totals say that all succeeded, as in its own run's lines."""
    found = body(command("a"), command("b"))
    children = {"a": child("a", "succeeded", "nothing-checked"), "b": child("b")}
    answer: dict[str, Any] = {"failed": [], "manifest": "m.json", "next_command": None}
    document = {**found, "fleet": fleet_part(found, children), "ready": fleet_ready(found, children)}
    assert "Ready      no: nothing-checked of projects: a\n" in fleet_digest(answer, document, width=80, color=False)
    ready = {**document, "ready": {"ready": True, "reasons": []}}
    assert "Ready" not in fleet_digest(answer, ready, width=80, color=False)


def test_ten_failed_projects_are_shown_in_full() -> None:
    """Totals, then ten failed projects with last lines and log, others in a line; one alone names its resume too."""
    names = [f"p{number:02d}" for number in range(12)]
    document = body(*(command(name, "failed", "failure") for name in names), status="failed")
    document["fleet"] = fleet_part(document, {name: child(name, "failed") for name in names})
    cause = {"last_lines": [f"line {number}" for number in range(30)], "log_path": "the.log"}
    failed: list[dict[str, Any]] = [
        {"stage": name, "cause": cause, "last_lines": [], "log_path": None} for name in names
    ]
    answer = {"failed": failed, "manifest": "m.json", "next_command": "codex-orchestrator resume r"}
    text = fleet_digest(answer, document, width=80, color=False)
    assert text.index("12 failed") < text.index("Failed: p00 (test failed (exit 1))")
    assert (text.count("the.log"), text.count("| line 29"), text.count("| line 9\n")) == (10, 10, 0)
    assert "Failed: p11" in text
    document["fleet"] = fleet_part(document, {name: child(name, "cancelled") for name in names})
    stopped = fleet_digest(answer, document, width=80, color=False)
    assert ("Failed: " in stopped, stopped.count("Cancelled: p")) == (False, 12)
    assert children_to_resume(document["fleet"]) is None
    alone = fleet_part(body(command("a", "failed", "failure"), command("b")), {"a": child("a", "failed")})
    assert children_to_resume(alone) == ["codex-orchestrator", "resume", "run-a"]


def test_status_of_a_hundred_projects_is_small() -> None:
    """A project takes about 200 bytes of the document, and a line of the text."""
    names = [f"project-{number:03d}" for number in range(100)]
    document = body(*(command(name) for name in names))
    children = {name: child(name) for name in names}
    document["fleet"] = fleet_part(document, children)
    document["ready"] = fleet_ready(document, children)
    document["next_command"] = None
    assert len(json.dumps(document["fleet"])) < 100 * 300
    text = fleet_status_text(document, width=80, color=False)
    assert len(text.splitlines()) < 110


def test_a_selection_says_why() -> None:
    """The base, each project's reasons and what was left out are shown; nothing selected is said."""
    selection = {
        "base": "main",
        "merge_base": "a" * 40,
        "files": ["x"],
        "notes": ["mind"],
        "projects": [{"project": "a", "reasons": ["changed: x", "tag web"]}],
        "left_out": [{"project": "b", "reason": "it has no pipeline"}],
    }
    text = selection_text(selection, width=80, color=False)
    assert "main (aaaaaaaaaaaa), 1 changed file" in text
    assert "a  changed: x; tag web" in text
    assert "b: it has no pipeline" in text
    assert "nothing to run" in selection_text({**selection, "projects": []}, width=80, color=False)
