"""The list of runs: rows, filters, orders, text; and spans of time as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import UsageError
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.report.layout import ago, columns
from orchestrator.report.run_rows import KEYS, Wanted, damaged_row, run_row, sorted_rows
from orchestrator.report.runs_text import runs_text
from orchestrator.report.status_document import status_document
from orchestrator.report.time_window import since, span
from tests.records import START, make_manifest, make_run_id

NOW = START + timedelta(days=3)


def row_of(manifest: Manifest, *, alive: bool = False) -> dict[str, Any]:
    """Return the row of a record as it is now."""
    return run_row(status_document(manifest.as_json(), alive=alive, now=NOW, manifest="m.json"), None)


def document_of(*rows: dict[str, Any], known: int | None = None) -> dict[str, Any]:
    """Return a document with these rows."""
    count = len(rows) if known is None else known
    return {"runs": list(rows), "known": count, "looked_at": len(rows), "damaged": 0, "unreadable": [], "hint": ""}


def test_a_row_of_a_died_run() -> None:
    """A run whose lock is free is a died one, its stages counted as they will be closed."""
    row = row_of(make_manifest())
    assert tuple(row) == KEYS
    assert (row["status"], row["outcome"], row["died"], row["alive"]) == ("failed", "error", True, False)
    assert row["stages"] == {
        "total": 2,
        "succeeded": 0,
        "failed": 0,
        "skipped": 2,
        "running": 0,
        "pending": 0,
        "reused": 0,
    }


def test_a_live_run_is_over_its_limit_before_that_is_written() -> None:
    """The breach of a live run is told by the time of now."""
    manifest = make_manifest()
    late = manifest._replace(sla=manifest.sla._replace(limit_seconds=10.0))
    assert [row_of(one, alive=True)["sla_breached"] for one in (late, late)] == [True, True]
    assert "SLA!" in runs_text(document_of(row_of(late, alive=True)), now=NOW, width=120, color=False)


def test_a_damaged_row_says_only_where_and_why() -> None:
    """Of a damaged run nothing is made up, and only the filter for damaged runs finds it."""
    row = damaged_row("1-hello", make_run_id(1), "m.json", "it is cut off")
    assert tuple(row) == KEYS
    assert {key for key, value in row.items() if value is not None} == {
        *("run_id", "task_id", "status", "manifest", "damage")
    }
    assert Wanted(status="damaged").takes(row)
    assert Wanted().takes(row)
    assert not Wanted(project="hello").takes(row)
    text = runs_text(document_of(row), now=NOW, width=120, color=False)
    assert "damaged" in text
    assert "it is cut off" in text


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(project="other"),
        Wanted(status="succeeded"),
        Wanted(outcome="timeout"),
        Wanted(pipeline="smoke"),
        Wanted(parent=make_run_id(9)),
    ],
)
def test_each_filter_counts(wanted: Wanted) -> None:
    """A run that fits all but one of the filters is left out."""
    row = row_of(make_manifest())
    assert Wanted("hello", "failed", "error", "diagnostics").takes(row)
    assert not wanted.takes(row)


def test_orders() -> None:
    """The latest or longest comes first, and what has no such value last, whatever order they came in."""
    rows: list[dict[str, Any]] = [
        {"run_id": "a", "completed_at": "2026-11-22T10:00:00.000Z", "duration_seconds": 5.0},
        {"run_id": "b", "completed_at": None, "duration_seconds": None},
        {"run_id": "c", "completed_at": "2026-11-22T09:00:00.000Z", "duration_seconds": 0.0},
    ]
    for order, expected in (("started", "cba"), ("completed", "acb"), ("duration", "acb")):
        assert "".join(row["run_id"] for row in sorted_rows(rows, order)) == expected


@given(width=st.integers(20, 140), color=st.booleans())
def test_text_fits_and_ids_stay_whole(width: int, color: bool) -> None:
    """No line but an id is wider than the terminal, and no id is ever cut."""
    manifest = make_manifest()
    rows = [row_of(manifest), damaged_row("1-hello", make_run_id(2), "m.json", "a key is of another kind \x1b[2J")]
    text = runs_text(document_of(*rows, known=7), now=NOW, width=width, color=color)
    assert "\x1b[2J" not in text
    for run_id in (make_run_id(1), make_run_id(2)):
        assert run_id in text
    if not color:
        for line in text.splitlines():
            assert columns(line) <= max(width, 33), line


def test_what_is_not_shown_is_reported() -> None:
    """Runs that were not looked at, damaged ones that a filter hid, and a near match are told below the list."""
    document = {**document_of(known=9), "damaged": 2, "looked_at": 4, "hint": "did you mean 'x'?"}
    text = runs_text(document, now=NOW, width=200, color=False)
    for part in ("no run fits", "4 of 9", "2 damaged runs", "did you mean 'x'?"):
        assert part in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("2026-11-15", datetime(2026, 11, 15, tzinfo=UTC)),
        ("2026-11-15T12:00:00+02:00", datetime(2026, 11, 15, 10, tzinfo=UTC)),
    ],
)
def test_since(text: str, expected: datetime) -> None:
    """Spans count back from now, dates begin in UTC, moments have their zone."""
    assert since("--since", text, NOW) == expected


@pytest.mark.parametrize("text", ["", "7", "yesterday", "-3d", "2026-13-01", "400d", "0s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """What is neither span nor date is refused, with the flag named."""
    with pytest.raises(UsageError, match="--since"):
        since("--since", text, NOW)
    with pytest.raises(UsageError, match="--window"):
        span("--window", text)


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=-1), "2026-11-25"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=5, seconds=59), "5m ago"),
        (timedelta(hours=23, minutes=59), "23h ago"),
        (timedelta(days=6, hours=23), "6d ago"),
        (timedelta(days=7), "2026-11-18"),
    ],
)
def test_a_moment_as_people_read_it(passed: timedelta, words: str) -> None:
    """A moment is how long ago it was, from a week on its date; one in the future is its date."""
    assert ago(NOW - passed, NOW) == words


def test_the_list_has_a_header() -> None:
    """The columns of a wide list have titles; an empty list has none."""
    lines = runs_text(document_of(row_of(make_manifest())), now=NOW, width=120, color=False).splitlines()
    assert lines[0].split() == ["RUN", "STATE", "STAGES", "STARTED", "TOOK", "PROJECT", "PIPELINE"]
    assert "3d ago" in lines[1]
    assert lines[1].index("3d ago") == lines[0].index("STARTED")
    assert runs_text(document_of(), now=NOW, width=120, color=False) == "no runs\n"


def test_a_run_of_the_future_is_named_on_a_narrow_screen() -> None:
    """A row is cut at its end: that its clock was ahead stands before that."""
    text = runs_text(document_of(row_of(make_manifest()) | {"in_future": True}), now=NOW, width=110, color=False)
    assert "its clock was ahead" in text
