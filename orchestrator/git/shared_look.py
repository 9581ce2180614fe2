"""What is the same for many folders of a working tree, for those who look at one after another."""

from __future__ import annotations

import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from functools import partial

from orchestrator.git.host import tools
from orchestrator.git.porcelain import STATUS_AND_IGNORED, prefix_of
from orchestrator.git.process import GitAnswer, GitProcess
from orchestrator.git.repository import repository_top
from orchestrator.git.work_tree import WorkTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VALID_SECONDS = 1.0
"""An answer stands for so long: then git is asked again."""

_PATH_AT = {b"1": 8, b"u": 10, b"?": 1, b"!": 1}
"""How many spaces stand before the path in a record of ``git status --porcelain=v2``, by its kind."""


class Stated:
    """An answer that is known already, where a ``GitProcess`` is expected."""

    def __init__(self, known: GitAnswer) -> None:
        self._known = known

    def answer(self, timeout_seconds: float) -> GitAnswer:
        """Return what git said."""
        return self._known

    def end(self) -> None:
        """Do nothing: nothing is at work."""


class SharedLook:
    """A look at ``folders`` (absolute paths) for one environment. ``monotonic`` is the clock, in seconds.

    What was seen counts from ``not_before`` on (monotonic seconds), and stands for ``VALID_SECONDS``.
    """

    def __init__(self, folders: Collection[str], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folders = frozenset(folders)
        self._monotonic = monotonic
        self.not_before = 0.0
        self._seen: dict[tuple[object, ...], tuple[float, Any]] = {}

    def work_tree(self, folder: str, environ: Mapping[str, str]) -> WorkTree | None:
        """Return the working tree that holds one of the folders, None where there is none. Raises OSError."""
        top = repository_top(folder)
        if top is None:
            return None
        tree: WorkTree = self._once(("tree", top), lambda: WorkTree.at(top, environ))
        return tree

    def tools(self) -> dict[str, Any]:
        """Return the versions of the tools that this process finds."""
        found: dict[str, Any] = self._once(("tools",), lambda: tools(sys.path))
        return found

    def account(self, work: WorkTree | None, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return who works in a tree (None: in no repository), which ``ask`` finds out."""
        account: dict[str, Any] = self._once(("account", None if work is None else work.top), ask)
        return account

    def status(self, work: WorkTree, folder: str, timeout_seconds: float) -> Stated | GitProcess:
        """Return ``STATUS_AND_IGNORED`` of one of the folders, known or on its way. Raises OSError.

        Waits for the git that is asked of all folders, half of ``timeout_seconds`` at most. Where its answer does not
        decide what is below this folder, another is asked of it alone; of all later ones too where it was too slow.
        """
        if folder in self._folders and len(self._folders) > 1:
            look = partial(self._of_all, work, timeout_seconds / 2)
            whole: _Whole | None = self._once(("status", work.top, work.settings.pairs), look)
            answer = None if whole is None else whole.below(prefix_of(work.top, folder))
            if answer is not None:
                return Stated(answer)
        return work.start(STATUS_AND_IGNORED, folder)

    def _once(self, key: tuple[object, ...], look: Callable[[], Any]) -> Any:
        """Return what ``look`` returned last, or returns now where that does not count any more."""
        now = self._monotonic()
        at, seen = self._seen.get(key, (0.0, None))
        if seen is None or at < max(self.not_before, now - VALID_SECONDS):
            seen = look()
            self._seen[key] = now, seen
        return seen

    def _of_all(self, work: WorkTree, timeout_seconds: float) -> _Whole | None:
        try:
            process = work.start_on(STATUS_AND_IGNORED, work.pathspecs(sorted(self._folders)))
            return _Whole(process.answer(timeout_seconds))
        except OSError:  # TimeoutError among them
            self._folders = frozenset()
            return None


class _Whole:
    """What git said of all folders, taken apart once."""

    def __init__(self, answer: GitAnswer) -> None:
        self._is_whole = answer.code == 0
        self._head: list[bytes] = []
        entries: list[tuple[bytes, bytes]] = []
        for record in answer.output.split(b"\0") if self._is_whole else ():
            if record[:2] == b"# ":
                self._head.append(record)
            elif record:
                before = _PATH_AT.get(record[:1], 0)
                fields = record.split(b" ", before)
                self._is_whole = self._is_whole and 0 < before < len(fields)
                entries.append((fields[-1], record))
        entries.sort(key=lambda entry: entry[0])  # of a path that has two records, the last one counts
        self._paths = [path for path, _ in entries]
        self._records = [record for _, record in entries]

    def below(self, prefix: bytes) -> GitAnswer | None:
        """Return what git says of the paths with ``prefix`` alone; None where this answer does not say it."""
        if not self._is_whole or self._covers(prefix):
            return None
        begin = bisect_left(self._paths, prefix)
        end = bisect_left(self._paths, prefix[:-1] + b"0") if prefix else len(self._paths)  # "0" follows "/"
        return GitAnswer(0, b"".join(record + b"\0" for record in (*self._head, *self._records[begin:end])), b"")

    def _covers(self, prefix: bytes) -> bool:
        """Tell whether a record stands for a folder that holds the prefix, or for the folder itself."""
        above = prefix
        while above:
            for path in (above, above[:-1]):
                at = bisect_left(self._paths, path)
                if self._paths[at : at + 1] == [path]:
                    return True
            above = above[:-1].rpartition(b"/")[0] + b"/"
            if above == b"/":
                break
        return False
