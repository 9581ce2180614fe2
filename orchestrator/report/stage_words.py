"""How a stage stands, in few words."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STAGE_WORD = {"pending": "waiting", "running": "running", "succeeded": "ok", "failed": "failed", "skipped": "skipped"}
STAGE_STYLE = {"pending": "dim", "running": "cyan", "succeeded": "green", "failed": "red", "skipped": "yellow"}


def how_it_ended(command: Mapping[str, Any]) -> str:
    """Return the signal, the exit code or the unusual outcome of a stage in few words."""
    if command["outcome"] in ("timeout", "cancellation"):
        return str(command["outcome"])
    if command["signal"] is not None:
        return str(command["signal"])
    if command["exit_code"] is not None:
        return f"exit {command['exit_code']}"
    return "error" if command["outcome"] == "error" else ""


def run_detail(body: Mapping[str, Any]) -> str | None:
    """Return what a run's detail adds: not version 1's ``stage:<id>:failed``, which the failed stage says itself."""
    detail = body["status_detail"]
    return None if detail is None or str(detail).startswith("stage:") else str(detail)
