"""Which runs are kept: every reason by itself, and what holds of any runs and rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.clock import stamp
from orchestrator.model.retention import DAY, Decided, RetentionRules, RunFacts, days, decide

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RULES = RetentionRules(keep_last=2, keep_within=90 * DAY, keep_failed=365 * DAY, logs_within=30 * DAY)


def run(number: int, age_days: float, status: str = "succeeded", **more: object) -> RunFacts:
    """Return the ``number``-th run, which began and ended so many days ago."""
    at = stamp(NOW - timedelta(days=age_days))
    facts = RunFacts(name(number), "1-x", "x", "diagnostics", status, at, at)
    return facts._replace(**more)


def name(number: int) -> str:
    """Return the id of the ``number``-th run."""
    return f"run-{number:03d}"


def old(*numbers: int) -> list[RunFacts]:
    """Return runs that no span keeps."""
    return [run(number, 1000 - number) for number in numbers]


def decided(*runs: RunFacts, rules: RetentionRules = RULES, logs_only: bool = False) -> Decided:
    """Return what is decided of runs by one set of rules."""
    return decide(runs, lambda project: rules, NOW, logs_only=logs_only)


def test_the_last_of_each_project_and_pipeline_stay() -> None:
    """As many as the rules say of each task, project and pipeline, by their starts."""
    smoke = [run(10 + number, 800 - number, pipeline_id="smoke") for number in range(3)]
    other = [run(20 + number, 900 - number, task_id="2-y") for number in range(3)]
    seen = decided(*old(1, 2, 3, 4), *smoke, *other)
    assert seen.records == {name(1), name(2), name(10), name(20)}
    assert seen.kept[name(3)] == ("one of the last 2 of x, diagnostics",)


def test_the_last_that_succeeded_and_that_failed_stay() -> None:
    """However many cancelled runs came after them."""
    ends = [run(1, 990, "failed"), run(2, 980, "failed"), run(3, 970), run(4, 960)]
    seen = decided(*ends, *(run(number, 900 - number, "cancelled") for number in range(5, 9)))
    assert seen.records == {name(1), name(3), name(5), name(6)}
    assert seen.kept[name(2)] == ("the last of x, diagnostics that failed",)
    assert seen.kept[name(4)] == ("the last of x, diagnostics that succeeded",)


def test_spans_keep_records_and_logs() -> None:
    """What ended lately stays whole, later only its record, and a failed one longer."""
    runs = [run(1, 5), run(2, 60), run(3, 120), run(4, 120, "failed"), run(5, 400, "failed")]
    last = [run(90 + number, 1 - number / 10) for number in range(3)] + [run(99, 0.5, "failed")]
    seen = decided(*runs, *last)
    assert seen.records == {name(3), name(5)}
    assert seen.logs == {name(2), name(4)}
    assert seen.kept[name(1)] == ("ended within 90d",)
    logs = decided(*runs, *last, logs_only=True)
    assert not logs.records
    assert logs.logs == {name(2), name(3), name(4), name(5)}
    assert logs.kept[name(1)] == ("ended within 30d",)


def test_logs_go_once() -> None:
    """A run whose logs are gone is kept, and named no more."""
    seen = decided(run(1, 60, has_logs=False), *(run(number, 1) for number in range(2, 5)))
    assert seen.logs == frozenset()
    assert name(1) in seen.kept
    only = decided(run(1, 60, has_logs=False), *(run(number, 1) for number in range(2, 5)), logs_only=True)
    assert only.kept[name(1)] == ("its logs were pruned",)


def test_what_is_held_stays_whole() -> None:
    """Whatever the rules say, at both levels, and with every reason."""
    seen = decided(*old(2, 3, 4), run(1, 999, holds=("a ticked item cites it", "a key names it")))
    assert seen.kept[name(1)] == ("a ticked item cites it", "a key names it")
    assert seen.records == {name(2)}


def test_a_run_that_has_not_ended_has_no_age() -> None:
    """It is held by its state; no rule finds it old."""
    seen = decided(*old(2, 3, 4), run(1, 999, "in_progress", completed_at=None, holds=("it has not ended",)))
    assert seen.kept[name(1)] == ("it has not ended",)


def test_a_run_of_the_future_is_not_old() -> None:
    """A clock that was ahead makes no run prunable, at no level."""
    seen = decided(run(1, -400), *(run(number, 1) for number in range(2, 6)))
    assert name(1) in seen.kept


def test_families_stay_together() -> None:
    """Parents, roots and children of a kept run stay, whichever end names the other, and what a stage cites."""
    runs = [
        run(1, 999),
        run(2, 998, relatives=(name(1),)),
        run(3, 997, relatives=(name(2), name(1)), holds=("a key names it",)),
        run(4, 996, cited=(name(6),)),
        run(5, 995, relatives=(name(1),)),
        run(6, 994),
        run(7, 993),
    ]
    seen = decided(*runs, run(8, 2), run(9, 1, cited=(name(4),)))
    assert seen.records == {name(7)}
    assert seen.kept[name(6)] == (f"a stage of it is cited by {name(4)}",)
    assert seen.kept[name(5)][0].startswith("of the family of")


def test_projects_have_rules_of_their_own() -> None:
    """Each run is judged by the rules of its project."""
    mine = [run(number, 100 + number, project="a") for number in range(5)]
    yours = [run(10 + number, 100 + number, project="b") for number in range(5)]
    seen = decide([*mine, *yours], lambda project: RULES._replace(keep_last=4 if project == "a" else 1), NOW)
    assert seen.records == {name(4), name(11), name(12), name(13), name(14)}


@pytest.mark.parametrize(("seconds", "text"), [(90 * DAY, "90d"), (36 * 3600.0, "36h"), (0.0, "0s"), (90.0, "90s")])
def test_spans_are_shown_as_they_are_typed(seconds: float, text: str) -> None:
    """Days, hours, minutes or seconds."""
    assert days(seconds) == text


facts = st.builds(
    lambda number, age, status, pipeline, relatives, cited, holds, logs: run(
        number, age, status, pipeline_id=pipeline, holds=holds, has_logs=logs,
        relatives=tuple(map(name, relatives)), cited=tuple(map(name, cited)),
    ),
    st.integers(0, 30), st.floats(-100, 500), st.sampled_from(["succeeded", "failed", "cancelled"]),
    st.sampled_from(["diagnostics", "smoke"]), st.lists(st.integers(0, 30), max_size=2),
    st.lists(st.integers(0, 30), max_size=2), st.sampled_from([(), ("held",)]), st.booleans(),
)  # fmt: skip


@given(st.lists(facts, max_size=20, unique_by=lambda one: one.run_id), st.integers(1, 5), st.booleans())
def test_whatever_runs_there_are(runs: list[RunFacts], last: int, logs_only: bool) -> None:
    """Each run is in one of the three; no kept run rests on a pruned one; deciding again changes nothing."""
    rules = RULES._replace(keep_last=last)
    seen = decided(*runs, rules=rules, logs_only=logs_only)
    every = {one.run_id for one in runs}
    assert seen.records | seen.logs | seen.kept.keys() == every
    assert len(seen.records) + len(seen.logs) + len(seen.kept) == len(every)
    assert all(why for why in seen.kept.values())
    left = [one for one in runs if one.run_id not in seen.records]
    for one in left:
        assert not seen.records & {*one.relatives, *one.cited}
    assert not logs_only or not seen.records
    pruned = [one._replace(has_logs=one.has_logs and one.run_id not in seen.logs) for one in left]
    again = decided(*pruned, rules=rules, logs_only=logs_only)
    assert (again.records, again.logs) == (frozenset(), frozenset())
