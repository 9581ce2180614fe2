"""The process of a run on a worker, as its agent sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.workspace import ROOT_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PRIVATE = ("CODEX_ORCHESTRATOR_", "MCP_RUNNER_", "DASK_")


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


def environ_for(workspace: str, terms: Mapping[str, Any]) -> dict[str, str]:
    """Return the run's environment: the worker's own, and what of the submitter's decides what is compared."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    for name in ("BASE_SHA", "VIRTUAL_ENV", "NOX_CURRENT_SESSION"):
        own.pop(name, None)
    return {**own, **terms["environ"], ROOT_VARIABLE: workspace}


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
