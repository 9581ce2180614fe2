"""Which files of a project git ignores: a wildcard does not mean them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.provenance.git import repository_top
from orchestrator.provenance.git_process import GitProcess

_IGNORED = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
_TIMEOUT_SECONDS = 30.0


class Ignored:
    """What git ignores below a folder. git is started at once and read when the answer is needed.

    Where there is no repository, or git can't tell, nothing is ignored: then files count that need not,
    which costs a run of a stage and never spares a wrong one.
    """

    def __init__(self, folder: str, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._process: GitProcess | None = None
        self._names: frozenset[str] = frozenset()
        self.ask()

    def ask(self) -> None:
        """Ask git anew: something may have been written since."""
        self.abandon()
        if repository_top(self._folder) is not None:
            with suppress(OSError):
                self._process = GitProcess.start(self._folder, _IGNORED, self._environ)

    def names(self) -> frozenset[str]:
        """Return the files and folders that git ignores, with ``/``; what lies in such a folder is not listed."""
        self._hear()
        return self._names

    def abandon(self) -> None:
        """End git and forget it; harmless when repeated."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _hear(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            answer = process.answer(_TIMEOUT_SECONDS)
        except TimeoutError:
            return
        if answer.code == 0:
            names = [os.fsdecode(name) for name in answer.output.split(b"\0") if name]
            folders = frozenset(name.rstrip("/") for name in names if name.endswith("/"))
            # git lists a folder, and what is in it once more where a pattern such as `dist/*` is what ignores it.
            self._names = frozenset(name.rstrip("/") for name in names if not _lies_in(name.rstrip("/"), folders))


def _lies_in(name: str, folders: frozenset[str]) -> bool:
    above = name.rpartition("/")[0]
    while above:
        if above in folders:
            return True
        above = above.rpartition("/")[0]
    return False
