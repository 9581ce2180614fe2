"""The lease of a run on a worker, held in the run's own process: bytes on a pipe, and an end when they stay away.

It lives there and not in the agent, because an agent that is stopped or cut off can end nothing: then the engine runs
the work elsewhere, and two would go on (contract, section 12, promise 3).
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable

BYTE = b"."


def silence_seconds(lease_seconds: float) -> float:
    """Return how long a run takes silence on its pipe: the agent's own doubts take the other half of the lease."""
    return lease_seconds / 2


def hold_lease(fd: int, longest_silence: float, end: Callable[[], None] | None = None) -> threading.Thread:
    """Watch ``fd`` from now on: ``end`` is called when it is closed, or silent for ``longest_silence`` seconds.

    Left out, ``end`` is SIGKILL to this process: its guard then kills all that it started, without a grace period.
    """
    thread = threading.Thread(target=watch, args=(fd, longest_silence, end or _die), name="lease", daemon=True)
    thread.start()
    return thread


def watch(
    fd: int, longest_silence: float, end: Callable[[], None], monotonic: Callable[[], float] = time.monotonic
) -> None:
    """Return when the lease is over, after ``end`` was called."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ends_at = monotonic() + longest_silence
    while (left := ends_at - monotonic()) > 0:
        if poll.poll(left * 1000):
            if not os.read(fd, 4096):
                break
            ends_at = monotonic() + longest_silence
    end()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
