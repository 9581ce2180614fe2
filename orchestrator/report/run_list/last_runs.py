"""The last ended run of each project, and what fleets left out: by the tasks' metrics, and records still open."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base.clock import stamp
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.record import Record
from orchestrator.model.fleet import KIND, is_fleet
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.model.outcome import TERMINAL
from orchestrator.report.run_list.chained_ends import chained_ends
from orchestrator.report.run_list.lines_from_end import file_backwards
from orchestrator.store.find import is_alive, open_runs, read_document, task_ids
from orchestrator.store.layout import METRICS, Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ASIDE = frozenset({"canary", "exec"})
"""Reserved pipelines, whose runs are no project's last one."""


class EndedRun(Record):
    """A run that has ended, by its last attempt; ``is_fleet`` for one of many projects.

    ``placed_at`` is what it is sorted by: ``completed_at``, but never behind what was recorded after it.
    ``is_proved`` is False when its task's chain has no such end.
    """

    project: str
    task_id: str
    run_id: str
    pipeline_id: str
    status: str
    outcome: str | None
    completed_at: str
    placed_at: str
    is_fleet: bool = False
    is_proved: bool = True

    @property
    def where(self) -> Location:
        """Where its record is."""
        return Location(self.task_id, self.run_id)


def ended_runs(store: RunStore, pipeline: str | None = None) -> list[EndedRun]:
    """Return every ended run that began, of ``pipeline`` or of all, the last one to end first.

    A run whose process died counts as ended. What was recorded later ended later, whatever a clock said then.
    An end that the chain knows counts as the chain has it, also where the metrics lost or changed its line. What
    can't be read is passed over.
    """
    found: dict[str, EndedRun] = {}
    for task_id in task_ids(store):
        with suppress(StorageError):
            for run in (*_interrupted(store, task_id), *_recorded(store, task_id)):
                if pipeline in (None, run.pipeline_id) and run.pipeline_id not in _ASIDE:
                    found.setdefault(run.run_id, run)
    # Of one task the later ones come first already, and the sort is stable.
    return sorted(found.values(), key=lambda run: run.placed_at, reverse=True)


def last_by_project(runs: Iterable[EndedRun]) -> dict[str, EndedRun]:
    """Return the last of ``runs``, which stand newest first, of each project; fleets are no project's."""
    found: dict[str, EndedRun] = {}
    for run in runs:
        if not run.is_fleet:
            found.setdefault(run.project, run)
    return found


def failed_last(store: RunStore, runs: list[EndedRun]) -> dict[str, str]:
    """Return the projects whose last run did not succeed, or that a later fleet skipped or could not start, with why.

    ``runs`` are those of one pipeline, newest first.
    """
    last = last_by_project(runs)
    failed = {
        name: f"--failed: run {run.run_id} ended as {run.status}"
        if run.status != "succeeded"
        else f"--failed: nothing in the chain of task {run.task_id} proves that run {run.run_id} succeeded"
        for name, run in last.items()
        if run.status != "succeeded" or not run.is_proved
    }
    seen: set[str] = set()
    for fleet in (run for run in runs if run.is_fleet):
        for project, why in _entries(store, fleet):
            if project in seen:
                continue
            seen.add(project)
            if why is not None and (project not in last or last[project].placed_at < fleet.placed_at):
                failed[project] = f"--failed: fleet {fleet.run_id}: {why}"
    return failed


def _entries(store: RunStore, fleet: EndedRun) -> Iterator[tuple[str, str | None]]:
    """Yield the projects of a fleet, each with why it has no run there, None for one that has or that succeeded."""
    try:
        record = read_document(store, fleet.where)
    except (NotFound, DamagedRecord, StorageError):
        return
    for command in record.get("commands") or ():
        if command.get("sub_run_id") is not None or command.get("status") == "succeeded":
            yield str(command.get("id")), None
        else:
            how = "it was skipped" if command.get("status") == "skipped" else "it could not be started"
            yield str(command.get("id")), f"{how}: {command.get('summary') or 'the fleet was interrupted'}"


