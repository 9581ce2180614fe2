"""``projects``: what is red now: each project with its last run, whether that is ready, and its config's errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from orchestrator.base.errors import EXIT_DONE, DamagedRecord, NotFound, StorageError
from orchestrator.base.limits import DEFAULT_PIPELINE
from orchestrator.base.text.appearance import appearance, row_width
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.fleet_plan import MATRIX, matrix
from orchestrator.commands.look.fleet_view import child_of
from orchestrator.commands.look.metrics_window import by_project, ends_since
from orchestrator.commands.run.fleet_selection import chosen
from orchestrator.config.fleet.members import Member, read_members
from orchestrator.config.fleet.options import SelectionOptions
from orchestrator.config.planning import survey
from orchestrator.config.routing.projects import task_owner
from orchestrator.report.projects_text import projects_text
from orchestrator.report.run_list.last_runs import EndedRun, ended_runs, last_by_project
from orchestrator.report.statistics.metrics_record import End
from orchestrator.report.statistics.percentiles import ratio
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WINDOW = timedelta(days=7)
"""Guardrail coverage is of the last seven days (contract, section 4)."""


def projects(context: Context, *, format: str = "text") -> Answer:  # noqa: A002 -- the option's name
    """Return the projects of the workspace, each with its last ended run; as ``github-matrix`` a job for each.

    Exit code 0 whatever is red. Raises UsageError, ConfigError, StorageError.
    """
    store = context.store()
    if format == MATRIX:
        choice = chosen(context, store, SelectionOptions(everything=True), DEFAULT_PIPELINE)
        return matrix(choice, DEFAULT_PIPELINE, None)
    root = store.workspace.root
    members = read_members(root)
    _, faults = survey(root, today=context.clock.now().date())
    last = last_by_project(ended_runs(store))
    ends = by_project(ends_since(store, context.clock.now() - _WINDOW).ends, tuple(members.projects), task_owner(root))
    entries = [
        _entry(context, store, member, last.get(name), faults, ends.get(name, ()))
        for name, member in members.projects.items()
    ]
    document = {"projects": entries, "misnamed": list(members.misnamed)}
    seen = appearance(context.stdout, context.environ)
    width, now = row_width(context.stdout, context.environ), context.clock.now()
    return Answer(EXIT_DONE, document, projects_text(document, now=now, width=width, color=seen.color))


def _entry(
    context: Context,
    store: RunStore,
    member: Member,
    last: EndedRun | None,
    faults: Sequence[str],
    ends: Sequence[End],
) -> dict[str, Any]:
    file = f"{CONFIG_FOLDER}/{member.name}.toml"
    guarded = [end for end in ends if end.required]
    return {
        "project": member.name,
        "path": member.path,
        "task_id": member.task_id,
        "owners": list(member.owners),
        "tags": list(member.tags),
        "depends_on": list(member.depends_on),
        "pipelines": list(member.pipelines),
        "faults": [fault for fault in faults if fault.startswith(f"{file}:")],
        "last_run": None if last is None else _last(context, store, last),
        "coverage": ratio(sum(end.executed for end in guarded), len(guarded)),
    }


def _last(context: Context, store: RunStore, run: EndedRun) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "run_id": run.run_id,
        "task_id": run.task_id,
        "pipeline_id": run.pipeline_id,
        "status": run.status,
        "outcome": run.outcome,
        "completed_at": run.completed_at,
        "cause": None,
        "ready": None,
        "manifest": None,
    }
    with suppress(NotFound, DamagedRecord, StorageError):
        child = child_of(store, run.where, context.environ)
        found.update(cause=child.cause, ready=child.document["ready"]["ready"], manifest=child.document["manifest"])
    return found
