"""What the events of an attempt say of its end, and whether a record says the same.

Events are written as things happen, the record is written over them. So a record may say less than its events,
as one whose process died, but never that something succeeded which the events don't know to have succeeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base import json_codec
from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.record import Record
from orchestrator.model.manifest.command import Command
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.outcome import STAGE_STATUS_OF
from orchestrator.store.layout import ERRORS, EVENTS, error_name
from orchestrator.store.run_files import names_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


END = "run:end"
INTERRUPTED_END = "run:interrupted"
LINKED = "child:linked"
_LINKED_MARK = b'"child:linked"'
OUTPUTS = "stage:outputs"
"""What a stage that may be reused made: the digest of its declared outputs."""

_LINE_LIMIT = 1 << 20
_FORGIVEN = frozenset({"failure", "timeout"})
"""Outcomes that ``allow_failure`` allows: the stage's status is skipped then (``transitions.stage_ended``)."""

Event: TypeAlias = "Mapping[str, Any]"


class AttemptEvents(Record):
    """The last word of the events of one attempt: on its end (None: there is none), and on each stage."""

    end: Event | None
    stages: Mapping[str, Event]


def read_events(folder: Folder) -> Iterator[Event]:
    """Yield the events of a run, oldest first; a line that is none, and a torn last one, are left out."""
    with suppress(FileNotFoundError, StorageError), open(folder.open_read(EVENTS), "rb") as file:
        for line in iter(lambda: file.readline(_LINE_LIMIT), b""):
            with suppress(ValueError, RecursionError):
                event = json_codec.loads(line)
                if isinstance(event, dict) and line.endswith(b"\n"):
                    yield event


def children_left_out(folder: Folder, child_runs: object) -> Iterator[str]:
    """Yield that ``child_runs`` of a record lack children which its events link, under the stage that these name.

    No digest covers that list, which grows after a run's end: that it does not shrink follows from the events.
    """
    known = {
        (str(child.get("run_id")), str(child.get("stage_id")))
        for child in (child_runs if isinstance(child_runs, list) else ())
        if isinstance(child, dict)
    }
    for run_id, stage in _linked_children(folder):
        if (run_id, stage) not in known:
            yield f"child run '{run_id}', which its events link, is not among its child runs"


