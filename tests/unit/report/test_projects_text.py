"""The projects of a workspace as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestrator.report.projects_text import projects_text

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def entry(name: str, *, coverage: float | None, last: dict[str, Any] | None) -> dict[str, Any]:
    """Return what matters of a project's entry."""
    return {"project": name, "faults": [], "coverage": coverage, "last_run": last}


def test_a_narrow_screen_has_the_cause_too() -> None:
    """Where the columns have no room, what is wrong stands below the project, and no line is folded."""
    last = {
        "status": "failed",
        "pipeline_id": "diagnostics",
        "completed_at": "2026-11-21T00:00:00.000Z",
        "ready": False,
        "cause": "test failed (exit 1): tests/test_words.py",
    }
    projects = [entry("hello-python", coverage=0.5, last=last), entry("slow", coverage=None, last=None)]
    lines = projects_text({"projects": projects, "misnamed": []}, now=NOW, width=40, color=False).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[0] == "hello-python failed"
    assert " ".join(" ".join(lines[1:-1]).split()).endswith("50 % guarded, " + str(last["cause"]))
    assert lines[-1] == "slow no run"


def test_columns_have_titles() -> None:
    """A share says of what it is; a column that no project fills is left out with its title."""
    last = {
        "status": "succeeded",
        "pipeline_id": "smoke",
        "completed_at": "2026-11-21T00:00:00.000Z",
        "ready": True,
        "cause": None,
    }
    document = {"projects": [entry("a", coverage=1.0, last=last), entry("b", coverage=None, last=None)], "misnamed": []}
    first, *rest = projects_text(document, now=NOW, width=100, color=False).splitlines()
    assert first.split() == ["PROJECT", "LAST", "RUN", "PIPELINE", "ENDED", "READY", "GUARDED", "(7", "DAYS)"]
    row = next(line for line in rest if line.split()[0] == "a")
    assert row.index("100 %") == first.index("GUARDED")
    empty: dict[str, Any] = {"projects": [], "misnamed": []}
    assert projects_text(empty, now=NOW, width=100, color=False) == "  no project yet\n"
