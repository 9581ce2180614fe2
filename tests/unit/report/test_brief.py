"""The shortest answer about a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.report.brief import LIMIT, brief_document, brief_text

RUN = "2026-11-22T08-43-05-720Z-5087869c"


def failure(stage: str, cause: dict[str, Any] | None = None, line: str = "broken") -> dict[str, Any]:
    """Return an entry of ``failed``."""
    how = {"outcome": "failure", "exit_code": 3, "signal": None}
    return {"stage": stage, **how, "last_lines": ["x", line], "log_path": f"logs/{stage}.log", "cause": cause}


def document(*failed: dict[str, Any], reasons: int = 1, message: str = "why") -> dict[str, Any]:
    """Return what the brief form takes of a status document."""
    return {
        "run_id": RUN,
        "project": "p",
        "task_id": "1-p",
        "status": "failed",
        "outcome": "failure",
        "attempt": 1,
        "alive": False,
        "attended": None,
        "ready": {"ready": False, "reasons": [{"code": "c", "message": message}] * reasons},
        "failed": list(failed),
        "next_command": f"codex-orchestrator resume {RUN}",
        "next_argv": ["codex-orchestrator", "resume", RUN],
        "commands": ["never", "shown"],
    }


def test_a_failed_stage_is_one_line() -> None:
    """A stage has how it ended and its last line as its cause, with its log."""
    (found,) = brief_document(document(failure("test")))["failed"]
    assert found == {
        "stage": "test",
        "outcome": "failure",
        "cause": "exit 3: broken",
        "log_path": "logs/test.log",
        "child_run_id": None,
    }


def test_a_failed_test_says_more_than_the_last_line() -> None:
    """Where a report names failed tests, the first of them is the cause, and how many there are."""
    test = {"name": "test_a", "message": "assert -1 == 3", "file": "a.py", "line": 4}
    for number, cause in ((1, "exit 3: test_a: assert -1 == 3"), (7, "exit 3: 7 failed tests, first test_a: assert")):
        entry = {**failure("test", line="=== 1 failed in 0.2s ==="), "tests": [test], "tests_failed": number}
        (found,) = brief_document(document(entry))["failed"]
        assert found["cause"].startswith(cause)


@pytest.mark.parametrize(
    ("stage", "lines", "cause"),
    [
        ("environment", ["LookupError: no  version", "", "hint: Build failures are common"], "LookupError: no version"),
        ("environment", ["error: no such index", "hint: try again"], "error: no such index"),
        ("test", ["FAILED test_a.py::test_b - assert 0", "2 failed, see above"], "FAILED test_a.py::test_b - assert 0"),
        (
            "build",
            ["npm error code ETARGET", "npm error notarget No version of x.", "npm error A complete log of this run"],
            "npm error notarget No version of x.",
        ),
        ("build", ["npm error code 7", "npm error path /x", "npm error command failed"], "npm error command failed"),
        ("build", ["npm error code 7", "npm error A complete log of this run"], "npm error code 7"),
        ("lint", ["one line", ""], "one line"),
        (
            "test",
            ["--- FAIL: TestCmp", "ok x", "FAIL    a.org/cmp 0.1s", "FAIL", "make: *** [test] Error 1"],
            "FAIL a.org/cmp 0.1s",
        ),
        ("test", ["nothing", "make: *** [test] Error 1"], "make: *** [test] Error 1"),
        ("lint", [], ""),
    ],
)
def test_the_line_that_names_a_failure_is_the_cause(stage: str, lines: list[str], cause: str) -> None:
    """Advice that a tool prints after what went wrong is no cause."""
    (found,) = brief_document(document({**failure(stage), "last_lines": lines}))["failed"]
    assert found["cause"] == f"exit 3: {cause}".removesuffix(": ")


def test_a_sub_pipeline_leads_to_the_stage_below() -> None:
    """The cause, log and run of a sub-pipeline are those of the stage that failed below it."""
    below = {"line": "go failed (exit 7)", "log_path": "child/go.log", "run_id": "c"}
    (found,) = brief_document(document(failure("deep", below)))["failed"]
    assert (found["cause"], found["log_path"], found["child_run_id"]) == ("go failed (exit 7)", "child/go.log", "c")


@pytest.mark.parametrize("text", ["x", "\u00fc", "\U0001f642"])
@pytest.mark.parametrize("count", [1, 30, 200])
def test_two_kibibytes_are_never_exceeded(count: int, text: str) -> None:
    """However many stages failed with however long causes, the document fits, and what is left out is counted."""
    long = document(
        *(failure(f"stage-{number}", line=text * 500) for number in range(count)), reasons=9, message=text * 999
    )
    found = brief_document(long)
    assert len(json.dumps(found, indent=2).encode()) < LIMIT
    assert len(found["failed"]) + found["failed_left_out"] == count
    assert found["failed"] or text != "x"
    assert found["next_argv"][-1] == RUN


def test_a_fleet_is_counted() -> None:
    """Of a fleet the totals stand there, those that are not 0 in the text; what was cancelled comes after failures."""
    totals = {"queued": 0, "running": 0, "succeeded": 7, "failed": 1, "cancelled": 1, "skipped": 3}
    stopped = {**failure("a"), "outcome": "cancellation"}
    found = brief_document({**document(stopped, failure("b")), "fleet": {"totals": totals, "projects": []}})
    assert found["fleet"] == {"totals": totals}
    assert [entry["stage"] for entry in found["failed"]] == ["b", "a"]
    text = brief_text(found, width=80, color=False)
    assert "Totals     7 succeeded, 1 failed, 1 cancelled, 3 skipped\n" in text
    assert "fleet" not in brief_document(document())


def test_the_text_is_a_few_lines() -> None:
    """People get the run, how it stands, what failed, its log and the next command, and nothing else."""
    text = brief_text(brief_document(document(failure("test"))), width=80, color=False)
    assert text.splitlines() == [
        f"Run        {RUN}",
        "Status     failed, not ready",
        "Failed     test: exit 3: broken",
        "Log        logs/test.log",
        f"Next       codex-orchestrator resume {RUN}",
    ]
