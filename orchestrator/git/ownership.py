"""Checkouts of another owner, which git refuses to read until the user says that they may be read (safe.directory)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.git.process import NO_GIT, GitProcess
from orchestrator.git.repository import repository_top

_ADVICE = re.compile(r"^\s*(git config --global --add safe\.directory \S.*?)\s*$", re.M)
"""The command in git's message (git 2.35.2 and later)."""

GET_GIT = "install git, or put its folder on PATH"

_TIMEOUT_SECONDS = 10.0


def exception_command(complaint: str) -> str:
    """Return the command that git's ``complaint`` names for a checkout of another owner, empty for other complaints."""
    found = _ADVICE.search(complaint)
    return "" if found is None else found[1]


def remedy(complaint: str) -> str:
    """Return what to do about a ``complaint`` of git's, or that there is none; empty where that is not known."""
    return GET_GIT if complaint.strip() == NO_GIT else exception_command(complaint)


def foreign_repositories(folders: Iterable[str], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the repositories above ``folders`` that git refuses for their owner, each with the command that allows it.

    A git that can't be started, or doesn't answer, refuses nothing.
    """
    for top in dict.fromkeys(filter(None, map(repository_top, folders))):
        try:
            answer = GitProcess.start(top, ("rev-parse", "--git-dir"), environ, paths=None).answer(_TIMEOUT_SECONDS)
        except OSError:  # TimeoutError too
            continue
        command = exception_command(answer.complaint.decode("utf-8", "replace"))
        if answer.code != 0 and command:
            yield top, command
