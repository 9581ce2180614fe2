"""An observer for nobody: what is to be seen is read from the record."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Unseen:
    """Shows nothing."""

    refresh_seconds: float | None = None

    def __init__(self) -> None:
        self.sink = Sink(None, {})

    def event(self, event: Mapping[str, Any]) -> None:
        """Leave an event to the record."""

    def output(self, stage_id: str, data: bytes) -> None:
        """Leave output to the stage's log."""

    def tick(self) -> None:
        """Nothing changes with time alone."""

    def close(self) -> None:
        """Nothing is delayed."""
