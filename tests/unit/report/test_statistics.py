"""Metrics of a window: lines read from the end, ends told apart, figures, flaky stages, the gate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.clock import stamp
from orchestrator.model.manifest.transitions import closed, stage_skipped
from orchestrator.model.metrics_policy import MetricsPolicy, policy_of
from orchestrator.report.run_list.lines_from_end import lines_backwards
from orchestrator.report.statistics.flaky import flaky_stages, tries_of
from orchestrator.report.statistics.gate import gate_findings
from orchestrator.report.statistics.metrics_record import End, end_of, last_ends
from orchestrator.report.statistics.percentiles import median, percentile
from orchestrator.report.statistics.summary import project_summary
from orchestrator.store.metrics_line import metrics_line
from tests.records import START, TASK, make_manifest, make_run_id

MIDDLE = START + timedelta(days=3)


def read_from(data: bytes, reads: list[int] | None = None) -> Any:
    """Return a reader of ``data`` that notes how many bytes were read."""

    def read(offset: int, count: int) -> bytes:
        if reads is not None:
            reads.append(count)
        return data[offset : offset + count]

    return read


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=12), st.integers(1, 30))
def test_lines_come_back_to_front_whatever_the_block(lines: list[bytes], block: int) -> None:
    """The lines, reversed, are what splitting the file gives; what stands behind the last newline comes first."""
    data = b"\n".join(lines)
    assert list(lines_backwards(read_from(data), len(data), block=block)) == data.split(b"\n")[::-1]


@given(st.integers(1, 9), st.integers(0, 40))
def test_a_line_that_is_too_long_is_none(block: int, length: int) -> None:
    """A long line is told as one that can't be read, and its neighbours are not hurt."""
    data = b"ab\n" + b"x" * length + b"\ncd\n"
    expected = b"x" * length if length <= 12 else None
    assert list(lines_backwards(read_from(data), len(data), block=block, limit=12)) == [b"", b"cd", expected, b"ab"]


def test_only_what_is_asked_for_is_read() -> None:
    """The first lines from the end cost one block, however long the file is."""
    data = b"a line\n" * 100_000
    reads: list[int] = []
    lines = lines_backwards(read_from(data, reads), len(data), block=1000)
    assert [next(lines) for _ in range(3)] == [b"", b"a line", b"a line"]
    assert reads == [1000]


def line_of(number: int = 1, **changed: Any) -> dict[str, Any]:
    """Return the metrics line of a run that ended."""
    manifest = make_manifest(number)
    for command in manifest.commands:
        manifest = stage_skipped(manifest, command.id, "nothing to do")
    ended = closed(manifest, stamp(START + timedelta(days=1)), "success", None, None)
    return {**metrics_line(ended, stamp(START + timedelta(days=1))), **changed}


def end(number: int = 1, **changed: Any) -> End:
    """Return the end of a run whose guardrails were required, executed and passed."""
    found = end_of(json.dumps(line_of(number)).encode(), TASK)
    assert found is not None
    sound = replace(found, required=True, executed=True, passed=True, duration_seconds=10.0)
    return replace(sound, **changed)


def test_a_line_of_each_version_is_understood() -> None:
    """A line as it is written is read with its types; one of version 1 gets its outcome and knows no SLA."""
    found = end_of(json.dumps(line_of()).encode(), TASK)
    assert found is not None
    assert (found.project, found.outcome, found.attempt, found.breached) == ("hello", "success", 1, False)
    kept = ("run_id", "task_id", "status", "started_at", "completed_at", "duration_seconds", "guardrails_present")
    old = {key: value for key, value in line_of().items() if key in (*kept, "pipeline_id", "recorded_at")}
    one = end_of(json.dumps({**old, "status": "failed", "guardrails_present": True}).encode(), TASK)
    assert one is not None
    assert (one.project, one.outcome, one.attempt, one.breached, one.sla_seconds) == (None, "failure", None, None, None)
    assert (one.required, one.executed, one.passed) == (True, True, True)
    nightly = end_of(json.dumps({**old, "pipeline_id": "nightly"}).encode(), TASK)
    assert nightly is not None
    assert not nightly.required


@pytest.mark.parametrize(
    "changed",
    [
        {"task_id": "another"},
        {"attempt": 0},
        {"attempt": True},
        {"duration_seconds": -1},
        {"duration_seconds": float("nan")},
        {"duration_seconds": "1"},
        {"completed_at": "yesterday"},
        {"completed_at": "2026-11-22T08:00:00"},
        {"completed_at": None},
        {"outcome": None},
        {"guardrails_required": 1},
        {"event_id": None},
        {"run_id": ""},
        {"sla_seconds": 10**400},
    ],
)
def test_a_line_with_a_wrong_value_is_no_line(changed: dict[str, Any]) -> None:
    """A value of another kind makes the whole line unreadable, never a wrong figure."""
    assert end_of(json.dumps({**line_of(), **changed}).encode(), TASK) is None


