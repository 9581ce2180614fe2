"""The order of the queue: who may run now, and where everybody else stands."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.queue import Entry, Limit, QueueLimits, called, crowded, in_line, standing


def entry(number: int, project: str = "alpha", *, runs: bool = False, priority: int = 0, **limits: int | None) -> Entry:
    """Return the entry of the run ``r<number>``."""
    found = {"project_limit": None, "workspace_limit": None, **limits}
    return Entry(f"r{number}", "10-x", project, priority, number, runs, **found)


ENTRIES = st.lists(
    st.builds(
        lambda project, priority, runs, of_project, of_all: (project, priority, runs, of_project, of_all),
        st.sampled_from(["alpha", "beta", "gamma"]),
        st.integers(-9, 9),
        st.booleans(),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([None, 1, 3]),
    ),
    max_size=12,
).map(
    lambda rows: [
        Entry(f"r{number}", "10-x", project, priority, number, runs, of_project, of_all)
        for number, (project, priority, runs, of_project, of_all) in enumerate(rows)
    ]
)


@given(ENTRIES)
def test_no_limit_is_exceeded_and_no_place_stays_empty(before: list[Entry]) -> None:
    """A place is given only within both limits of the run that gets it, and whoever still waits is held up by one."""
    after = called(before)
    held: Counter[str] = Counter(one.project for one in before if one.runs)
    total = held.total()
    given_now = [one for one in in_line(before) if next(x for x in after if x.run_id == one.run_id).runs]
    for one in given_now:
        assert one.project_limit is None or held[one.project] < one.project_limit
        assert one.workspace_limit is None or total < one.workspace_limit
        held[one.project] += 1
        total += 1
    for one in in_line(after):
        assert held[one.project] >= (one.project_limit or 99) or total >= (one.workspace_limit or 99)
        assert standing(after, one.run_id) is not None
    assert called(after) == after


@given(ENTRIES)
def test_nobody_of_the_same_limits_is_overtaken(before: list[Entry]) -> None:
    """Of two runs with the same limits in one project, the one that is first in line gets its place first."""
    after = {one.run_id: one.runs for one in called(before)}
    line = in_line(before)
    for place, first in enumerate(line):
        for later in line[place + 1 :]:
            same = (first.project, first.project_limit, first.workspace_limit)
            if same == (later.project, later.project_limit, later.workspace_limit):
                assert after[first.run_id] or not after[later.run_id]


def test_a_run_that_another_limit_holds_back_is_passed() -> None:
    """A run of a full project keeps no place of the workspace free."""
    entries = [
        entry(1, runs=True),
        entry(2, project_limit=1, workspace_limit=2),
        entry(3, "beta", workspace_limit=2),
    ]
    after = called(entries)
    assert [one.run_id for one in after if one.runs] == ["r1", "r3"]
    assert standing(after, "r2").detail == "waits for 1 run of alpha; 1st in line"  # type: ignore[union-attr]


def test_who_was_given_a_place_is_not_overtaken_by_a_higher_priority() -> None:
    """A place that is free belongs to who waits for it, from the moment that somebody looks."""
    given_first = called([entry(1, project_limit=1)])
    after = called([*given_first, entry(2, priority=9, project_limit=1)])
    assert [one.run_id for one in after if one.runs] == ["r1"]


def test_the_words_of_a_standing() -> None:
    """The number is of the runs that hold places of the limit that is full; the line counts its waiters."""
    entries = [entry(1, runs=True), entry(2, "beta", runs=True)]
    entries += [entry(number, f"p{number}", workspace_limit=2) for number in range(3, 26)]
    details = [standing(entries, f"r{number}") for number in range(3, 26)]
    words = [one.detail for one in details if one is not None]
    assert words[0] == "waits for 2 runs of this workspace; 1st in line"
    ordinals = [text.split("; ")[1].split()[0] for text in words]
    assert ordinals[:4] == ["1st", "2nd", "3rd", "4th"]
    assert ordinals[10:13] == ["11th", "12th", "13th"]
    assert ordinals[20:] == ["21st", "22nd", "23rd"]


def test_how_many_may_wait() -> None:
    """Each limit counts its own waiters; what has no limit of running runs has none of waiting ones."""
    waiting = [entry(1), entry(2, "beta")]
    assert crowded(waiting, QueueLimits(Limit(1, 2), Limit(5, 3)), "alpha") is None
    assert "runs of 'alpha' wait as may: 1" in str(crowded(waiting, QueueLimits(Limit(1, 1), Limit()), "alpha"))
    assert "of this workspace" in str(crowded(waiting, QueueLimits(Limit(), Limit(5, 2)), "alpha"))
    assert crowded(waiting, QueueLimits(Limit(None, 0), Limit(None, 0)), "alpha") is None
