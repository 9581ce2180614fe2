"""``runs``: the index over all tasks and projects. It reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict

from orchestrator.base.errors import EXIT_DONE, DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import FLEET, check_name, is_run_id, make_run_id, nearest
from orchestrator.base.text.appearance import appearance, row_width
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.run_view import observe, record_fault
from orchestrator.config.project_names import project_names
from orchestrator.config.routing.projects import task_owner
from orchestrator.report.run_list.names import newest_first
from orchestrator.report.run_rows import DAMAGED, Wanted, damaged_row, run_row, sorted_rows
from orchestrator.report.runs_text import runs_text
from orchestrator.report.status_document import status_document
from orchestrator.report.time_window import since
from orchestrator.store.find import find_run, task_ids
from orchestrator.store.layout import Location
from orchestrator.store.record_proof import imported_from
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Row: TypeAlias = "dict[str, Any]"


def runs(
    context: Context,
    *,
    project: str | None = None,
    task: str | None = None,
    status: str | None = None,
    outcome: str | None = None,
    pipeline: str | None = None,
    since: str | None = None,
    parent: str | None = None,
    limit: int = 20,
    sort: str = "started",
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Return the list of runs (docs/runs.md), exit code 0 also when records in it are damaged.

    Names are listed for the tasks asked for; records are read newest first, until ``limit`` of them fit
    (0: all), unless another order than ``started`` needs them all. Raises UsageError and NotFound.
    """
    store = context.store()
    for kind, name in (("project", None if project == FLEET else project), ("task", task), ("pipeline", pipeline)):
        if name is not None:
            check_name(kind, name)
    wanted = Wanted(project, status, outcome, pipeline, _parent(store, parent))
    tasks = task_ids(store)
    asked = tasks if task is None else [name for name in tasks if name == task]
    names = newest_first(store, asked, _earliest(context, since))
    most = limit if sort == "started" else 0
    found, looked_at, damaged = _matching(names.runs, _reader(store), wanted, most)
    rows = sorted_rows(found, sort)[: limit or None]
    document = {
        "runs": rows,
        "known": names.count,
        "looked_at": looked_at,
        "damaged": damaged,
        "unreadable": [asdict(entry) for entry in names.unreadable],
        "hint": "" if rows else _hint(store, tasks, task, project),
    }
    seen = appearance(context.stdout, context.environ)
    width, now = row_width(context.stdout, context.environ), context.clock.now()
    return Answer(EXIT_DONE, document, runs_text(document, now=now, width=width, color=seen.color))


def _matching(
    candidates: Iterable[Location], read: Callable[[Location], Row | None], wanted: Wanted, most: int
) -> tuple[list[Row], int, int]:
    """Return the rows that are wanted, how many runs were looked at, and how many of those were damaged."""
    found: list[Row] = []
    looked_at = damaged = 0
    for where in candidates:
        if most and len(found) == most:
            break
        looked_at += 1
        row = read(where)
        if row is None:
            continue
        damaged += row["status"] == DAMAGED
        if wanted.takes(row):
            found.append(row)
    return found, looked_at, damaged


def _reader(store: RunStore) -> Callable[[Location], Row | None]:
    owner = task_owner(store.workspace.root)

    def read(where: Location) -> Row | None:
        manifest = store.paths(where).manifest
        try:
            seen = observe(store, where)
            document = status_document(
                seen.record,
                alive=seen.alive,
                now=store.clock.now(),
                manifest=manifest,
                record_fault=record_fault(store, where, seen),
                imported_from=imported_from(store, where),
            )
        except NotFound:  # it went away meanwhile
            return None
        except (DamagedRecord, StorageError) as error:
            return damaged_row(where.task_id, where.run_id, manifest, error.message)
        return run_row(document, None if document["project"] else owner(where.task_id))

    return read


def _earliest(context: Context, given: str | None) -> str:
    """Return the least name of a run since then: names sort by time."""
    if given is None:
        return ""
    return make_run_id(since("--since", given, context.clock.now()), b"")


def _parent(store: RunStore, given: str | None) -> str | None:
    """Return the parent's id. A whole id may be of a run that is gone: its children still name it."""
    if given is None or is_run_id(given):
        return given
    return find_run(store, given).run_id


def _hint(store: RunStore, tasks: list[str], task: str | None, project: str | None) -> str:
    """Return what may have been meant by a task without runs or a project that is not there, or nothing."""
    near = None
    if task is not None and task not in tasks:
        near = nearest(task, tasks)
    elif project not in (None, FLEET) and project not in project_names(store.workspace.root):
        near = nearest(project, project_names(store.workspace.root))
    return f"did you mean '{near}'?" if near else ""
