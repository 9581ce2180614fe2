"""``migrate``: the early version's runs are taken into the index. Nothing is deleted; see docs/migration.md."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from orchestrator.base.errors import EXIT_DONE, NotFound, UsageError
from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.workspace import Workspace
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.config.routing import TASK_VARIABLE, route
from orchestrator.store.layout import OLD_POINTERS
from orchestrator.store.legacy.migrating import Migrated, log_unplaced, matching, migrate_task, planned
from orchestrator.store.legacy.migration import TaskOf, sessions, survey, tasks_of, unplaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MADE = {
    "record": "copied into the index",
    "pointer": "made, a pointer",
    "older-pointer": "made, an older pointer",
    "state": "made anew, version 1 kept beside it as state.v1.json",
}


def migrate(
    context: Context,
    *,
    dry_run: bool = False,
    run: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Take the runs of the early version into the index and return what was made and left alone; exit code 0.

    ``run`` is the one run that is meant, by its id or its early folder's name. With ``dry_run`` nothing is
    written. Raises NotFound for another ``run``, UsageError for a wrong $MCP_RUNNER_TASK_ID, StorageError.
    """
    check_format(format, ("text", "json"))
    store = context.store()
    task_of = _task_of(context, store.workspace)
    early = sessions(store, task_of)
    outside = matching(unplaced(store, early), run)
    parts = []
    tasks = tasks_of(store, early)
    with context.progress("migrate: tasks", format, len(tasks)) as bar:
        for task_id in tasks:
            if dry_run:
                parts.append(planned(task_id, matching(survey(store, task_id, early), run)))
            else:
                parts.append(migrate_task(store, task_id, early, _project_of(store.workspace, task_id), run))
            bar.tick()
    parts.append(planned(OLD_POINTERS, outside) if dry_run else log_unplaced(store, outside))
    seen = [part for part in parts if part.found]
    if run is not None and not seen:
        raise NotFound(
            f"there is no run '{run}' of the early version in this workspace", hint="codex-orchestrator runs"
        )
    document = _document(seen, dry_run=dry_run)
    return Answer(EXIT_DONE, document, _text(seen, document))


def _task_of(context: Context, workspace: Workspace) -> TaskOf:
    """Return what tells the task of a record that names none: $MCP_RUNNER_TASK_ID, else by the folder it ran in."""
    named = None
    if context.environ.get(TASK_VARIABLE):
        named = _route(workspace, context.cwd, {TASK_VARIABLE: context.environ[TASK_VARIABLE]}, None)

    def task_of(document: Mapping[str, Any]) -> tuple[str | None, str]:
        if named is not None:
            return named[1], ""
        folder = next((document[key] for key in ("repo", "repo_root") if isinstance(document.get(key), str)), "")
        try:
            return _route(workspace, os.path.join(workspace.root, folder), {}, None)[1], ""
        except (UsageError, ValueError) as error:
            cause = error.message if isinstance(error, UsageError) else str(error)
            return None, f"it names no task: {cause.splitlines()[0]}; ${TASK_VARIABLE} can name one"

    return task_of


def _project_of(workspace: Workspace, task_id: str) -> str | None:
    with suppress(UsageError):
        return _route(workspace, workspace.root, {}, task_id)[0]
    return None


def _route(workspace: Workspace, cwd: str, environ: Mapping[str, str], task: str | None) -> tuple[str, str]:
    found = route(workspace, cwd, environ, project=None, task=task, parent_project=None, parent_task=None)
    return found.project, found.task_id


def _document(parts: Iterable[Migrated], *, dry_run: bool) -> dict[str, Any]:
    tasks = [{**part.as_json(), "log": part.log} for part in parts]
    totals = {key: sum(len(task[key]) for task in tasks) for key in ("found", "made", "left_alone")}
    return {"dry_run": dry_run, **totals, "tasks": tasks}


def _text(parts: Iterable[Migrated], document: Mapping[str, Any]) -> str:
    lines = []
    would = "to be " if document["dry_run"] else ""
    for part in parts:
        for entry in part.as_json()["made"]:
            lines.append(f"{entry['place']}: {would}{_MADE[entry['kind']]}")
            lines += [f"  left out: {path}, which is no file" for path in entry.get("left_out", ())]
        # Summaries lie beside most runs; the log names each.
        odd = [item for item in part.found if item.reason and item.kind != "summary"]
        lines += [f"{item.place}: left alone: {item.reason}" for item in odd]
        if part.log is not None:
            lines.append(f"Log        {part.log}")
    if not document["found"]:
        lines.append("Nothing of the early version is here.")
    else:
        verb = "to make" if document["dry_run"] else "made"
        what = f"{document['made']} {verb}" if document["made"] else "nothing to do"
        count = f"{document['found']} {'thing' if document['found'] == 1 else 'things'}"
        lines.append(f"{count} of the early version: {what}, {document['left_alone']} left alone.")
    return safe_text("\n".join(lines) + "\n", lines=True)
