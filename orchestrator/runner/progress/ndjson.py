"""Events for programs: one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.json_values import json_text, shown_json
from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RecordObserver:
    """Writes each event at once, in ASCII, so that nothing in it can steer a terminal. Stage output is left out."""

    refresh_seconds: float | None = None

    def __init__(self, sink: Sink, at_end: Callable[[str], Mapping[str, Any]]) -> None:
        self.sink = self._sink = sink
        self._at_end = at_end

    def event(self, event: Mapping[str, Any]) -> None:
        """Write one event; the end of a run with what comes next."""
        if event.get("type") == "run:end" and self._sink.open:
            event = {**event, **self._at_end(str(event.get("run_id")))}
        self._sink.write(shown_json(dict(event), separators=(",", ":"), default=str).encode() + b"\n")

    def output(self, stage_id: str, data: bytes) -> None:
        """Leave output to the stage's log."""

    def tick(self) -> None:
        """Nothing changes with time alone."""

    def close(self) -> None:
        """Write what is kept for a reader that is behind."""
        self._sink.close()


def dropped(count: int) -> bytes:
    """Return the record that stands where records of ``count`` bytes were dropped."""
    return json_text({"type": "display:dropped", "bytes": count}, separators=(",", ":")).encode() + b"\n"
