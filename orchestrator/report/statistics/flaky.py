"""Flaky stages: what failed and then passed although nothing had changed, from the tries of stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from orchestrator.model.builtin_guard import GUARD
from orchestrator.model.stage_tries import State, Try, tries_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ("MOST_RUNS", "Try", "flaky_stages", "tries_of")

MOST_RUNS = 5


def flaky_stages(tries: Iterable[Try]) -> list[dict[str, Any]]:
    """Return the stages that failed, and later passed on the same state, the most often first.

    ``times`` counts the changes from failed to passed, ``commits`` the commits that it happened on, ``runs``
    are the last five in which the stage failed before it passed. The spec guard is none: it judges specs, reviews,
    checklists and records, which change while commit and tree of the project stay.
    """
    stories: dict[tuple[str, str], dict[State, list[Try]]] = {}
    judged = (one for one in tries if one.stage != GUARD)
    for one in sorted(judged, key=lambda one: (one.started_at, one.run_id)):
        stories.setdefault((one.pipeline_id, one.stage), {}).setdefault(one.state, []).append(one)
    found = []
    for (pipeline_id, stage), by_state in stories.items():
        turns = [(state[0], failed) for state, story in by_state.items() for failed in _failed_then_passed(story)]
        if turns:
            runs = sorted({failed.run_id for _, failed in turns})[-MOST_RUNS:]
            times = len(turns)
            commits = len({commit for commit, _ in turns})
            found.append({"pipeline_id": pipeline_id, "stage": stage, "times": times, "commits": commits, "runs": runs})
    return sorted(found, key=lambda entry: (-entry["times"], entry["pipeline_id"], entry["stage"]))


def _failed_then_passed(story: list[Try]) -> Iterator[Try]:
    for before, after in pairwise(story):
        if after.passed and not before.passed:
            yield before
