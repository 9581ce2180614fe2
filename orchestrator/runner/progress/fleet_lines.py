"""A fleet as plain lines: one for each project's start and end, and a sign of life between."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.clock import Clock
from orchestrator.runner.progress.lines import SinkLines
from orchestrator.runner.progress.project_notes import ProjectNotes
from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FleetLines(SinkLines):
    """Lines of a fleet. What its projects print is in their logs; of what failed the first cause is shown."""

    def __init__(self, sink: Sink, *, color: bool, clock: Clock) -> None:
        super().__init__(sink, color=color, clock=clock)
        self._notes = ProjectNotes()
        self._ended = 0
        self._count = 0

    def event(self, event: Mapping[str, Any]) -> None:
        """Report an event; that a child run was taken in is none for people."""
        kind = event.get("type")
        if kind == "child:linked":
            return
        if kind == "run:start":
            self._count = len(event.get("stages") or ())
        elif kind == "stage:start":
            self._notes.begin(str(event.get("stage")))
        elif kind in ("stage:end", "stage:skip"):
            self._ended += 1
            cause = self._notes.failure(str(event.get("stage"))) if event.get("outcome") != "success" else ""
            known = "; ".join(filter(None, (str(event.get("detail") or ""), cause)))
            event = {**event, "detail": f"{known} ({self._ended} of {self._count})" if known else self._progress()}
        super().event(event)

    def output(self, stage_id: str, data: bytes) -> None:
        """Read a project's output; its log has it."""
        self._notes.feed(stage_id, data)

    def _progress(self) -> str:
        return f"{self._ended} of {self._count}"
