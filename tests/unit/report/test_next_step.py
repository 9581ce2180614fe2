"""What is to be typed next, by how a run stands."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.report.next_step import first_in_words, next_argv, with_next

CHILD = {"run_id": "c", "task_id": "t", "project": "p", "pipeline_id": "x", "stage_id": "s", "status": "failed"}


def body(
    status: str,
    *codes: str,
    alive: bool | None = False,
    child_alive: bool | None = False,
    version: int = 2,
    attended: bool | None = None,
    child_attended: bool | None = None,
) -> Any:
    """Return what matters of a status document."""
    return {
        "run_id": "r",
        "version": version,
        "alive": alive,
        "attended": attended,
        "status": status,
        "pipeline_id": "diagnostics",
        "project": "p",
        "task_id": "t",
        "ready": {"reasons": [{"code": code} for code in codes]},
        "child_runs": [{**CHILD, "alive": child_alive, "attended": child_attended}],
        "plan_stages": {},
    }


START = "start --pipeline diagnostics --project p --task t"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (body("in_progress", "run-in-progress", alive=True), "status r --watch"),
        (body("queued", "run-in-progress", alive=True), "status r --watch"),
        (body("in_progress", "run-in-progress", alive=True, attended=True), "status r --watch"),
        (body("queued", "run-in-progress", alive=None, attended=False), "attach r"),
        (body("succeeded", "child-not-succeeded", child_alive=None, child_attended=False), "attach c"),
        (body("failed", "run-not-succeeded"), "resume r"),
        (body("cancelled", "run-not-succeeded", "child-not-succeeded"), "resume r"),
        (body("failed", "run-interrupted", "mixed-trees"), START),
        (body("succeeded", "approval-missing", "approval-stale"), "review r"),
        (body("succeeded", "child-not-succeeded"), "resume c"),
        (body("succeeded", "child-not-succeeded", "approval-missing", child_alive=True), "status c --watch"),
        (body("succeeded", "review-policy-unknown"), "doctor"),
        (body("succeeded", "mixed-trees", "approval-missing"), START),
        (body("succeeded", "changes-requested"), START),
        (body("succeeded", "guardrail-cannot-fail"), START),
    ],
)
def test_what_comes_next(document: Any, expected: str) -> None:
    """A live run is watched, an unattended one attached to, a failed one resumed, or what it needs started anew."""
    keys = with_next(next_argv(document))
    assert keys["next_command"] == f"codex-orchestrator {expected}"
    assert keys["next_argv"] == ["codex-orchestrator", *expected.split()]


def test_a_start_that_repeats_itself_has_words_before_it() -> None:
    """What succeeded is changed before it is started again; every other command is typed as it is."""
    for document in (body("succeeded", "nothing-checked"), body("succeeded", "guardrail-advisory")):
        assert "changes nothing" in str(first_in_words("succeeded", next_argv(document)))
    assert first_in_words("failed", next_argv(body("failed", "mixed-trees"))) is None
    assert first_in_words("succeeded", next_argv(body("succeeded", "approval-missing"))) is None
    assert first_in_words("succeeded", None) is None


def test_nothing_is_left_to_do() -> None:
    """A succeeded run that is ready has no next command, nor has one of version 1."""
    nothing = {"next_command": None, "next_argv": None}
    assert with_next(next_argv(body("succeeded"))) == nothing
    assert with_next(next_argv(body("failed", "version-1", version=1))) == nothing
