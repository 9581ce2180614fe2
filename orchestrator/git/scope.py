"""Which files belong to a project's tree: not what runs leave behind, not checklists, not caches."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence

from orchestrator.base.build_artifacts import is_build_artifact
from orchestrator.base.record import Record
from orchestrator.base.workspace import OUT_VARIABLE, RUNS_VARIABLE

CHECKLISTS = ("tasks", ".agent", "docs/TASKS.md", "docs/checklists")
"""Checklists and their mirrors in a workspace: ticking off a task is no change of the tree."""


class CodePatterns(Record):
    """Which files are code: globs (``base.globs``) of those that are, and of those that are not all the same."""

    code: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


EVERY_FILE, NO_FILE = CodePatterns(), CodePatterns(code=())


class Scope(Record):
    """What of a project's folder counts. Paths are bytes, relative to the folder, with ``/``.

    ``ignored`` are globs (``base.globs.paths``) of outputs that stages declare; a file that is ``code`` is none,
    unless git ignores it.
    """

    excluded: tuple[bytes, ...] = ()
    ignored: tuple[str, ...] = ()
    code: CodePatterns = EVERY_FILE

    def holds(self, path: bytes) -> bool:
        """Tell whether a path counts at all."""
        return not self.excluded or not any(path == name or path.startswith(name + b"/") for name in self.excluded)

    def holds_untracked(self, path: bytes) -> bool:
        """Tell whether a path counts that git doesn't track and does not ignore: no cache, no product of a build."""
        return (
            not is_build_artifact(path) and self.holds(path) and (not self.is_output(path) or self._matches_code(path))
        )

    def is_code(self, path: bytes) -> bool:
        """Tell whether a file that only the user's own rules ignore counts: code, and no tool's hidden file."""
        return not is_hidden(path) and not is_build_artifact(path) and self.holds(path) and self._matches_code(path)

    def personal_code(self, untracked: bytes, known: Container[bytes], prefix: bytes) -> tuple[bytes, ...]:
        """Return the code, from the repository's top, that only the user's own rules ignore.

        ``untracked`` is git's answer to ``porcelain.UNTRACKED``, ``known`` its status, ``prefix`` the folder.
        """
        names = (name for name in untracked.split(b"\0") if name and name not in known)
        return tuple(name for name in names if self.is_code(name.removeprefix(prefix)))

    def _matches_code(self, path: bytes) -> bool:
        from orchestrator.base.globs import globs

        text = os.fsdecode(path)
        return globs(self.code.code).match(text) and not globs(self.code.exclude).match(text)

    def is_output(self, path: bytes) -> bool:
        """Tell whether stages declare that they make that path."""
        if not self.ignored:
            return False
        from orchestrator.base.globs import path_fault, paths

        # A record that somebody edited may hold anything; what means nothing takes nothing out of the tree.
        try:
            outputs = paths(self.ignored)
        except ValueError:
            outputs = paths(tuple(pattern for pattern in self.ignored if path_fault(pattern) is None))
        return outputs.match(os.fsdecode(path))


def is_hidden(path: bytes) -> bool:
    """Tell whether a path is a tool's own file or an editor's copy, as users ignore by rules of their own."""
    return any(part.startswith(b".") for part in path.split(b"/")) or path.endswith((b"~", b".swp", b".swo"))


def scope_of(
    project_folder: str,
    root: str,
    environ: Mapping[str, str],
    ignored: Iterable[str] = (),
    code: CodePatterns = EVERY_FILE,
) -> Scope:
    """Return the scope of a project in the workspace at ``root``.

    Excluded are the workspace's runs and out folders (moved ones too) and its checklists, as far as they
    lie in the project's folder (contract, section 4). ``ignored`` and ``code`` are as in ``Scope``.
    """
    inner = os.path.realpath(project_folder)
    if inner != os.path.realpath(root):
        places: Sequence[str] = (environ.get(RUNS_VARIABLE) or ".runs", environ.get(OUT_VARIABLE) or "out")
    else:
        places = (environ.get(RUNS_VARIABLE) or ".runs", environ.get(OUT_VARIABLE) or "out", *CHECKLISTS)
    outer = os.path.realpath(root)
    relative = (os.path.relpath(os.path.join(outer, place), inner) for place in places)
    return Scope(tuple(os.fsencode(name) for name in relative if not name.startswith("..")), tuple(ignored), code)
