"""A guard that is started with the first command: a run in which nothing has to run needs none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from orchestrator.process.messages import Heard, ProcessHost


class LateGuard:
    """A ``ProcessHost`` that has its guard made by ``start`` when it is needed; what that raises, ``spawn`` raises."""

    def __init__(self, start: Callable[[], ProcessHost]) -> None:
        self._start = start
        self._guard: ProcessHost | None = None
        self._kept: list[int] = []

    def fileno(self) -> int:
        """Return the guard's descriptor; there is none before the first ``spawn``."""
        return self._begun().fileno()

    def spawn(self, key: int, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], output_fd: int) -> None:
        """Start a command; see ``ProcessHost.spawn``."""
        self._begun().spawn(key, argv, cwd=cwd, env=env, output_fd=output_fd)

    def terminate(self, key: int, *, grace_seconds: float) -> None:
        """End one stage's tree; see ``ProcessHost.terminate``."""
        if self._guard is not None:
            self._guard.terminate(key, grace_seconds=grace_seconds)

    def terminate_all(self, *, grace_seconds: float) -> None:
        """End every stage's tree; see ``ProcessHost.terminate``."""
        if self._guard is not None:
            self._guard.terminate_all(grace_seconds=grace_seconds)

    def watch(self) -> float | None:
        """Mind what was stopped or is due; see ``ProcessHost.watch``."""
        return None if self._guard is None else self._guard.watch()

    def messages(self) -> list[Heard]:
        """Return what has been heard since the last call, without waiting."""
        return [] if self._guard is None else self._guard.messages()

    def adopt_keep_fd(self, fd: int) -> None:
        """Hold a descriptor open until every stage's tree is gone; the caller may close its copy."""
        if self._guard is None:
            self._kept.append(os.dup(fd))
        else:
            self._guard.adopt_keep_fd(fd)

    def close(self, *, timeout_seconds: float) -> int:
        """Kill what is left, wait until it is gone, and return the number of processes killed."""
        self._give_back()
        return 0 if self._guard is None else self._guard.close(timeout_seconds=timeout_seconds)

    def _begun(self) -> ProcessHost:
        if self._guard is None:
            self._guard = self._start()
            for fd in self._kept:
                self._guard.adopt_keep_fd(fd)
            self._give_back()
        return self._guard

    def _give_back(self) -> None:
        for fd in self._kept:
            os.close(fd)
        self._kept.clear()