def _recorded(store: RunStore, task_id: str) -> list[EndedRun]:
    """Return the ended runs of a task that its metrics or its chain know, the last one first."""
    lines: dict[str, bytes] = {}
    found: dict[str, EndedRun] = {}
    placed = recorded = stamp(store.clock.now())
    try:
        with store.task(task_id) as task:
            for data in file_backwards(task, METRICS):
                with suppress(ValueError, RecursionError):
                    line = json.loads(data)
                    run = _of_line(line, task_id, recorded, placed)
                    if run is not None:
                        lines.setdefault(event := str(line.get("event_id")), data)
                        found.setdefault(event, run)
                        if isinstance(at := line.get("recorded_at"), str) and at <= recorded:
                            recorded, placed = at, min(placed, run.placed_at)
            last = {(run.project, run.pipeline_id): event for event, run in reversed(found.items())}
            chained = chained_ends(task, lines, last.values())
    except FileNotFoundError:
        return []
    lacking = list(_of_chain(store, task_id, chained.lacking))
    replaced = {str(end["event_id"]) for end in chained.lacking}
    known = (
        run._replace(is_proved=False) if event in chained.unproved else run
        for event, run in found.items()
        if event not in replaced
    )
    return [*lacking, *known]


def _of_chain(store: RunStore, task_id: str, ends: Iterable[Mapping[str, Any]]) -> Iterator[EndedRun]:
    """Yield the runs of ends that the metrics lack, with the chain's status; the record says the rest."""
    now = stamp(store.clock.now())
    for end in ends:
        where = Location(task_id, str(end.get("run_id")))
        with suppress(NotFound, DamagedRecord, StorageError):
            record = read_document(store, where)
            if record["version"] == 1 or record.get("began_at", "") is None:
                continue
            ended_at = str(end.get("recorded_at"))
            yield EndedRun(
                str(record.get("project")),
                task_id,
                where.run_id,
                str(record["pipeline_id"]),
                status := str(end.get("status")),
                str(record.get("outcome")) if record["status"] == status else None,
                ended_at,
                min(ended_at, now),
                is_fleet(record),
            )


def _of_line(line: object, task_id: str, recorded: str, placed: str) -> EndedRun | None:
    """Return the run of a metrics line; None of one that never began, or that says no project (version 1).

    ``recorded`` is when the line behind it was written, and ``placed`` where that stands: a line that says that it was
    written later is of a clock that was ahead, or the one behind it of a clock that went back.
    """
    if not isinstance(line, dict) or line.get("task_id") != task_id or line.get("began_at", "") is None:
        return None
    keys = ("project", "run_id", "pipeline_id", "status", "completed_at")
    if not all(isinstance(line.get(key), str) for key in keys):
        return None
    at = line.get("recorded_at")
    is_ahead = isinstance(at, str) and at > recorded
    return EndedRun(
        line["project"],
        task_id,
        line["run_id"],
        line["pipeline_id"],
        line["status"],
        line.get("outcome"),
        line["completed_at"],
        min(line["completed_at"], placed) if is_ahead else line["completed_at"],
        line.get("kind") == KIND,
    )


def _interrupted(store: RunStore, task_id: str) -> Iterator[EndedRun]:
    """Yield the runs of a task whose process died and whose record nobody has closed, or published, yet."""
    for run_id in open_runs(store, task_id):
        where = Location(task_id, run_id)
        with suppress(NotFound, DamagedRecord, StorageError):
            record: Mapping[str, Any] = read_document(store, where)
            has_ended = record["status"] in TERMINAL
            if record["version"] == 1 or (not has_ended and (is_open_in_cloud(record) or is_alive(store, where))):
                continue
            ended_at = str(record.get("completed_at") or record.get("updated_at"))
            yield EndedRun(
                str(record.get("project")),
                task_id,
                run_id,
                str(record["pipeline_id"]),
                str(record["status"]) if has_ended else "failed",
                str(record.get("outcome")) if has_ended else "error",
                ended_at,
                min(ended_at, stamp(store.clock.now())),
                is_fleet(record),
            )
