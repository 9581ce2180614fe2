"""The process of a run on a worker, as its agent sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.json_values import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROGRAM = "orchestrator.commands.run.worker_run"
_PRIVATE = ("CODEX_ORCHESTRATOR_", "MCP_RUNNER_", "DASK_")
_OURS = frozenset({"BASE_SHA", "VIRTUAL_ENV", "NOX_CURRENT_SESSION"})


class WorkerProcess:
    """A run's process: where it works, and its pipe."""

    def __init__(self, run_id: str, attempt: int, n: int, lease_seconds: float) -> None:
        self.run_id, self.attempt, self.n = run_id, attempt, n
        self.lease_seconds = lease_seconds
        self.process: asyncio.subprocess.Process | None = None
        self.record = ""
        self.is_stopped = False
        self.is_over = False

    def has_stop(self) -> bool:
        """Tell whether somebody asked for the end."""
        return self.is_stopped

    def stop(self) -> None:
        """End the run as a stop signal does; its own process closes the record."""
        self.is_stopped = True
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the run at once; its guard kills what is left."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


async def start_waiting(output: str) -> asyncio.subprocess.Process:
    """Start the program of a run, which then waits for its request; what it prints goes to the file ``output``.

    Its environment is the worker's own, without what is of this process alone. Raises OSError.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE) and name not in _OURS}
    with open(output, "wb") as stream:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            _PROGRAM,
            cwd=os.path.dirname(output),
            env=own,
            stdin=asyncio.subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def give_request(process: asyncio.subprocess.Process, request: Mapping[str, Any]) -> None:
    """Give a waiting program its request, a line. Raises OSError when it has ended."""
    assert process.stdin is not None  # noqa: S101 -- it is a pipe
    process.stdin.write(json_text(dict(request)).encode() + b"\n")


def read_reply(path: str) -> dict[str, Any]:
    """Return what the process reports of its end, empty when it reported nothing."""
    try:
        with open(path, encoding="utf-8") as stream:
            found: dict[str, Any] = json.load(stream)
    except (OSError, ValueError):
        return {}
    return found


def last_line(path: str) -> str:
    """Return the last line that the process printed, behind a colon; empty when it printed nothing."""
    with suppress(OSError), open(path, "rb") as stream:
        lines = stream.read()[-4096:].decode("utf-8", "replace").strip().splitlines()
        if lines:
            return f": {lines[-1][:200]}"
    return ""
