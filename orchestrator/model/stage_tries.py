"""Tries of stages: what each came to, and on which state of the codebase. They tell which stages are flaky."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.base import json_codec
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from orchestrator.model.manifest.command import Command

State: TypeAlias = "tuple[str, str | None, str | None]"
"""What a stage ran on: commit, tree and config; equal ones are the same work."""

_VERDICTS = {"success": True, "failure": False, "timeout": False}
"""Only these say something of the stage itself; a cancelled or broken attempt says nothing."""


class Try(Record):
    """One attempt of a stage, begun at ``started_at`` (ISO 8601)."""

    pipeline_id: str
    stage: str
    state: State
    started_at: str
    passed: bool
    run_id: str


def tries_of(record: Mapping[str, Any]) -> Iterator[Try]:
    """Yield the attempts of the stages of a run, by its manifest; those on a state that isn't known are left out.

    The record need not be sound: what is not as it should be is passed over.
    """
    states = {number: state for number, state in map(_state, _objects(record.get("provenance"))) if state is not None}
    for command in _objects(record.get("commands")):
        for attempt in _objects(command.get("attempts")):
            number, outcome, started = (attempt.get(key) for key in ("run_attempt", "outcome", "started_at"))
            state = states.get(number) if isinstance(number, int) else None
            if state is not None and isinstance(outcome, str) and outcome in _VERDICTS and isinstance(started, str):
                names = (str(record.get("pipeline_id")), str(command.get("id")))
                yield Try(*names, state, started, _VERDICTS[outcome], str(record.get("run_id")))


def tried_in(
    attempt: int, provenance: Sequence[Mapping[str, Any]], commands: Sequence[Command]
) -> dict[str, Any] | None:
    """Return what a metrics line says of the tries of one attempt of a run; None where there is nothing to say.

    ``state`` is as of a ``Try``; ``stages`` are lists of a stage's id, whether it passed, and when it was begun.
    """
    state = dict(map(_state, provenance)).get(attempt)
    stages = [
        [command.id, _VERDICTS[tried.outcome], tried.started_at]
        for command in commands
        for tried in command.attempts
        if tried.run_attempt == attempt and tried.outcome in _VERDICTS
    ]
    return None if state is None or not stages else {"stages": stages, "state": list(state)}


def tries_in(pipeline_id: str, run_id: str, tried: object) -> tuple[Try, ...]:
    """Return the tries that a metrics line names by its key ``tried``, none where that can't be read.

    Its value may be given as its JSON text (bytes), as which a hundred thousand take less room.
    """
    try:
        tried = json_codec.loads(tried) if isinstance(tried, bytes) else tried
        commit, tree, config = tried["state"]  # type: ignore[index]
        stages = tried["stages"]  # type: ignore[index]
        found = [
            Try(pipeline_id, stage, (commit, tree, config), begun, passed, run_id) for stage, passed, begun in stages
        ]
    except (KeyError, TypeError, ValueError):
        return ()
    texts = (text for one in found for text in (one.stage, one.started_at))
    sound = (
        isinstance(commit, str)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(one.passed, bool) for one in found)
        and all(part is None or isinstance(part, str) for part in (tree, config))
    )
    return tuple(found) if sound else ()


def failed_state(tried: object) -> object:
    """Return the state that a stage failed on, as the key ``tried`` of a metrics line has it; None where none did."""
    try:
        if isinstance(tried, bytes):
            if b", false, " not in tried:
                return None
            tried = json_codec.loads(tried)
        failed = any(passed is False for _, passed, _ in tried["stages"])  # type: ignore[index]
        return tuple(tried["state"]) if failed else None  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None


def _state(entry: Mapping[str, Any]) -> tuple[int, State | None]:
    commit, tree, config = (entry.get(key) for key in ("commit", "tree_digest", "config_digest"))
    number = entry.get("attempt")
    if not isinstance(commit, str) or not isinstance(number, int) or (tree is None and entry.get("dirty") is not False):
        return 0, None
    return number, (commit, str(tree) if tree else None, str(config) if config else None)


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
