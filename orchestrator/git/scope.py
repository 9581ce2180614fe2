"""Which files belong to a project's tree: not what runs leave behind, not checklists, not caches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.base.build_artifacts import is_leftover
from orchestrator.base.record import Record
from orchestrator.base.workspace import OUT_VARIABLE, RUNS_VARIABLE

CHECKLISTS = ("tasks", ".agent", "docs/TASKS.md", "docs/checklists")
"""Checklists and their mirrors in a workspace: ticking off a task is no change of the tree."""


class Scope(Record):
    """What of a project's folder counts. Paths are bytes, relative to the folder, with ``/``."""

    excluded: tuple[bytes, ...] = ()
    ignored: tuple[str, ...] = ()

    def holds(self, path: bytes) -> bool:
        """Tell whether a path counts at all."""
        return not self.excluded or not any(path == name or path.startswith(name + b"/") for name in self.excluded)

    def holds_untracked(self, path: bytes) -> bool:
        """Tell whether a path counts that git doesn't track: no cache, no product of a build."""
        return not is_leftover(path) and self.holds(path) and not self._is_ignored(path)

    def _is_ignored(self, path: bytes) -> bool:
        if not self.ignored:
            return False
        from fnmatch import fnmatchcase

        text = os.fsdecode(path)
        return any(fnmatchcase(text, pattern) for pattern in self.ignored)


def scope_of(project_folder: str, root: str, environ: Mapping[str, str], ignored: Iterable[str] = ()) -> Scope:
    """Return the scope of a project in the workspace at ``root``.

    Excluded are the workspace's runs and out folders (moved ones too) and its checklists, as far as they
    lie in the project's folder (contract, section 4). ``ignored`` are globs of outputs that stages declare.
    """
    inner = os.path.realpath(project_folder)
    if inner != os.path.realpath(root):
        places: Sequence[str] = (environ.get(RUNS_VARIABLE) or ".runs", environ.get(OUT_VARIABLE) or "out")
    else:
        places = (environ.get(RUNS_VARIABLE) or ".runs", environ.get(OUT_VARIABLE) or "out", *CHECKLISTS)
    outer = os.path.realpath(root)
    relative = (os.path.relpath(os.path.join(outer, place), inner) for place in places)
    return Scope(tuple(os.fsencode(name) for name in relative if not name.startswith("..")), tuple(ignored))
