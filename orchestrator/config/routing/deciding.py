"""Which project and which task a command means, by flags, environment, parent run and folder.

The order is the contract's (section 2, "Which project, when ``--project`` is left out").
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.identifiers import FLEET, check_name, near_hint, nearest
from orchestrator.base.record import Record
from orchestrator.base.workspace import CONFIG_FOLDER, Workspace
from orchestrator.config.project_names import BRING_IN, project_names
from orchestrator.config.project_outlines import Outline
from orchestrator.config.routing.projects import Projects
from orchestrator.config.routing.task_index import INDEX_FILE

TASK_VARIABLE = "MCP_RUNNER_TASK_ID"


class Route(Record):
    """The project that a command is for, and the task that its run belongs to."""

    project: str
    task_id: str


def route(
    workspace: Workspace,
    cwd: str,
    environ: Mapping[str, str],
    *,
    project: str | None,
    task: str | None,
    parent_project: str | None,
    parent_task: str | None,
    known: Callable[[str], Outline | None] = lambda name: None,
    pipeline: str | None = None,
) -> Route:
    """Return the project and the task of a command called in ``cwd``.

    ``known`` may give a project's outline without its config being parsed. ``pipeline`` is the one that was asked for:
    where that is a project's name, the refusal says so.

    ``project`` and ``task`` are the flags, ``parent_project`` and ``parent_task`` those of the run that
    the command runs below; None where there is none. With ``project`` and without a task only that
    project's config is read. Raises UsageError when the project can't be determined, an id is bad or unknown,
    or the task is another project's, and ConfigError when a config that decides has faults.
    """
    projects = Projects(workspace.root, known)
    given = task if task is not None else environ.get(TASK_VARIABLE) or None
    where = "--task" if task is not None else f"${TASK_VARIABLE}"
    if given is not None:
        _check_task(projects, given, where)
    if project is not None:
        chosen = projects.outline(project)
    else:
        try:
            chosen = _by_task_or_folder(projects, cwd, given, where)
        except UsageError as error:
            if error.code == "which-project" and pipeline is not None and pipeline in project_names(workspace.root):
                raise _no_pipeline(error.message, pipeline) from None
            raise
    if given is not None:
        _check_owner(projects, chosen, given, where)
        return Route(chosen.name, given)
    if parent_task is not None and parent_project == chosen.name:
        return Route(chosen.name, parent_task)
    _check_default(projects, chosen)
    return Route(chosen.name, chosen.task_id)


def _check_default(projects: Projects, chosen: Outline) -> None:
    """Refuse a config's default task that the index gives to another project; a broken index gives nobody anything."""
    try:
        owner = projects.index().owner(chosen.task_id)
    except UsageError:
        return  # its own message comes from who needs the index: spec-guard, doctor, --task
    if owner not in (None, chosen.name):
        raise UsageError(
            f"{CONFIG_FOLDER}/{chosen.name}.toml: project.task_id: task '{chosen.task_id}' belongs to project '{owner}'"
            f" by {INDEX_FILE}, not to '{chosen.name}'",
            hint=f"give '{chosen.name}' a task of its own, or correct the entry's project",
            code="foreign-task",
        )


def _check_task(projects: Projects, task: str, where: str) -> None:
    try:
        check_name("task", task)
    except UsageError as error:
        match = nearest(task, projects.tasks())
        hint = f"did you mean '{match}'?" if match else ""
        raise UsageError(f"{where}: {error.message}", hint=hint, code=error.code) from None
    if task == FLEET:
        raise UsageError(f"{where}: task '{FLEET}' is reserved for the runs of fleets", code="bad-task-id")


def _by_task_or_folder(projects: Projects, cwd: str, task: str | None, where: str) -> Outline:
    """Return the project by the task, else by the folder, else by there being only one."""
    if task is not None:
        owners = projects.owners(task)
        if len(owners) == 1:
            return projects.outline(owners[0])
        if owners:
            raise _undecided(f"{where}: task '{task}' belongs to more than one project", owners)
        if task not in projects.index().ids():
            raise _unknown_task(projects, task, where)
    outlines = projects.outlines()
    _check_folder_readable(projects, cwd)
    holders = _holders(projects.root, outlines, cwd)
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise _undecided("more than one project has this folder", [item.name for item in holders])
    if len(outlines) == 1 and not projects.unreadable:
        return outlines[0]
    if not outlines and projects.unreadable:
        raise ConfigError(fault for error in projects.unreadable.values() for fault in error.faults)
    if not outlines:
        raise UsageError(f"there is no project in {CONFIG_FOLDER}/", hint=BRING_IN, code="no-project")
    raise _undecided("which project is meant is not clear", [*(item.name for item in outlines), *projects.unreadable])


def _check_folder_readable(projects: Projects, cwd: str) -> None:
    """Refuse in the usual folder of a project whose config is broken: an outer project must not take its place."""
    above = os.path.relpath(os.path.realpath(cwd), os.path.realpath(projects.root)).split(os.sep)
    for name, error in projects.unreadable.items():
        if name in above:
            raise error


def _unknown_task(projects: Projects, task: str, where: str) -> UsageError:
    called = projects.index().by_slug(task)
    hint = near_hint(task, projects.tasks()) or "no project has a task yet"
    if called is not None:
        hint = f"the index calls task '{called}' so: use '{called}'"
    hint += "; with --project a new task can be begun"
    if projects.unreadable:
        from orchestrator.config.source import config_file

        hint += f"; not read, because broken: {', '.join(map(config_file, projects.unreadable))}"
    return UsageError(f"{where}: no project has a task '{task}'", hint=hint, code="unknown-task")


def _holders(root: str, outlines: Iterable[Outline], cwd: str) -> list[Outline]:
    """Return the projects with the innermost folder that holds ``cwd``."""
    here = os.path.realpath(cwd)
    best: list[Outline] = []
    longest = 0
    for item in outlines:
        folder = os.path.realpath(os.path.join(root, item.path))
        if here != folder and not here.startswith(folder.rstrip(os.sep) + os.sep):
            continue
        if len(folder) > longest:
            best, longest = [item], len(folder)
        elif len(folder) == longest:
            best.append(item)
    return best


def _check_owner(projects: Projects, chosen: Outline, task: str, where: str) -> None:
    if task == chosen.task_id and projects.index().owner(task) is None:
        return  # its own: no other config need be read
    owners = projects.owners(task)
    if not owners or chosen.name in owners:
        return
    whose = f"project '{owners[0]}'" if len(owners) == 1 else f"the projects {', '.join(owners)}"
    raise UsageError(
        f"{where}: task '{task}' belongs to {whose}, not to '{chosen.name}'",
        hint=f"the task of '{chosen.name}' is '{chosen.task_id}'; or use --project {' or '.join(owners)}",
        code="foreign-task",
    )


def _no_pipeline(reason: str, project: str) -> UsageError:
    reason = f"'{project}' was taken as the pipeline, and is a project; {reason}"
    return UsageError(reason, hint=f"--project {project}", code="which-project")


def _undecided(reason: str, names: Iterable[str]) -> UsageError:
    return UsageError(f"{reason}: {', '.join(sorted(names))}", hint="name one with --project", code="which-project")