def _linked_children(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield id and stage of each child run that the events link; other lines are not parsed."""
    with suppress(FileNotFoundError, StorageError), open(folder.open_read(EVENTS), "rb") as file:
        for line in iter(lambda: file.readline(_LINE_LIMIT), b""):
            if _LINKED_MARK in line:
                with suppress(ValueError, RecursionError):
                    event = json_codec.loads(line)
                    if isinstance(event, dict) and event.get("type") == LINKED:
                        yield str(event.get("child_run_id")), str(event.get("stage"))


def last_number(folder: Folder, attempt: int) -> int:
    """Return the number of the last event of an attempt, 0 when there is none."""
    numbers = (event.get("seq") for event in read_events(folder) if event.get("attempt") == attempt)
    return max((number for number in numbers if isinstance(number, int)), default=0)


def by_attempt(events: Iterable[Event]) -> dict[int, AttemptEvents]:
    """Return the last words of each attempt."""
    ends: dict[int, Event] = {}
    stages: dict[int, dict[str, Event]] = {}
    for event in events:
        attempt, kind, stage = event.get("attempt"), event.get("type"), event.get("stage")
        if not isinstance(attempt, int):
            continue
        said = stages.setdefault(attempt, {})
        if kind in ("stage:end", "stage:skip") and isinstance(stage, str):
            said[stage] = event
        elif kind in (END, INTERRUPTED_END):
            ends[attempt] = event
            if kind == INTERRUPTED_END:
                said.update(_as_closed(event.get("stages")))
    return {attempt: AttemptEvents(ends.get(attempt), said) for attempt, said in stages.items()}


def _as_closed(stages: object) -> dict[str, Event]:
    """Return what an interruption says of the stages that it closed: id to outcome."""
    if not isinstance(stages, dict):
        return {}
    return {
        name: {"type": "stage:skip" if outcome == "skip" else "stage:end", "outcome": outcome}
        for name, outcome in stages.items()
    }


NOTHING = AttemptEvents(None, {})


def succeeded(command: Command, attempts: Mapping[int, AttemptEvents]) -> bool:
    """Tell whether the events say that a stage succeeded, or was reused, in the attempt that the record says."""
    if command.reused is not None:
        said = [events.stages[command.id] for events in attempts.values() if command.id in events.stages]
        return bool(said) and said[-1].get("reused_from") == command.reused.run_id
    if not command.attempts:
        return False
    event = attempts.get(command.attempts[-1].run_attempt, NOTHING).stages.get(command.id)
    return event is not None and event.get("type") == "stage:end" and event.get("outcome") == "success"


def unproved(manifest: Manifest, attempts: Mapping[int, AttemptEvents]) -> tuple[str, ...]:
    """Return the stages whose success the record has, and the events have not."""
    passed = (command for command in manifest.commands if command.status == "succeeded" or command.reused is not None)
    return tuple(command.id for command in passed if not succeeded(command, attempts))


def contradictions(manifest: Manifest, attempts: Mapping[int, AttemptEvents], folder: Folder) -> Iterator[str]:
    """Yield each point in which an ended record says another thing than its events and its error files.

    Events that end earlier are none: what they lack of a success is ``unproved``.
    """
    events = attempts.get(manifest.attempt, NOTHING)
    if events.end is not None:
        yield from _of_the_end(manifest, events.end)
    notes = frozenset(names_in(folder, (ERRORS,)))
    for command in manifest.commands:
        event = events.stages.get(command.id)
        if event is not None:
            yield from _of_a_stage(manifest, command, event)
        if command.status == "succeeded" and f"{ERRORS}/{error_name(command.index, command.id)}" in notes:
            yield from _of_an_error_file(command, folder)


def _of_the_end(manifest: Manifest, end: Event) -> Iterator[str]:
    for key, value in (("status", manifest.status), ("outcome", manifest.outcome)):
        if key in end and end[key] != value:
            yield f"its {key} is {value}, and its events say {end[key]}"


def _of_a_stage(manifest: Manifest, command: Command, event: Event) -> Iterator[str]:
    if event.get("type") == "stage:skip":
        if command.outcome != "skip":
            yield f"stage '{command.id}' ended with {command.outcome}, and its events say that it did not run"
        return
    if command.outcome == "error":
        return  # the runner broke, and could not always say so
    ran_here = bool(command.attempts) and command.attempts[-1].run_attempt == manifest.attempt
    if not ran_here and command.outcome == "skip":
        yield f"stage '{command.id}' did not run, and its events say {event.get('outcome')}"
        return
    for key, value in (("outcome", command.outcome), ("exit_code", command.exit_code), ("signal", command.signal)):
        if key in event and event[key] != value:
            yield f"stage '{command.id}' has {key} {value}, and its events say {event[key]}"
    outcome = command.outcome
    fitting = {STAGE_STATUS_OF[outcome], "skipped" if outcome in _FORGIVEN else ""} if outcome else set()
    if command.status not in fitting:
        yield f"stage '{command.id}' is {command.status} with outcome {outcome}"


def _of_an_error_file(command: Command, folder: Folder) -> Iterator[str]:
    """A stage that succeeded has an error file of an earlier try at most."""
    name = error_name(command.index, command.id)
    with suppress(FileNotFoundError, StorageError, ValueError, RecursionError), folder.sub(ERRORS) as errors:
        note = json_codec.loads(errors.read(name, _LINE_LIMIT))
        written = note.get("created_at") if isinstance(note, dict) else None
        if isinstance(written, str) and command.started_at is not None and written > command.started_at:
            yield f"stage '{command.id}' succeeded, and its error file '{ERRORS}/{name}' says that it did not"
