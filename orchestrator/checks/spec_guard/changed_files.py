"""The files that differ from a commit on disk, whatever git was set not to look at."""

from __future__ import annotations

from orchestrator.base.record import Record
from orchestrator.checks.spec_guard.repository import Git, GitReply
from orchestrator.git.porcelain import DIFF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

_UNTRACKED = ("ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")


class ChangedFiles(Record):
    """Paths from the repository's top; ``nested``: untracked repositories in their place, without a slash behind."""

    tracked: frozenset[str]
    untracked: frozenset[str]
    nested: frozenset[str]


class GitFailedError(Exception):
    """Git can't say what changed."""

    def __init__(self, reply: GitReply) -> None:
        super().__init__(reply.stderr)
        self.reply = reply


def changed_files(
    git: Git, folder: str, base: str, *, ignored_in_submodules: Literal["untracked", "none"] = "untracked"
) -> ChangedFiles:
    """Return the files of a repository that differ from ``base`` on disk; a renamed one by both names.

    ``folder`` (absolute) is where what git does not see is looked for too. Raises GitFailedError.
    """
    names = (*DIFF, "--name-only", f"--ignore-submodules={ignored_in_submodules}")
    tracked, untracked = git.together([*names, base, "--"], _UNTRACKED)
    for answer in (tracked, untracked):
        if answer.code != 0:
            raise GitFailedError(answer)
    named = frozenset(names_of(tracked))
    try:
        unseen = git.unseen(folder, named)
    except OSError as error:
        raise GitFailedError(GitReply(None, "", str(error))) from error
    filtered = unseen.same | unseen.unknown
    if filtered:
        # What was committed since the base differs whatever a filter makes of it.
        filtered -= frozenset(names_of(git([*names, base, "HEAD", "--"])))
    others = names_of(untracked)
    return ChangedFiles(
        (named - filtered) | unseen.hidden,
        frozenset(name for name in {*others, *unseen.personal} if name[-1] != "/"),
        frozenset(name.rstrip("/") for name in others if name.endswith("/")),
    )


def names_of(answer: GitReply) -> list[str]:
    """Return the paths in an answer in git's form with NULs."""
    return [name for name in answer.stdout.split("\0") if name]
