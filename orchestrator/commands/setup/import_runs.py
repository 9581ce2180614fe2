"""``import``: runs of another machine's records become part of this workspace's history."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from orchestrator.base.errors import EXIT_DONE, EXIT_GATE, UsageError
from orchestrator.base.identifiers import FLEET
from orchestrator.base.quoting import shown
from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.workspace import Workspace
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.ended_run import with_delivery
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.config.project_names import project_names
from orchestrator.config.routing.projects import task_owner
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.find import task_ids
from orchestrator.store.import_survey import Passed, Survey, Takeable, survey_records
from orchestrator.store.imports import publish_imports, stage
from orchestrator.store.layout import CHAIN, CLI, IMPORT_LOCK, Location
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RUNS = ".runs"
_AT_ONCE = 64
"""So many locks of staged runs are held at a time."""


def import_runs(
    context: Context,
    *,
    path: str,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Take the ended runs of the records at ``path`` in, as their own chain proves them; exit code 4 if some disagree.

    ``path`` is another machine's ``.runs``, or the folder that holds it. With ``dry_run`` nothing is written. Raises
    UsageError (no records there, or this workspace's own), DamagedRecord (a chain there does not hold), StorageError.
    """
    check_format(format, ("text", "json"))
    here = context.store()
    there = _records_at(context, here, path)
    foreign = _foreign(here.workspace.root)

    def surveyed() -> Survey:
        with context.progress("import: runs looked at", format) as bar:
            return survey_records(there, here, foreign, bar.tick)

    if dry_run:
        found = surveyed()
        return _answer(found, there.workspace.runs_dir, dry_run=True)
    with here.runs(create=True) as runs:
        lock = runs.lock(IMPORT_LOCK, blocking=True)
        assert lock is not None  # noqa: S101 -- a blocking lock is always granted
        try:
            for task_id in task_ids(there):
                recover_task(here, task_id, interrupted)
            found = surveyed()
            with context.progress("import: runs taken in", format, len(found.runs)) as bar:
                for start in range(0, len(found.runs), _AT_ONCE):
                    some = found.runs[start : start + _AT_ONCE]
                    take(there, here, some)
                    bar.add(len(some))
        finally:
            lock.release()
    return with_delivery(context, here, _answer(found, there.workspace.runs_dir, dry_run=False))


def _records_at(context: Context, here: RunStore, path: str) -> RunStore:
    """Return the store of the records at ``path``."""
    folder = os.path.abspath(os.path.join(context.cwd, path))
    if not os.path.isdir(folder):
        raise UsageError(f"there is no folder {shown(path)}", hint="name another machine's .runs", code="no-records")
    inner = os.path.join(folder, _RUNS)
    root, runs_dir = (folder, inner) if os.path.isdir(inner) else (os.path.dirname(folder), folder)
    if os.path.isdir(here.workspace.runs_dir) and os.path.samefile(runs_dir, here.workspace.runs_dir):
        raise UsageError(
            f"{shown(path)} holds this workspace's own records",
            hint="name those of another machine",
            code="own-folder",
        )
    there = RunStore(Workspace(root, runs_dir, os.path.join(root, "out")), here.clock, warn=here.warn)
    if not any(_has_records(runs_dir, task_id) for task_id in task_ids(there)):
        raise UsageError(
            f"{shown(path)} holds no records: no folder of a task is there",
            hint="name a .runs folder, or the folder that holds it; artifacts of a CI job may lack hidden files",
            code="no-records",
        )
    return there


def _has_records(runs_dir: str, task_id: str) -> bool:
    return any(os.path.lexists(os.path.join(runs_dir, task_id, name)) for name in (CLI, CHAIN))


def _foreign(root: str) -> Callable[[str, str], str | None]:
    """Return what says why a task's run of a project is none of this workspace's; None where it may be."""
    owner, projects = task_owner(root), frozenset((*project_names(root), FLEET))

    def why(task_id: str, project: str) -> str | None:
        owned = owner(task_id)
        if owned is not None and project not in (owned, FLEET):
            return f"task '{task_id}' is of project '{owned}' here, and the run is of '{project}'"
        return None if project in projects else f"there is no project '{project}' here"

    return why


def take(there: RunStore, here: RunStore, runs: Sequence[Takeable]) -> None:
    """Stage some runs, whose locks are held meanwhile, and publish them."""
    with ExitStack() as stack:
        for run in runs:
            with there.run_folder(run.where) as source:
                stack.callback(stage(here, run.where, source, run.note).release)
        for task_id in dict.fromkeys(run.where.task_id for run in runs):
            publish_imports(here, task_id, [run.where.run_id for run in runs if run.where.task_id == task_id])


def _answer(found: Survey, source: str, *, dry_run: bool) -> Answer:
    document = {
        "dry_run": dry_run,
        "source": source,
        "imported": [_taken(run) for run in found.runs],
        "known": [_named(where) for where in found.known],
        "left_out": [_passed(one) for one in found.passed if one.disagrees],
        "skipped": [_passed(one) for one in found.passed if not one.disagrees],
    }
    code = EXIT_GATE if document["left_out"] else EXIT_DONE
    return Answer(code, document, _text(document))


def _named(where: Location) -> dict[str, Any]:
    return {"run_id": where.run_id, "task_id": where.task_id}


def _taken(run: Takeable) -> dict[str, Any]:
    origin = {"imported_from": run.note.imported_from.as_json()}
    about = {"project": run.project, "pipeline_id": run.pipeline, "status": run.status, "attempts": run.attempts}
    return {**_named(run.where), **about, **origin}


def _passed(one: Passed) -> dict[str, Any]:
    return {**_named(one.where), "code": one.code, "message": one.message}


def _text(document: Mapping[str, Any]) -> str:
    verb = "would import" if document["dry_run"] else "imported"
    lines = [
        f"{verb} {run['run_id']}: {run['project']} {run['pipeline_id']}, {run['status']}"
        for run in document["imported"]
    ]
    for key, words in (("left_out", "left out"), ("skipped", "skipped")):
        lines += [f"{words} {one['run_id']}: {one['message']} ({one['code']})" for one in document[key]]
    counts = (
        f"{len(document['imported'])} {verb}",
        f"{len(document['known'])} known",
        f"{len(document['left_out'])} left out",
    )
    lines.append(", ".join(counts) + ".")
    return safe_text("\n".join(lines) + "\n", lines=True)
