"""Git, as an argument: what it is asked and what it said."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.record import Record

_SECONDS = 60
_OPTIONS = ("--no-pager", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false")
_KEPT = frozenset({"GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"})
_KEPT_PREFIX = "GIT_CONFIG"


class GitAnswer(Record):
    """What git said: ``code`` is its exit code, or None when it could not be started."""

    code: int | None
    stdout: str
    stderr: str = ""


Git = Callable[[Sequence[str]], GitAnswer]
"""Runs ``git`` with arguments in one folder."""

GitIn = Callable[[str], Git]
"""Returns the git of a folder."""


def system_git(environ: Mapping[str, str]) -> GitIn:
    """Return what runs the real git in a folder.

    It gets ``environ`` but for git's own variables, which point it at other repositories and change what a
    path means; it starts nothing that goes on, and asks nobody.
    """
    env = {name: text for name, text in environ.items() if _is_passed(name)}
    env.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0")

    def git_in(folder: str) -> Git:
        return lambda args: _answer(["git", *_OPTIONS, "-C", folder, *args], env)

    return git_in


def _is_passed(name: str) -> bool:
    return not name.startswith("GIT_") or name in _KEPT or name.startswith(_KEPT_PREFIX)


def _answer(argv: list[str], env: Mapping[str, str]) -> GitAnswer:
    import subprocess

    try:
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return GitAnswer(None, "", str(error))
    return GitAnswer(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))
