"""Signals as bytes in a pipe: what SIGINT, SIGTERM and SIGHUP do to a run is decided in its loop."""

from __future__ import annotations

import contextlib
import os
from types import FrameType, TracebackType

from orchestrator.base import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STOPPING = (signals.SIGINT, signals.SIGTERM, signals.SIGHUP)


class SignalInbox:
    """Collects stop signals while it is open. Use it in a ``with`` statement, in the main thread.

    A signal that was ignored at the start stays ignored: ``nohup`` and background jobs rely on it.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if hasattr(os, "pipe2") else _pipe()
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1
        self.has_heard = False
        """Whether a stop signal came since it was opened."""

    def __enter__(self) -> SignalInbox:
        self._wakeup_before = signals.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in STOPPING:
            if signals.getsignal(number) != signals.SIG_IGN:
                self._before[number] = signals.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signals.signal(number, handler)
        signals.set_wakeup_fd(self._wakeup_before)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Return the descriptor that is readable when a signal came."""
        return self._read

    def take(self) -> list[int]:
        """Return the numbers of the stop signals that came since the last call."""
        with contextlib.suppress(BlockingIOError):
            return [number for number in os.read(self._read, 512) if number in self._before]
        return []

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Note that one came: which it was, the wake-up descriptor has already."""
        self.has_heard = True


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    for fd in (read, write):
        os.set_blocking(fd, False)
    return read, write
