"""Git, as an argument: what it is asked and what it said."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_SECONDS = 60


class GitAnswer(NamedTuple):
    """What git said: ``code`` is its exit code, or None when it could not be started."""

    code: int | None
    stdout: str
    stderr: str = ""


Git = Callable[[Sequence[str]], GitAnswer]
"""Runs ``git`` with arguments in the workspace."""


def system_git(root: str, environ: Mapping[str, str]) -> Git:
    """Return what runs the real git in ``root``, with ``environ`` but for what points it at another repository."""
    redirects = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"}
    env = {name: text for name, text in environ.items() if name not in redirects}
    env.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0")

    def git(args: Sequence[str]) -> GitAnswer:
        import subprocess

        try:
            done = subprocess.run(
                ["git", "-C", root, *args],
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return GitAnswer(None, "", str(error))
        return GitAnswer(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))

    return git
