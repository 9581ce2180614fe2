"""git as its user has it: what reaches remotes and signs needs the user's helpers, keys and settings.

``git.process`` looks at a repository and trusts nothing of it, ``git.scratch`` writes into repositories made for the
purpose; here the user's own repository is written to, because the user asked for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence

from orchestrator.git.environment import USER_OPTIONS, user_git_environ
from orchestrator.git.process import NO_GIT, found_on_path, why_no_answer

GitRun = Callable[[Sequence[str], bytes, Mapping[str, str]], tuple[int, str, str]]
"""Runs git with words, an input and variables besides; returns its exit code, its output and what it complains of."""

_SECONDS = 120


def user_git(root: str, environ: Mapping[str, str]) -> GitRun:
    """Return what runs git in ``root``, and waits for it 120 s at the most.

    A git that can't be started, or takes longer, ends with 1 and its cause as complaint: nothing is raised.
    """

    def run(words: Sequence[str], data: bytes, names: Mapping[str, str]) -> tuple[int, str, str]:
        env = {**user_git_environ(environ), **names}
        command = ["git", *USER_OPTIONS, "-C", root, *words]
        try:
            done = subprocess.run(command, env=env, input=data, capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return 1, "", f"git did not answer within {_SECONDS} s"
        except OSError as error:
            return 1, "", NO_GIT if found_on_path("git", env) is None else why_no_answer(error)
        return done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr)

    return run
