"""The table of docs/sla.md as text, and the window that is measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.identifiers import run_moment
from orchestrator.checks.sla_page import Row, read_page, with_rows
from orchestrator.config.quantities import LONGEST_SECONDS, duration, written
from orchestrator.report.statistics.metrics_record import End
from orchestrator.report.statistics.p90 import measured

RUN = "2026-11-22T08-43-05-720Z-5087869c"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
END = End(RUN, "1-a", "a", "diagnostics", "success", 1, NOW, NOW, 1.0, True, True, True, 60.0, False, "e")

names = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
limits = st.integers(1, 10**6).map(float)
measures = st.tuples(st.integers(1, 10**4).map(float), st.integers(1, 999), st.just(RUN), st.text(max_size=20))
rows = st.lists(
    st.builds(lambda name, pipeline, limit, rest: Row(name, pipeline, limit, *rest), names, names, limits, measures),
    unique_by=lambda row: row.key,
    max_size=5,
)


@given(st.floats(0.001, LONGEST_SECONDS - 1))
def test_a_duration_is_read_as_it_is_written(seconds: float) -> None:
    """What is written means the same time, to what is shown of it, and is written the same again."""
    read = duration(written(seconds))
    assert read == pytest.approx(seconds, abs=0.51 if seconds >= 59 else 0.051 if seconds >= 9 else 0.0051)
    assert written(read) == written(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "1ms"), (0.47, "0.47s"), (12.34, "12.3s"), (59.96, "1m"), (1800, "30m"), (3665, "1h1m5s")],
)
def test_durations_as_people_write_them(seconds: float, text: str) -> None:
    """Short ones have hundredths, long ones whole seconds."""
    assert written(seconds) == text


@given(rows, st.lists(st.sampled_from(["words", "", "# Title", "- [ ] item"]), max_size=4))
def test_rows_are_read_as_they_were_written_and_words_stay(written_rows: list[Row], words: list[str]) -> None:
    """A table is read back whole; writing it again changes nothing; what stands around it is as it was."""
    before = "".join(f"{word}\n" for word in words)
    once = with_rows(before, written_rows)
    page = read_page(once + "after\n")
    assert page.faults == ()
    said = {row.key: replace(row, line=0, host="") for row in page.rows}
    assert said == {row.key: replace(row, host="") for row in written_rows}
    assert with_rows(once + "after\n", page.rows) == once + "after\n"
    assert once.startswith(before)


@given(st.text(alphabet="|-:ab \n`~", max_size=60), rows)
def test_any_page_can_be_read_and_gets_its_table(text: str, written_rows: list[Row]) -> None:
    """No text of a page makes reading fail."""
    read_page(text)
    read_page(with_rows(text, written_rows))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("| a | diagnostics | 30m | 1s | 1 |", "it has 5 cells"),
        ("| a | diagnostics | soon | not measured | 0 | – | – |", "'limit' must be a duration"),
        ("| a | diagnostics | 30m | fast | 1 | " + RUN + " | h |", "'p90' must be a duration"),
        ("| a | diagnostics | 30m | 1s | none | " + RUN + " | h |", "'runs' is no number"),
        ("| a | diagnostics | 30m | 1s | 1 | yesterday | h |", "'latest run' is no run's id"),
        ("| A | diagnostics | 30m | 1s | 1 | " + RUN + " | h |", "project id 'A' is not allowed"),
    ],
)
def test_a_bad_row_is_named_with_its_line(row: str, said: str) -> None:
    """Each fault of a row has its line and its reason; the others are read."""
    good = with_rows("", [Row("b", "diagnostics", 60.0)])
    page = read_page(good + row + "\n")
    assert [found.project for found in page.rows] == ["b"]
    ((line, message),) = page.faults
    assert line == 4
    assert said in message


def test_a_page_without_its_table_and_one_with_two() -> None:
    """Both are faults; a table in a block of code is none."""
    table = with_rows("", [])
    assert read_page("words\n").faults[0][0] == 1
    assert read_page(f"```\n{table}```\n").first is None
    assert read_page(f"{table}\nmore\n\n{table}").faults == ((6, "there is a second table of limits"),)


def test_the_window_ends_with_the_latest_run() -> None:
    """Runs that succeeded in the 30 days up to the latest one count; version 1, failed and later ones do not."""
    ends = [
        replace(END, run_id=f"r{day}", completed_at=NOW - timedelta(days=day), duration_seconds=float(day))
        for day in range(0, 70, 5)
    ]
    others = [replace(END, attempt=None, duration_seconds=99.0), replace(END, outcome="failure", duration_seconds=0.1)]
    found = measured([*ends, *others], NOW)
    assert found is not None
    assert (found.latest.run_id, len(found.ends), found.p90) == ("r0", 6, 25.0)
    earlier = measured(ends, NOW - timedelta(days=7))
    assert earlier is not None
    assert (earlier.latest.run_id, len(earlier.ends)) == ("r10", 6)
    assert measured(ends, NOW - timedelta(days=100)) is None
    assert measured(ends[-1:], NOW) is None


def test_when_a_run_started_is_known_by_its_id() -> None:
    """The id's moment is UTC, to the millisecond; one that names no day is none."""
    assert run_moment(RUN) == datetime(2026, 11, 22, 8, 43, 5, 720000, tzinfo=UTC)
    assert run_moment("2026-13-41" + RUN[10:]) is None
    assert run_moment("latest") is None
