"""The stage of another run that started this process, if one did: whether it is still there."""

from __future__ import annotations

import os


def leader_of_starter() -> int | None:
    """Return the process that leads the session in which this one was started: below a stage, that stage's own."""
    try:
        return os.getsid(os.getppid())
    except OSError:
        return None


def is_there(pid: int | None) -> bool:
    """Tell whether a process is there; None is one that is not known, and counts as there."""
    try:
        os.kill(pid or os.getpid(), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
