"""Events for programs: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RecordObserver:
    """Writes each event at once, in ASCII, so that nothing in it can steer a terminal. Stage output is left out."""

    refresh_seconds: float | None = None

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def event(self, event: Mapping[str, Any]) -> None:
        """Write one event."""
        self._sink.write(json.dumps(dict(event), separators=(",", ":"), default=str).encode() + b"\n")

    def output(self, stage_id: str, data: bytes) -> None:
        """Leave output to the stage's log."""

    def tick(self) -> None:
        """Nothing changes with time alone."""

    def close(self) -> None:
        """Nothing is held back."""
