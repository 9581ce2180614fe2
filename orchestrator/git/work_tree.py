"""A working tree, and what git must be started with there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.base.record import Record
from orchestrator.git.process import GitProcess
from orchestrator.git.repository import common_folder, git_folder, repository_top
from orchestrator.git.settings import TreeSettings, tree_settings

GIT_SECONDS = 30.0
"""One question about a tree takes no longer."""

CONVERSIONS = ("ident", "working-tree-encoding")
"""The attributes by which git itself takes other bytes on disk for those of the commit (gitattributes(5))."""

RULES = ".gitattributes"
_RULES_BYTES = 1 << 20


class WorkTree(Record):
    """A working tree at ``top`` (links followed), and what git must be started with there."""

    top: str
    environ: Mapping[str, str]
    settings: TreeSettings = TreeSettings()

    @classmethod
    def around(cls, folder: str, environ: Mapping[str, str]) -> WorkTree | None:
        """Return the working tree that holds ``folder``, None where there is none. Raises OSError without git."""
        top = repository_top(folder)
        return None if top is None else cls.at(top, environ)

    @classmethod
    def at(cls, top: str, environ: Mapping[str, str]) -> WorkTree:
        """Return the working tree at ``top``. Raises OSError without git."""
        return cls(top, environ, tree_settings(top, environ))

    def start(self, command: Sequence[str], folder: str | None = None) -> GitProcess:
        """Start git, on what lies below ``folder`` or, left out, as ``command`` says. Raises OSError."""
        return self.start_on(command, None if folder is None else (self.pathspec(folder),))

    def start_on(self, command: Sequence[str], paths: Sequence[str] | None) -> GitProcess:
        """Start git on the files that ``paths`` name (``pathspec``), None: as ``command`` says. Raises OSError."""
        return GitProcess.start(
            self.top, command, self.environ, paths=paths, work_tree=self.top, settings=self.settings.pairs
        )

    def pathspec(self, folder: str) -> str:
        """Return what names the files below ``folder`` to git, whatever characters it has."""
        inner = os.path.relpath(os.path.realpath(folder), self.top)
        return "." if inner == "." else f":(top,literal){inner}"

    def pathspecs(self, folders: Iterable[str]) -> list[str]:
        """Return what names the files below those of ``folders`` that lie in this tree."""
        inside = self.top.rstrip(os.sep) + os.sep
        return [self.pathspec(folder) for folder in folders if f"{os.path.realpath(folder)}{os.sep}".startswith(inside)]

    def rules(self, folders: Iterable[str]) -> bytes:
        """Return what the repository's own attributes say, and the files of attributes in ``folders`` below the top."""
        places = [os.path.join(common_folder(self.top), "info", "attributes")]
        places += [os.path.join(self.top, folder, RULES) for folder in folders]
        return b"\n".join(map(_content, places))

    def may_convert(self, folder: str) -> bool:
        """Tell whether a rule that stands in ``folder`` or above it names a conversion; rules below it are not read."""
        inner = os.path.relpath(os.path.realpath(folder), self.top)
        above = ["", inner]
        while inner := os.path.dirname(inner):
            above.append(inner)
        return names_conversion(self.rules(above))

    @property
    def index_file(self) -> str:
        """The path of the index."""
        return os.path.join(git_folder(self.top), "index")


def names_conversion(rules: bytes) -> bool:
    """Tell whether rules of attributes name one by which git converts files."""
    return any(name.encode() in rules for name in CONVERSIONS)


def _content(place: str) -> bytes:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(place, flags), "rb") as stream:
            return stream.read(_RULES_BYTES)
    except OSError:
        return b""
