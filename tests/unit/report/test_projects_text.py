"""The projects of a workspace as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestrator.report.projects_text import projects_text

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def entry(name: str, *, coverage: float | None, last: dict[str, Any] | None) -> dict[str, Any]:
    """Return what matters of a project's entry."""
    return {"project": name, "faults": [], "coverage": coverage, "last_run": last}


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
