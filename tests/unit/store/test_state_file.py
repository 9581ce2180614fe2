"""``state.json``: what is added to it, and that no damaged one is gone on from."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.model.manifest.transitions import closed
from orchestrator.store.state_file import KEPT_RUNS, added, entry_of, is_countable, is_readable, rebuilt
from tests.generated import examples
from tests.records import PROJECT, TASK, make_manifest

ENDED_AT = "2026-11-22T09:00:00.000Z"


def ended(number: int, outcome: Any = "success") -> dict[str, Any]:
    """Return the manifest of the ``number``-th run after its end."""
    manifest = closed(make_manifest(number), ENDED_AT, outcome, None, "")
    return manifest._replace(metrics_recorded=True).as_json()


def state_of(*numbers: int) -> dict[str, Any]:
    """Return the state of some runs that succeeded."""
    return rebuilt(TASK, PROJECT, 0, [ended(number) for number in numbers])


def test_adding_one_by_one_is_the_same_as_rebuilding() -> None:
    """The fold of runs as they end is, but for its revision, the fold of all their manifests."""
    state = rebuilt(TASK, PROJECT, 0, [])
    for number in (2, 1, 3):
        after = added(state, entry_of(ended(number)), certain=True)
        assert after is not None
        state = after
    whole = state_of(1, 2, 3)
    assert {**state, "revision": 0} == {**whole, "revision": 0}
    assert [run["startedAt"] for run in whole["runs"]] == sorted(run["startedAt"] for run in whole["runs"])


def test_adding_twice_changes_nothing() -> None:
    """A publication that is repeated after a crash leaves the state as it is."""
    state = state_of(1, 2)
    assert added(state, entry_of(ended(2)), certain=False) is state


def test_a_resumed_run_is_counted_once_by_its_last_end() -> None:
    """The entry of an earlier attempt is replaced, and the totals follow."""
    state = rebuilt(TASK, PROJECT, 0, [ended(1, "failure")])
    after = added(state, entry_of({**ended(1), "attempt": 2}), certain=True)
    assert after is not None
    assert after["totals"] == {"runs": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert [run["attempt"] for run in after["runs"]] == [2]


def test_a_run_that_the_state_may_have_dropped_is_not_guessed() -> None:
    """A run that is unknown, and may have been counted before, is left to a rebuild."""
    assert added(state_of(2), entry_of(ended(1)), certain=False) is None


def test_only_the_last_runs_are_listed_and_all_are_counted() -> None:
    """With more runs than are kept, the oldest leave the list and stay in the totals."""
    state = state_of(*range(KEPT_RUNS + 5))
    assert (len(state["runs"]), state["totals"]["runs"]) == (KEPT_RUNS, KEPT_RUNS + 5)


@pytest.mark.parametrize(
    "key", ["run_id", "outcome", "started_at", "completed_at", "artifact_root", "attempt", "status"]
)
@pytest.mark.parametrize("value", [None, [], {}, "absent"])
def test_a_damaged_manifest_is_left_out(key: str, value: object) -> None:
    """A record whose fields have other types than they should is not counted, and raises nothing."""
    document = ended(1)
    document[key] = value
    if value == "absent":
        del document[key]
    assert is_countable(ended(1))
    assert not is_countable(document)


@pytest.mark.parametrize(("key", "value"), [("lastRunAt", 5), ("project", 1), ("revision", True), ("runs", {})])
def test_a_state_with_a_field_of_another_type_is_unreadable(key: str, value: object) -> None:
    """A wrong type is told before it can raise in the middle of publishing a run."""
    assert is_readable(state_of(1), TASK)
    assert not is_readable({**state_of(1), key: value}, TASK)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=examples(150))
@given(data=st.data(), value=JSON)
def test_whatever_stands_in_a_state_it_is_unreadable_or_can_be_gone_on_from(data: st.DataObject, value: Any) -> None:
    """A state with any value in any place is either told to be unreadable, or a run can be added to it."""
    state = copy.deepcopy(state_of(1, 2))
    place: Any = data.draw(st.sampled_from([state, state["totals"], state["runs"][0], state["runs"][1]]))
    place[data.draw(st.sampled_from(sorted(place)))] = value
    if is_readable(state, TASK):
        after = added(state, entry_of(ended(3)), certain=True)
        assert after is not None
        assert is_readable(after, TASK)
    for other in (value, {**state, "runs": value}):
        assert isinstance(is_readable(other, TASK), bool)