@given(st.one_of(st.binary(max_size=60), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_no_line_breaks_the_reader(line: Any) -> None:
    """Whatever stands in a line, it is read or counted."""
    data = line if isinstance(line, bytes) else json.dumps({**line_of(), "run_id": line, "status": line}).encode()
    end_of(data, TASK)
    assert end_of(b"[" * 100_000, TASK) is None


def test_the_last_attempt_counts_and_events_count_once() -> None:
    """Of a run's lines the highest attempt counts, wherever it stands; a repeated event is counted as repeated."""
    first, second = end(1, attempt=1, event_id="a", outcome="failure"), end(1, attempt=2, event_id="b")
    for lines in ([second, first, first], [first, second, first]):
        last, repeated = last_ends(lines)
        assert (last, repeated) == ([second], 1)
    later, earlier = (end(1, attempt=None, event_id=None, outcome=word) for word in ("success", "failure"))
    assert last_ends([later, earlier]) == ([later], 0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_middle_and_high_values(values: list[float]) -> None:
    """Half of the values lie on each side of the median; nine tenths don't exceed p90, which is one of them."""
    middle, high = median(values), percentile(values, 0.9)
    assert middle is not None
    assert high in values
    assert sum(value <= middle for value in values) * 2 >= len(values) <= sum(value >= middle for value in values) * 2
    assert sum(value <= high for value in values) >= 0.9 * len(values) - 1e-9
    assert sum(value < high for value in values) < 0.9 * len(values)


def test_p90_of_ten_is_the_ninth() -> None:
    """Rounding of 0.9 times 10 moves no rank."""
    assert [percentile(range(1, count + 1), 0.9) for count in (1, 9, 10, 11, 20, 100)] == [1, 9, 9, 10, 18, 90]
    assert (median([]), percentile([], 0.9), median([1.0, 2.0])) == (None, None, 1.5)


def summary_of(ends: Sequence[End]) -> dict[str, Any]:
    """Return the figures of a project."""
    return project_summary("hello", ends, [], MIDDLE)


def test_guardrail_coverage_counts_only_runs_that_require_one() -> None:
    """Coverage is executed of required, pass rate passed of required; null when nothing required one."""
    ends = [
        end(1),
        end(2, passed=False),
        end(3, executed=False, passed=False),
        end(4, required=False, executed=False, passed=False),
    ]
    guardrails = summary_of(ends)["guardrails"]
    assert guardrails == {"runs": 3, "executed": 2, "passed": 1, "coverage": 0.6667, "pass_rate": 0.3333}
    assert summary_of(ends[3:])["guardrails"]["coverage"] is None
    assert summary_of([])["guardrails"]["coverage"] is None


def test_trend_compares_the_halves() -> None:
    """The later half's median against the earlier half's; null when one of them has no run."""
    early, late = MIDDLE - timedelta(days=1), MIDDLE + timedelta(days=1)
    ends = [end(1, completed_at=early), end(2, completed_at=late, duration_seconds=12.0)]
    trend = summary_of(ends)["duration"]["trend"]
    assert trend == {"earlier_median_seconds": 10.0, "later_median_seconds": 12.0, "change": 0.2}
    assert summary_of(ends[1:])["duration"]["trend"]["change"] is None
    pipelines = summary_of([*ends, end(3, pipeline_id="smoke", sla_seconds=None)])["pipelines"]
    assert [(part["pipeline_id"], part["runs"], part["sla_seconds"]) for part in pipelines] == [
        ("diagnostics", 2, 1800.0),
        ("smoke", 1, None),
    ]


def record_of(number: int, outcomes: Sequence[str], commit: str | None = "c1", **tree: Any) -> dict[str, Any]:
    """Return a manifest whose stage ``test`` had these outcomes, a minute apart, on one tree."""
    at = START + timedelta(hours=number)
    attempts = [
        {"run_attempt": 1, "outcome": outcome, "started_at": stamp(at + timedelta(minutes=place))}
        for place, outcome in enumerate(outcomes)
    ]
    return {
        "run_id": make_run_id(number),
        "pipeline_id": "diagnostics",
        "commands": [{"id": "test", "attempts": attempts}],
        "provenance": [{"attempt": 1, "commit": commit, "dirty": False, "tree_digest": "t1", **tree}],
    }


def flaky_of(*records: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the flaky stages of runs."""
    return flaky_stages(one for record in records for one in tries_of(record))


def test_flaky_is_failed_and_then_passed_on_the_same_state() -> None:
    """A retry that passes, and a later run that does, are turns; a repaired commit, tree or config is none."""
    (found,) = flaky_of(record_of(1, ["failure", "success"]), record_of(2, ["timeout"]), record_of(3, ["success"]))
    assert (found["stage"], found["times"], found["commits"]) == ("test", 2, 1)
    assert found["runs"] == [make_run_id(1), make_run_id(2)]
    for changed in ({"commit": "c2"}, {"tree_digest": "t2"}, {"config_digest": "x"}):
        commit = changed.pop("commit", "c1")
        assert flaky_of(record_of(1, ["failure"]), record_of(2, ["success"], commit, **changed)) == []
    assert flaky_of(record_of(1, ["success"]), record_of(2, ["failure"])) == []
    assert flaky_of(record_of(1, ["error", "cancellation", "success"])) == []


def test_a_guard_that_judges_more_than_the_tree_is_not_called_flaky() -> None:
    """A spec, an approval or a repaired record makes spec-guard pass on the same commit: that is its work."""
    records = [record_of(1, ["failure"]), record_of(2, ["success"])]
    for record in records:
        record["commands"][0]["id"] = "spec-guard"
    assert flaky_of(*records) == []


def test_what_ran_on_an_unknown_tree_is_not_called_flaky() -> None:
    """Without a commit, or with changes that no digest covers, nothing is known to be the same."""
    assert flaky_of(record_of(1, ["failure", "success"], None)) == []
    assert flaky_of(record_of(1, ["failure", "success"], dirty=True, tree_digest=None)) == []
    assert len(flaky_of(record_of(1, ["failure", "success"], dirty=False, tree_digest=None))) == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda item: (
            st.lists(item) | st.dictionaries(st.sampled_from(["id", "attempts", "attempt", "commit", "outcome"]), item)
        ),
    )
)
def test_a_damaged_record_is_passed_over(part: Any) -> None:
    """Whatever stands in the place of stages and trees, nothing is raised."""
    list(tries_of({"commands": part, "provenance": part}))
    list(tries_of({**record_of(1, ["failure"]), "provenance": [part], "commands": [part]}))


def gate_of(ends: Sequence[End], records: dict[str, Any] | None = None, **policy: Any) -> list[dict[str, Any]]:
    """Return what the gate finds."""
    return gate_findings("hello", summary_of(ends), ends, records or {}, MetricsPolicy(**policy))


def test_the_gate_at_its_limits() -> None:
    """Exactly 90 % is enough, a run less is not; without a guarded run it is never met."""
    bad = [end(number, executed=False) for number in (1, 2)]
    good = [end(number) for number in range(3, 12)]
    assert gate_of([bad[0], *good]) == []
    assert [one["code"] for one in gate_of([*bad, *good[:8]])] == ["coverage-low"]
    assert [one["code"] for one in gate_of([])] == ["no-guarded-runs"]
    assert [one["code"] for one in gate_of([end(1, required=False)])] == ["no-guarded-runs"]
    assert gate_of([*bad, *good[:8]], min_coverage=0.8) == []


def test_the_gate_keeps_the_sla_budget() -> None:
    """One breach in ten is within the budget, two are not; a budget of nothing allows none."""
    slow = [end(number, breached=True) for number in (1, 2)]
    fast = [end(number) for number in range(3, 12)]
    assert gate_of([slow[0], *fast]) == []
    assert [one["code"] for one in gate_of([*slow, *fast[:8]])] == ["sla-budget-exceeded"]
    assert [one["code"] for one in gate_of([slow[0], *fast], sla_budget=0.0)] == ["sla-budget-exceeded"]
    assert gate_of(slow, sla_budget=1.0) == []


def test_the_gate_names_runs_and_stages() -> None:
    """The runs come latest first, with the guardrails that reached no verdict, and the slowest stage."""
    ends = [
        end(1, executed=False),
        end(2, executed=False, breached=True, completed_at=datetime.fromisoformat("2026-11-30T00:00:00+00:00")),
    ]
    entries = [
        {"id": "spec-guard", "required": True, "outcome": "skipped"},
        {"id": "licences", "required": True, "outcome": "failed"},
        {"id": "extra", "required": False, "outcome": "missing"},
    ]
    records = {make_run_id(2): {"guardrails": entries, "sla": {"slowest_stage": "test"}}, make_run_id(1): {"sla": 3}}
    low, over = gate_of(ends, records)
    assert [(run["run_id"], run["stages"]) for run in low["runs"]] == [
        (make_run_id(2), ["spec-guard"]),
        (make_run_id(1), []),
    ]
    assert [run["stages"] for run in over["runs"]] == [["test"]]


@pytest.mark.parametrize("table", [[], {"x": 1}, {"min_coverage": 2}, {"sla_budget": -0.1}, {"sla_budget": True}])
def test_a_policy_that_can_not_be_read_is_not_none(table: Any) -> None:
    """What the validator refuses, the light reading refuses too."""
    with pytest.raises(ValueError):
        policy_of({"metrics": table})
    assert policy_of({"metrics": {"min_coverage": 1}}) == MetricsPolicy(1, 0.1)
    assert policy_of({}) == MetricsPolicy(0.9, 0.1)
