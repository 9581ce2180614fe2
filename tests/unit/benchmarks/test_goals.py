"""Goals, the table of results, and the check against kept figures."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import Bench, Versus
from benchmarks.check import CHECKED, check, worse
from benchmarks.goals import BY_ID, ROWS, Row, verdict
from benchmarks.groups import fleet, makespan, reading, retention, starting, syncs, unchanged
from benchmarks.peers import no_peers
from benchmarks.phases import LIBRARY, NOX, OURS, PHASES, import_phase
from benchmarks.profile import combined
from benchmarks.publishing import DOCS, PAGE, kept, publish
from benchmarks.ratios import Sample
from benchmarks.results import Result
from benchmarks.table import between, line, markdown


@pytest.mark.parametrize(
    ("figure", "expected"),
    [(0.9, "met"), (1.0, "met"), (1.1, "aim missed"), (1.3, "aim missed"), (1.31, "must missed"), (None, "")],
)
def test_a_figure_is_judged_by_both_goals(figure: float | None, expected: str) -> None:
    """A figure that equals a goal meets it."""
    assert verdict(Row("x", "x", 1.3, 1.0), figure) == expected


def test_a_row_without_goals_has_no_verdict() -> None:
    """It is shown, and judged by nobody."""
    assert verdict(Row("x", "x"), 5.0) == ""
    assert verdict(Row("x", "x", must=1.0), 0.5) == "met"


def test_an_aim_is_no_easier_than_its_must() -> None:
    """The table of goals is sound: ids are unique, and whoever meets an aim meets the must."""
    assert len(BY_ID) == len(ROWS)
    assert all(row.aim <= row.must for row in ROWS if row.aim is not None and row.must is not None)


def test_every_comparison_has_its_row() -> None:
    """No group measures what the table of goals doesn't know."""
    groups = (starting.ROWS, reading.AGAINST_PEERS, reading.HISTORY, reading.METRICS, retention.ROWS, unchanged.ROWS)
    fleets = (fleet.BEFORE, fleet.XARGS, fleet.COLD, fleet.UNCHANGED)
    versus: list[Versus] = [each for rows in (*groups, *fleets) for each in rows]
    assert {each.row for each in versus} | {*fleet.OF_ONE_FLEET} <= BY_ID.keys()
    assert makespan.IDEAL_SECONDS == 1.0


def _result(row: str, ours: float, peer: float = 1.0) -> Result:
    return Result.compared(row, [Sample(ours, ours)] * 3, [Sample(peer, peer)] * 3)


def test_the_table_holds_figures_goals_and_reasons() -> None:
    """A measured row is a line of the table; notes and skipped rows are told below it."""
    results = [
        _result("start-nox", 1.2),
        Result("crowd-lost", 0.0, note="of 50 starts"),
        Result("start-npm", skipped="npm is not installed"),
    ]
    lines = markdown(results).splitlines()
    assert lines[2].startswith("| start, four no-op stages ÷ bare nox | 1.20 s | 1.00 s | 1.20 | 1.20–1.20 | 1.20 |")
    assert lines[2].endswith("| 1.3 | 1 | aim missed |")
    assert "| 0 |" in lines[3]
    assert lines[5:] == [
        "- 50 starts at once: records lost: of 50 starts",
        "- start, four no-op stages ÷ npm release: skipped, npm is not installed",
    ]


def test_a_line_says_whether_the_goal_is_met() -> None:
    """Each result is one line, also a skipped one."""
    assert "must missed (1.3 / 1)" in line(_result("start-nox", 1.4))
    assert line(Result("start-npm", skipped="no npm")).endswith("skipped: no npm")
    assert "\n" not in line(_result("start-nox", 1.4))


def test_a_result_as_json_keeps_its_samples() -> None:
    """Whoever doubts a figure can compute it again."""
    document = _result("start-nox", 1.2).document()
    assert document["figure"] == 1.2
    assert document["verdict"] == "aim missed"
    assert document["samples"]["ours"] == [[1.2, 1.2, False]] * 3


def test_only_what_stands_between_the_markers_changes() -> None:
    """The prose around stays, and writing twice is the same as once."""
    text = "# A\n\n<!-- t -->\nold\n<!-- /t -->\n\nprose\n"
    once = between(text, "t", "new\n")
    assert once == "# A\n\n<!-- t -->\n\nnew\n\n<!-- /t -->\n\nprose\n"
    assert between(once, "t", "new\n") == once


@pytest.mark.parametrize("text", ["", "<!-- t -->\n", "<!-- /t -->\n<!-- t -->\n", "<!-- t -->\n<!-- /t -->\n" * 2])
def test_a_page_without_its_markers_is_refused(text: str) -> None:
    """Nothing is written at a place that nobody marked."""
    with pytest.raises(ValueError, match="no single pair of lines"):
        between(text, "t", "new")


