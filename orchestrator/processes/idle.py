"""The host of a run in which nothing is started."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.processes.messages import Heard


class NoProcesses:
    """A process host without a guard, for a run whose every stage is spared; starting something is an error."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        """Return a descriptor that is never readable."""
        return self._read

    def spawn(self, key: int, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], output_fd: int) -> None:
        """Raise RuntimeError: nothing is to be started."""
        raise RuntimeError(f"'{argv[0]}' was to be started in a run that starts nothing")

    def terminate(self, key: int, *, grace_seconds: float) -> None:
        """Nothing runs."""

    def terminate_all(self, *, grace_seconds: float) -> None:
        """Nothing runs."""

    def messages(self) -> list[Heard]:
        """Return nothing: nothing is heard."""
        return []

    def adopt_keep_fd(self, fd: int) -> None:
        """The caller's own descriptor holds the lock for as long as the run takes."""

    def close(self, *, timeout_seconds: float) -> int:
        """Close the descriptors; harmless when repeated."""
        for name in ("_read", "_write"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)
        return 0
