"""Which project and which task a command means, told from flags, environment, parent run and folder.

The order is the contract's (section 2, "Which project, when ``--project`` is left out").
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.identifiers import check_name, near_hint, nearest
from orchestrator.base.record import TYPE_CHECKING, NamedTuple
from orchestrator.base.workspace import CONFIG_FOLDER, Workspace
from orchestrator.config import Outline, outline, project_names

if TYPE_CHECKING:
    from orchestrator.config.routing.task_index import TaskIndex

TASK_VARIABLE = "MCP_RUNNER_TASK_ID"


class Route(NamedTuple):
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
) -> Route:
    """Return the project and the task of a command called in ``cwd``.

    ``known`` may tell a project's outline without its config being parsed.

    ``project`` and ``task`` are the flags, ``parent_project`` and ``parent_task`` those of the run that
    the command runs below; None where there is none. With ``project`` and without a task only that
    project's config is read. Raises UsageError when the project can't be told, an id is bad or unknown,
    or the task is another project's, and ConfigError when a config that decides has faults.
    """
    town = _Town(workspace.root, known)
    given = task if task is not None else environ.get(TASK_VARIABLE) or None
    where = "--task" if task is not None else f"${TASK_VARIABLE}"
    if given is not None:
        _check_task(town, given, where)
    chosen = town.outline(project) if project is not None else _found(town, cwd, given, where)
    if given is not None:
        _check_owner(town, chosen, given, where)
        return Route(chosen.name, given)
    if parent_task is not None and parent_project == chosen.name:
        return Route(chosen.name, parent_task)
    return Route(chosen.name, chosen.task_id)


class _Town:
    """Who lives in a workspace; each file is read when it is asked for, and once."""

    def __init__(self, root: str, known: Callable[[str], Outline | None]) -> None:
        self.root = root
        self._known = known
        self.unreadable: dict[str, ConfigError] = {}
        self._outlines: dict[str, Outline] = {}
        self._index: TaskIndex | None = None
        self._whole = False

    def outline(self, name: str) -> Outline:
        if name not in self._outlines:
            self._outlines[name] = self._known(name) or outline(self.root, name)
        return self._outlines[name]

    def index(self) -> TaskIndex:
        if self._index is None:
            from orchestrator.config.routing.task_index import read_index

            self._index = read_index(self.root)
        return self._index

    def outlines(self) -> list[Outline]:
        """Return every project whose config can be read; a broken one hinders nobody else."""
        if not self._whole:
            for name in project_names(self.root):
                try:
                    self.outline(name)
                except ConfigError as error:
                    self.unreadable[name] = error
            self._whole = True
        return [self._outlines[name] for name in sorted(self._outlines)]

    def owners(self, task: str) -> list[str]:
        """Return the projects that ``task`` belongs to: the index's word, else each config's default task."""
        named = self.index().owner(task)
        if named is not None:
            return [named]
        return [item.name for item in self.outlines() if item.task_id == task]

    def tasks(self) -> list[str]:
        return sorted({*self.index().ids(), *(item.task_id for item in self.outlines())})


def _check_task(town: _Town, task: str, where: str) -> None:
    try:
        check_name("task", task)
    except UsageError as error:
        match = nearest(task, town.tasks())
        hint = f"did you mean '{match}'?" if match else ""
        raise UsageError(f"{where}: {error.message}", hint=hint, code=error.code) from None


def _found(town: _Town, cwd: str, task: str | None, where: str) -> Outline:
    """Tell the project by the task, else by the folder, else by there being only one."""
    if task is not None:
        owners = town.owners(task)
        if len(owners) == 1:
            return town.outline(owners[0])
        if owners:
            raise _undecided(f"{where}: task '{task}' belongs to more than one project", owners)
        if task not in town.index().ids():
            raise _unknown_task(town, task, where)
    outlines = town.outlines()
    _check_folder_readable(town, cwd)
    holders = _holders(town.root, outlines, cwd)
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise _undecided("more than one project has this folder", [item.name for item in holders])
    if len(outlines) == 1 and not town.unreadable:
        return outlines[0]
    if not outlines and town.unreadable:
        raise ConfigError(fault for error in town.unreadable.values() for fault in error.faults)
    if not outlines:
        raise UsageError(
            f"there is no project in {CONFIG_FOLDER}/", hint=f"make {CONFIG_FOLDER}/<project>.toml", code="no-project"
        )
    raise _undecided("which project is meant can't be told", [*(item.name for item in outlines), *town.unreadable])


def _check_folder_readable(town: _Town, cwd: str) -> None:
    """Refuse in the usual folder of a project whose config is broken: an outer project must not stand in for it."""
    above = os.path.relpath(os.path.realpath(cwd), os.path.realpath(town.root)).split(os.sep)
    for name, error in town.unreadable.items():
        if name in above:
            raise error


def _unknown_task(town: _Town, task: str, where: str) -> UsageError:
    hint = near_hint(task, town.tasks()) or "no project has a task yet"
    hint += "; with --project a new task can be begun"
    if town.unreadable:
        from orchestrator.config.source import config_file

        hint += f"; not read, because broken: {', '.join(map(config_file, town.unreadable))}"
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


def _check_owner(town: _Town, chosen: Outline, task: str, where: str) -> None:
    named = town.index().owner(task)
    if named is None and task == chosen.task_id:
        return
    owners = [named] if named is not None else town.owners(task)
    if not owners or chosen.name in owners:
        return
    raise UsageError(
        f"{where}: task '{task}' belongs to project '{owners[0]}', not to '{chosen.name}'",
        hint=f"the task of '{chosen.name}' is '{chosen.task_id}'; or use --project {owners[0]}",
        code="foreign-task",
    )


def _undecided(reason: str, names: Iterable[str]) -> UsageError:
    return UsageError(f"{reason}: {', '.join(sorted(names))}", hint="name one with --project", code="which-project")