KEPT: dict[str, Any] = {"start-nox": {"paired": {"median": 1.0, "least": 1.0}}, "status-invoke": {"paired": None}}


def test_a_third_worse_is_found_and_a_quarter_is_not() -> None:
    """The limit is 30 % beyond the kept figure, of the median and of the minima."""
    assert worse(KEPT, [_result("start-nox", 1.25)]) == []
    assert "more than 1.3 times 1.00" in worse(KEPT, [_result("start-nox", 1.35)])[0]


def test_a_bad_median_alone_is_load() -> None:
    """Where the shortest times are as they were, the program is."""
    ours = [Sample(1.0, 1.0), Sample(2.0, 1.0), Sample(2.0, 1.0)]
    assert worse(KEPT, [Result.compared("start-nox", ours, [Sample(1.0, 1.0)] * 3)]) == []


def test_a_row_without_a_kept_or_a_new_figure_fails() -> None:
    """A check that compares nothing must not pass."""
    assert len(worse(KEPT, [_result("status-invoke", 1.0), Result("start-nox", skipped="gone")])) == 2


def test_the_check_measures_again_before_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """One bad measurement passes if the next is good; two fail."""
    good, bad = [_result("start-nox", 1.0)], [_result("start-nox", 100.0)]
    for script, code in (([good], 0), ([bad, good], 0), ([bad, bad], 1)):
        left = list(script)
        assert check(KEPT, partial(left.pop, 0)) == code
        assert left == []
    assert "100.00" in capsys.readouterr().out


def test_a_missing_peer_skips_its_rows_with_the_reason(tmp_path: Path) -> None:
    """Nothing of the row is measured, and nothing else is skipped."""
    bench = Bench(tmp_path, no_peers("no network"), 1, 1, frozenset({"start-npm"}))
    [result] = list(starting.measure(bench))
    assert (result.row, result.skipped) == ("start-npm", "no network")
    assert list(tmp_path.iterdir()) == []


def test_syncs_are_counted_once_though_calls_are_cut(tmp_path: Path) -> None:
    """Strace writes a call that another process interrupts in two lines."""
    told = tmp_path / "trace"
    lines = ("12 fsync(3) = 0", "13 fsync(4 <unfinished ...>", "12 fdatasync(5) = 0", "13 <... fsync resumed>) = 0")
    told.write_text("\n".join(lines) + "\n")
    assert syncs.traced(told) == 3


def test_a_profile_is_made_of_medians() -> None:
    """Phases missing in a run count as nothing there; the ends are what lies outside the program."""
    one = {"entered": 1.0, "left": 9.0, "began": 0.5, "ended": 10.0, "calls": {"syncs": 2}}
    profile = combined("start", [{**one, "seconds": {"syncs": each}} for each in (1.0, 2.0, 6.0)], [9.0])
    assert profile.seconds == {"syncs": 2.0, "interpreter's start": 0.5, "teardown": 1.0}
    assert (profile.whole, profile.unwatched) == (9.5, 9.0)
    assert "| syncs | 2000.0 | 21% | 2 |" in profile.markdown()


@pytest.mark.parametrize(
    ("name", "within", "expected"),
    [
        ("orchestrator.model.plan", "the rest", OURS),
        ("json", OURS, LIBRARY),
        ("nox.sessions", OURS, NOX),
        ("json", NOX, NOX),
        ("", LIBRARY, LIBRARY),
        ("", "stages", LIBRARY),
    ],
)
def test_imports_are_booked_on_whose_they_are(name: str, within: str, expected: str) -> None:
    """What nox brings in is nox's; what we take from the standard library is told apart from our own modules."""
    assert import_phase(name, within) == expected


def test_what_is_published_is_what_the_check_compares(tmp_path: Path) -> None:
    """The figures are read back by row, and the page keeps its prose."""
    (tmp_path / PAGE).write_text("before\n<!-- benchmark -->\n<!-- /benchmark -->\nafter\n")
    publish([_result("start-nox", 1.2), Result("start-npm", skipped="no npm")], tmp_path)
    assert worse(kept(tmp_path), [_result("start-nox", 1.2)]) == []
    assert len(worse(kept(tmp_path), [_result("start-nox", 1.6)])) == 1
    page = (tmp_path / PAGE).read_text()
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "| start, four no-op stages ÷ bare nox |" in page


def test_the_repository_holds_what_the_check_needs() -> None:
    """The figures that CI compares with are there, and the page has a place for both tables."""
    assert all(kept()[row]["paired"]["median"] > 0 for row in CHECKED)
    page = (DOCS / PAGE).read_text()
    assert between(page, "benchmark", "x") != between(page, "profile", "x")


@pytest.mark.parametrize("target", sorted(target for targets in PHASES.values() for target in targets))
def test_every_phase_is_a_function_that_is_there(target: str) -> None:
    """A function that was renamed would silently be booked on the rest."""
    module, _, name = target.partition(":")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)
