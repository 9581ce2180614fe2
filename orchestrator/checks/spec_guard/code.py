"""Which of the files that changed are a project's code, and which are specs that answer for it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator

from orchestrator.base.build_artifacts import is_leftover
from orchestrator.base.globs import Globs, fault
from orchestrator.checks.spec_guard.values import Question

_WORKSPACES_OWN = ("tasks", ".agent", "docs/checklists", ".nox")
"""Below the workspace's root: task files, checklists, and environments. They are no project's code."""


class Specs:
    """Which files answer for code, whether or not they are still there."""

    def __init__(self, question: Question) -> None:
        self._root = os.path.realpath(question.root)
        self._globs = Globs(question.policy.specs)

    def names(self, path: str) -> bool:
        """Tell whether a file (an absolute path) is one."""
        inside = below(path, self._root)
        return inside is not None and self._globs.match(inside)


def code_in(question: Question, tracked: Collection[str], untracked: Collection[str]) -> Iterator[str]:
    """Yield which of the changed files (absolute paths) are code, as paths from the project's folder."""
    spec = Specs(question)
    folder, root = question.folder, os.path.realpath(question.root)
    own = [*(os.path.join(root, name) for name in _WORKSPACES_OWN), *map(os.path.realpath, question.records)]
    code, left_out, outputs = (
        Globs(patterns) for patterns in (question.policy.code, question.policy.exclude, _usable(question.outputs))
    )
    for path in {*tracked, *untracked}:
        inside = below(path, folder)
        if inside is None or any(below(path, place) is not None for place in own) or spec.names(path):
            continue
        if path not in tracked and (is_leftover(os.fsencode(inside)) or outputs.match(inside)):
            continue
        if code.match(inside) and not left_out.match(inside):
            yield inside


def _usable(patterns: Iterable[str]) -> list[str]:
    """Return what stages declare as outputs, without what is no pattern of ours: it is only ever left out."""
    anchored = ("/" + pattern.removeprefix("./").lstrip("/") for pattern in patterns)
    return [pattern for pattern in anchored if fault(pattern) is None]


def below(path: str, folder: str) -> str | None:
    """Return ``path`` relative to ``folder``, or None when it lies elsewhere; both are absolute."""
    if path == folder:
        return "."
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None
