"""A working tree, and what git must be started with there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.base.record import Record
from orchestrator.git.process import GitProcess
from orchestrator.git.repository import git_folder, repository_top
from orchestrator.git.settings import TreeSettings, tree_settings

GIT_SECONDS = 30.0
"""One question about a tree takes no longer."""


class WorkTree(Record):
    """A working tree at ``top`` (links followed), and what git must be started with there."""

    top: str
    environ: Mapping[str, str]
    settings: TreeSettings = TreeSettings()

    @classmethod
    def around(cls, folder: str, environ: Mapping[str, str]) -> WorkTree | None:
        """Return the working tree that holds ``folder``, None where there is none. Raises OSError without git."""
        top = repository_top(folder)
        return None if top is None else cls(top, environ, tree_settings(top, environ))

    def start(self, command: Sequence[str], folder: str | None = None) -> GitProcess:
        """Start git, on what lies below ``folder`` or, left out, as ``command`` says. Raises OSError."""
        paths = None if folder is None else (self.pathspec(folder),)
        return GitProcess.start(
            self.top, command, self.environ, paths=paths, work_tree=self.top, settings=self.settings.pairs
        )

    def pathspec(self, folder: str) -> str:
        """Return what names the files below ``folder`` to git, whatever characters it has."""
        inner = os.path.relpath(os.path.realpath(folder), self.top)
        return "." if inner == "." else f":(top,literal){inner}"

    @property
    def index_file(self) -> str:
        """The path of the index."""
        return os.path.join(git_folder(self.top), "index")
