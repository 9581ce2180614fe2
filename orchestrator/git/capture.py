"""Capturing: git is started at once and read later, so that it works while this process does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping

from orchestrator.base.record import Record
from orchestrator.git import porcelain as git
from orchestrator.git.digest_cache import TreeMemory
from orchestrator.git.host import host, tools
from orchestrator.git.process import GitAnswer, GitProcess
from orchestrator.git.scope import Scope, scope_of
from orchestrator.git.tree import Entry, Hasher, TooMuch, digest, digest_of_lines, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.base.workspace import Workspace

TIMEOUT_SECONDS = 30.0
"""After this long, a run goes on without knowing its tree."""


class _Tree(Record):
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    tree_digest: str | None = None
    note: str | None = None

    def record(self) -> dict[str, Any]:
        return {
            "commit": self.commit,
            "branch": self.branch,
            "dirty": self.dirty,
            "tree_digest": self.tree_digest,
            "note": self.note,
        }


class Capture:
    """One capture, under way. ``finish`` it, or ``abandon`` it when the run is refused meanwhile."""

    def __init__(
        self,
        project_folder: str,
        scope: Scope,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = project_folder
        self._scope = scope
        self._monotonic = monotonic
        self._deadline = monotonic() + timeout_seconds
        self._timeout_seconds = timeout_seconds
        self._top: str | None = None
        self._processes: list[GitProcess] = []
        self._status: GitAnswer | None = None
        self._environ: Mapping[str, str] = {}
        self._memory: TreeMemory | None = None
        self._note: str | None = None

    @classmethod
    def begin(
        cls,
        project_folder: str,
        root: str,
        environ: Mapping[str, str],
        *,
        ignored: Iterable[str] = (),
        ignored_names: bool = False,
        workspace: Workspace | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Capture:
        """Start looking at ``project_folder``, of the workspace at ``root``, without waiting for anything.

        ``ignored``: globs of untracked files that are no part of the tree, as outputs of stages.
        ``ignored_names``: git is also asked what it ignores itself. ``workspace`` may keep the digest of the last
        commit. Raises nothing: what can't be told is null in the result, with a note.
        """
        capture = cls(project_folder, scope_of(project_folder, root, environ, ignored), timeout_seconds=timeout_seconds)
        capture._top = git.repository_top(project_folder)
        if capture._top is not None:
            if workspace is not None and not capture._scope.excluded:
                capture._memory = TreeMemory(workspace, capture._top, project_folder)
            capture._start(git.STATUS_AND_IGNORED if ignored_names else git.STATUS, environ)
        return capture

    def finish(self) -> dict[str, Any]:
        """Return the provenance of an attempt, waiting for git until the timeout at most.

        Keys: ``commit, branch, dirty, tree_digest, note, host, platform, python, tools``. ``branch`` is
        null on a detached HEAD, ``commit`` before the first commit and outside git; ``note`` says why
        something else is null, or that the digest was made without git.
        """
        return {**self.finish_tree(), **host(), "tools": tools(sys.path)}

    def finish_tree(self) -> dict[str, Any]:
        """Return only ``commit, branch, dirty, tree_digest, note``."""
        try:
            return self._tree().record()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End git's processes and forget them; harmless when repeated."""
        for process in self._processes:
            process.end()
        self._processes = []

    def ignored_names(self) -> frozenset[str]:
        """Return the files and folders below the project's folder that git ignores; none where it can't tell.

        What lies in such a folder is not listed. Waits for git until the timeout at most.
        """
        if self._status is None and not self._processes:
            return frozenset()
        try:
            return git.ignored_below(self._top or "", self._folder, self._status_answer())
        except TimeoutError:
            return frozenset()

    def _status_answer(self) -> GitAnswer:
        if self._status is None:
            self._status = self._processes[0].answer(max(0.0, self._left()))
        return self._status

    def _start(self, status: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self._environ = environ
        try:
            self._processes.append(GitProcess.start(self._folder, status, environ))
            if self._memory is None or not self._memory.is_likely:
                self._list()
        except OSError as error:
            self.abandon()
            self._note = f"git can't be started: {error.strerror}"

    def _list(self) -> GitProcess:
        """Return the git that lists the index, started now if it was not."""
        if len(self._processes) == 1:
            self._processes.append(GitProcess.start(self._folder, git.LIST, self._environ))
        return self._processes[1]

    def _tree(self) -> _Tree:
        if not self._processes:
            return self._walked(self._note)
        try:
            status = self._status_answer()
            remembered = self._remembered(status)
            if remembered is not None:
                return remembered
            listed = self._list().answer(max(0.0, self._left()))
        except TimeoutError:
            return _Tree(note=f"git did not answer within {self._timeout_seconds:g} s")
        except OSError as error:
            return self._walked(f"git can't be started: {error.strerror}")
        for answer in (status, listed):
            if answer.code != 0:
                return self._walked(f"git could not read this folder: {_first_line(answer.complaint)}")
        try:
            found = git.parse_status(status.output)
            whole = None if found.changes or self._scope.excluded else self._digest_of_index(listed.output)
            if whole is not None:
                if self._memory is not None and found.commit is not None:
                    self._memory.keep(found.commit, whole)
                return _Tree(found.commit, found.branch, False, whole)
            return self._told(found, git.parse_list(listed.output))
        except ValueError as error:
            return self._walked(f"git's answer was not understood: {error}")

    def _remembered(self, status: GitAnswer) -> _Tree | None:
        """Return the tree that was kept of the same commit, if nothing differs from it."""
        if self._memory is None or status.code != 0:
            return None
        try:
            found = git.parse_status(status.output)
        except ValueError:
            return None
        digest = None if found.changes or found.commit is None else self._memory.digest_at(found.commit)
        return None if digest is None else _Tree(found.commit, found.branch, False, digest)

    def _digest_of_index(self, listed: bytes) -> str | None:
        """Return the tree's digest where nothing differs from HEAD and all counts; None where it takes more care."""
        data = git.digested(listed, git.prefix_of(self._top or "", self._folder))
        return digest_of_lines(data) if data else None

    def _told(self, status: git.Status, listed: Mapping[bytes, Entry]) -> _Tree:
        if not listed and not status.changes and os.path.realpath(self._folder) != self._top:
            return self._walked("the repository around this folder does not track it")
        try:
            tree, dirty = git.tree_of(self._top or "", self._folder, status, listed, self._scope, self._hasher())
        except TooMuch as error:
            return _Tree(status.commit, status.branch, bool(status.changes), None, f"no digest of the tree: {error}")
        return _Tree(status.commit, status.branch, dirty, tree)

    def _walked(self, note: str | None) -> _Tree:
        try:
            entries = walk(os.fsencode(self._folder), self._scope, self._hasher())
        except TooMuch as error:
            return _Tree(note="; ".join(filter(None, (note, f"no digest of the tree: {error}"))))
        return _Tree(tree_digest=digest(entries), note=note)

    def _hasher(self) -> Hasher:
        return Hasher(deadline=self._deadline, monotonic=self._monotonic)

    def _left(self) -> float:
        return self._deadline - self._monotonic()


def tree_state(
    project_folder: str, root: str, environ: Mapping[str, str], *, ignored: Iterable[str] = ()
) -> dict[str, Any]:
    """Return ``commit, branch, dirty, tree_digest, note`` of the folder as it is now, to compare with a record's."""
    return Capture.begin(project_folder, root, environ, ignored=ignored).finish_tree()


def _first_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[0][:200] if lines else "no cause given"
