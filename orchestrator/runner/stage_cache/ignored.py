"""Which files of a project git ignores: a wildcard does not mean them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from orchestrator.git.porcelain import STATUS_AND_IGNORED, ignored_below
from orchestrator.git.process import GitProcess
from orchestrator.git.work_tree import WorkTree

_TIMEOUT_SECONDS = 30.0


class Ignored:
    """What git ignores below a folder. git is started at once and read when the answer is needed.

    ``known`` may give the first answer in its place. Where there is no repository, or git can't tell, nothing is
    ignored: then files count that need not, which costs a run of a stage and never spares a wrong one.
    """

    def __init__(
        self, folder: str, environ: Mapping[str, str], known: Callable[[], frozenset[str]] | None = None
    ) -> None:
        self._folder = folder
        self._environ = environ
        self._known = known
        self._top: str | None = None
        self._process: GitProcess | None = None
        self._names: frozenset[str] = frozenset()
        if known is None:
            self.ask()

    def ask(self) -> None:
        """Ask git anew: something may have been written since."""
        self.abandon()
        with suppress(OSError):
            work = WorkTree.around(self._folder, self._environ)
            if work is not None:
                self._top = work.top
                self._process = work.start(STATUS_AND_IGNORED, self._folder)

    def names(self) -> frozenset[str]:
        """Return the files and folders that git ignores; what lies in such a folder is not listed."""
        known, self._known = self._known, None
        if known is not None:
            self._names = known()
        process, self._process = self._process, None
        if process is not None:
            with suppress(TimeoutError):
                self._names = ignored_below(self._top or "", self._folder, process.answer(_TIMEOUT_SECONDS))
        return self._names

    def abandon(self) -> None:
        """End git and forget it; harmless when repeated."""
        self._known = None
        process, self._process = self._process, None
        if process is not None:
            process.end()
