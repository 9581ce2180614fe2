"""Which of the files that changed are a project's code, and which are specs that answer for it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator

from orchestrator.base.build_artifacts import is_build_artifact
from orchestrator.base.globs import Globs
from orchestrator.base.workspace import CONFIG_FOLDER, WORKSPACE_FILE
from orchestrator.checks.spec_guard.values import SPEC_FOLDER, Question
from orchestrator.config.spec_guard_policy import DEFAULT_SPECS

_SUFFIX = ".md"
_WORKSPACES_OWN = ("tasks", ".agent", "docs/checklists", ".nox")
"""Below the workspace's root: task files, checklists, and environments. They are no project's code."""

_CONFIG = ".toml"


class Specs:
    """Which files answer for a task's code, whether or not they are still there.

    In ``tasks/specs/`` those are ``<task>.md``, ``<task>.<topic>.md`` and ``<task>-<topic>.md``, unless a longer
    id of ``known_tasks`` fits better; and what the project's ``[spec_guard] specs`` names besides the default.
    """

    def __init__(self, question: Question, known_tasks: Iterable[str] = ()) -> None:
        self._root = os.path.realpath(question.root)
        self._starts = _starts(question.task_id)
        longer = (task for task in known_tasks if task.startswith(self._starts))
        self._others = tuple(start for task in longer for start in _starts(task))
        self.named = Globs(pattern for pattern in question.policy.specs if pattern not in DEFAULT_SPECS)

    def names(self, path: str) -> bool:
        """Tell whether a file (an absolute path) is one."""
        inside = below(path, self._root)
        return inside is not None and (self.is_own(inside) or self.named.match(inside))

    def is_own(self, path: str) -> bool:
        """Tell whether a file (from the workspace's root) is one by its place and name."""
        name = path.rpartition("/")[2]
        fits = path.startswith(SPEC_FOLDER + "/") and name.endswith(_SUFFIX) and name.startswith(self._starts)
        return fits and not (self._others and name.startswith(self._others))


def _starts(task_id: str) -> tuple[str, str]:
    return f"{task_id}.", f"{task_id}-"


def code_in(question: Question, spec: Specs, tracked: Collection[str], untracked: Collection[str]) -> Iterator[str]:
    """Yield which of the files (absolute paths) are code, as paths from the project's folder."""
    folder, root = question.folder, os.path.realpath(question.root)
    own = [*(os.path.join(root, name) for name in _WORKSPACES_OWN), *map(os.path.realpath, question.records)]
    code, left_out = Globs(question.policy.code), Globs(question.policy.exclude)
    for path in {*tracked, *untracked}:
        inside = below(path, folder)
        if inside is None or any(below(path, place) is not None for place in own) or spec.names(path):
            continue
        if _is_config(path, root):
            continue
        if path not in tracked and is_build_artifact(os.fsencode(inside)):
            continue
        if code.match(inside) and not left_out.match(inside):
            yield inside


def _is_config(path: str, root: str) -> bool:
    """Tell whether a file is a config of the workspace: the policy compares it, wherever the project lies."""
    folder, _, name = path.rpartition("/")
    configs = os.path.join(root, CONFIG_FOLDER)
    return (folder == configs and name.endswith(_CONFIG)) or path == os.path.join(root, WORKSPACE_FILE)


def below(path: str, folder: str) -> str | None:
    """Return ``path`` relative to ``folder``, or None when it lies elsewhere; both are absolute."""
    if path == folder:
        return "."
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None
