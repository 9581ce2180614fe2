"""The projects and tasks of a workspace, and the one answer to whose a task is."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.config.project_names import project_names
from orchestrator.config.project_outlines import Outline, outline
from orchestrator.config.routing.task_index import read_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.config.routing.task_index import TaskIndex


class Projects:
    """The projects of the workspace at ``root``; each file is read when it is needed, and once.

    ``known`` may tell a project's outline without its config being parsed.
    """

    def __init__(self, root: str, known: Callable[[str], Outline | None] = lambda name: None) -> None:
        self.root = root
        self._known = known
        self.unreadable: dict[str, ConfigError] = {}
        self._outlines: dict[str, Outline] = {}
        self._index: TaskIndex | None = None
        self._whole = False

    def outline(self, name: str) -> Outline:
        """Return name, path and default task of a project; raises as ``load_project`` does."""
        if name not in self._outlines:
            self._outlines[name] = self._known(name) or outline(self.root, name)
        return self._outlines[name]

    def index(self) -> TaskIndex:
        """Return the list of tasks; UsageError when it can't be read."""
        if self._index is None:
            self._index = read_index(self.root)
        return self._index

    def outlines(self) -> list[Outline]:
        """Return every project whose config can be read, by name; the others stand in ``unreadable``."""
        if not self._whole:
            for name in project_names(self.root):
                try:
                    self.outline(name)
                except ConfigError as error:
                    self.unreadable[name] = error
            self._whole = True
        return [self._outlines[name] for name in sorted(self._outlines)]

    def owners(self, task: str) -> list[str]:
        """Return the projects that ``task`` belongs to: the index's word, else each config's default task.

        More than one where the index is silent and several configs name the task (source: contract, section 2).
        Raises UsageError when the index can't be read.
        """
        named = self.index().owner(task)
        return [named] if named is not None else self.default_owners(task)

    def default_owners(self, task: str) -> list[str]:
        """Return the projects whose config names ``task`` as its default."""
        return [item.name for item in self.outlines() if item.task_id == task]

    def tasks(self) -> list[str]:
        """Return every task that the index or a config names, sorted."""
        return sorted({*self.index().ids(), *(item.task_id for item in self.outlines())})


def task_owner(root: str) -> Callable[[str], str | None]:
    """Return a lookup from a task's id to its project, for records of version 1, which name none.

    None where nobody, or more than one project, owns the task. Files are read at the first question, and
    once; an index that can't be read decides nothing.
    """
    projects = Projects(root)

    def find(task_id: str) -> str | None:
        try:
            owners = projects.owners(task_id)
        except UsageError:
            owners = projects.default_owners(task_id)
        return owners[0] if len(owners) == 1 else None

    return find
