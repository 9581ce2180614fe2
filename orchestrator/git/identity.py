"""The names that git's settings give its user."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.git.process import GitProcess

_TIMEOUT_SECONDS = 10.0
_QUERY = ("config", "--null", "--get-regexp", r"^user\.(name|email)$")


def git_names(folder: str, environ: Mapping[str, str]) -> list[str]:
    """Return ``user.name`` and ``user.email`` as git has them in ``folder``; none where it can't tell.

    A hook's ``GIT_DIR`` does not decide whose they are (``environment.git_environ``).
    """
    place = folder if os.path.isdir(folder) else "/"
    try:
        answer = GitProcess.start(place, _QUERY, environ, paths=None).answer(_TIMEOUT_SECONDS)
    except OSError:  # TimeoutError is one
        return []
    entries = answer.output.decode("utf-8", "replace").split("\0")
    return [value for _, _, value in (entry.partition("\n") for entry in entries) if value]
