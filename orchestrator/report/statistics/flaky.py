"""Flaky stages: what failed and then passed although nothing had changed, from the manifests of runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_VERDICTS = {"success": True, "failure": False, "timeout": False}
"""Only these say something of the stage itself; a cancelled or broken attempt says nothing."""

MOST_RUNS = 5


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of a stage. ``state`` is what it ran on: commit, tree and config; equal ones are the same work."""

    pipeline_id: str
    stage: str
    state: tuple[str, str | None, str | None]
    started_at: str
    passed: bool
    run_id: str


def tries_of(record: Mapping[str, Any]) -> Iterator[Try]:
    """Yield the attempts of the stages of a run, by its manifest; those on a state that isn't known are left out.

    The record need not be sound: what is not as it should be is passed over.
    """
    states = {attempt: state for attempt, state in map(_state, _objects(record.get("provenance"))) if state is not None}
    for command in _objects(record.get("commands")):
        for attempt in _objects(command.get("attempts")):
            number, outcome, started = (attempt.get(key) for key in ("run_attempt", "outcome", "started_at"))
            state = states.get(number) if isinstance(number, int) else None
            if state is not None and isinstance(outcome, str) and outcome in _VERDICTS and isinstance(started, str):
                names = (str(record.get("pipeline_id")), str(command.get("id")))
                yield Try(*names, state, started, _VERDICTS[outcome], str(record.get("run_id")))


def _state(entry: Mapping[str, Any]) -> tuple[int, tuple[str, str | None, str | None] | None]:
    commit, tree, config = (entry.get(key) for key in ("commit", "tree_digest", "config_digest"))
    number = entry.get("attempt")
    if not isinstance(commit, str) or not isinstance(number, int) or (tree is None and entry.get("dirty") is not False):
        return 0, None
    return number, (commit, str(tree) if tree else None, str(config) if config else None)


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def flaky_stages(tries: Iterable[Try]) -> list[dict[str, Any]]:
    """Return the stages that failed, and later passed on the same state, the most often first.

    ``times`` counts the changes from failed to passed, ``commits`` the commits that it happened on, ``runs``
    are the last five in which the stage failed before it passed.
    """
    stories: dict[tuple[str, str], dict[tuple[str, str | None, str | None], list[Try]]] = {}
    for one in sorted(tries, key=lambda one: (one.started_at, one.run_id)):
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
