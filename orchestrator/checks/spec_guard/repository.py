"""Git, as an argument: what it is asked and what it answered."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from orchestrator.base.record import Record
from orchestrator.git.process import GitProcess, why_no_answer
from orchestrator.git.repository import common_folder
from orchestrator.git.tree_on_disk import differences_unseen, ignored_by_user
from orchestrator.git.work_tree import WorkTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

_SECONDS = 60.0


class GitReply(Record):
    """What git answered: ``code`` is its exit code, or None when it could not be started or took too long."""

    code: int | None
    stdout: str
    stderr: str = ""


class UnseenByGit(Record):
    """Where git's word on a working tree is not the disk's; paths from the repository's top.

    ``hidden`` differ from the index and git was set not to look; ``same`` are named by git as changed and only
    stored in another form by a filter; of ``unknown`` nobody can tell, since a filter that is not run stores them.
    ``personal`` are untracked files that only the user's own rules ignore, hidden ones left out.
    """

    hidden: frozenset[str] = frozenset()
    same: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    personal: frozenset[str] = frozenset()


class Git(Protocol):
    """Runs ``git`` with arguments in one folder."""

    def __call__(self, args: Sequence[str]) -> GitReply:
        """Return what git answered."""

    def together(self, *commands: Sequence[str]) -> list[GitReply]:
        """Return what git answered to each command; they run at the same time."""

    def unseen(self, folder: str, named: frozenset[str]) -> UnseenByGit:
        """Return what git does not see right below ``folder``; ``named`` are the files that it calls changed.

        Raises OSError where nobody can tell.
        """

    def shallow(self) -> frozenset[str]:
        """Return the commits whose parents a shallow clone has cut off; none of a whole clone."""


GitIn = Callable[[str], Git]
"""Returns the git of a folder."""


class FolderGit:
    """The real git in a folder: at the top of the working tree that holds it, where there is one."""

    def __init__(self, folder: str, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._work: WorkTree | None = None
        self._refused = ""
        try:
            self._work = WorkTree.around(folder, environ)
        except OSError as error:
            self._refused = why_no_answer(error)

    def __call__(self, args: Sequence[str]) -> GitReply:
        """Return what git answered, within a minute."""
        [answer] = self.together(args)
        return answer

    def together(self, *commands: Sequence[str]) -> list[GitReply]:
        """Return what git answered to each command, within a minute; they run at the same time."""
        if self._refused:
            return [GitReply(None, "", self._refused) for _ in commands]
        started: list[GitProcess | OSError] = []
        try:
            started += map(self._started, commands)
            return list(map(_reply, started))
        finally:
            for process in started:
                if isinstance(process, GitProcess):
                    process.end()

    def unseen(self, folder: str, named: frozenset[str]) -> UnseenByGit:
        """Return what git does not see right below ``folder``. Raises OSError where nobody can tell."""
        if self._work is None:
            return UnseenByGit()
        found = differences_unseen(self._work, folder, frozenset(map(os.fsencode, named)))
        hidden, same, unknown = (
            frozenset(os.fsdecode(path) for path in paths) for paths in (found.hidden, found.same, found.unknown)
        )
        personal = frozenset(map(os.fsdecode, ignored_by_user(self._work, folder)))
        return UnseenByGit(hidden, same, unknown, personal)

    def shallow(self) -> frozenset[str]:
        """Return the commits whose parents a shallow clone has cut off (gitrepository-layout(5), "shallow")."""
        if self._work is None:
            return frozenset()
        with suppress(OSError), open(os.path.join(common_folder(self._work.top), "shallow"), encoding="ascii") as file:
            return frozenset(file.read().split())
        return frozenset()

    def _started(self, args: Sequence[str]) -> GitProcess | OSError:
        try:
            if self._work is not None:
                return self._work.start(args)
            return GitProcess.start(self._folder, args, self._environ, paths=None)
        except OSError as error:
            return error


def _reply(started: GitProcess | OSError) -> GitReply:
    if isinstance(started, OSError):
        return GitReply(None, "", why_no_answer(started))
    try:
        answer = started.answer(_SECONDS)
    except OSError as error:  # TimeoutError is one
        return GitReply(None, "", why_no_answer(error))
    return GitReply(answer.code, os.fsdecode(answer.output), os.fsdecode(answer.complaint))


def system_git(environ: Mapping[str, str]) -> GitIn:
    """Return what runs the real git in a folder; ``environ`` is the caller's (``git.environment``)."""
    return lambda folder: FolderGit(folder, environ)
