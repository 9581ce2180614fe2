"""A fleet in a terminal: a table with a line for each project, what runs or failed first where there are many."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from orchestrator.base.clock import Clock
from orchestrator.runner.progress.event_text import shown
from orchestrator.runner.progress.live import LiveObserver
from orchestrator.runner.progress.project_notes import ProjectNotes
from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_QUIET = frozenset({"stage:start", "stage:end", "stage:skip", "child:linked"})
"""What the table itself shows."""


class FleetLive(LiveObserver):
    """Shows a fleet: each project's state, its stage, its time, and what failed last. Its output is in its log."""

    _is_cut_at_end = True

    def __init__(self, sink: Sink, *, color: bool, clock: Clock) -> None:
        super().__init__(sink, color=color, clock=clock)
        self._notes = ProjectNotes()

    def event(self, event: Mapping[str, Any]) -> None:
        """Take an event, to be shown at the next tick: a fleet has hundreds of them."""
        kind, project = event.get("type"), str(event.get("stage"))
        if kind not in _QUIET:
            self._lines.event(event)
        self._board.event(event, self._clock.monotonic())
        if kind == "run:start":
            self._board.title = f"{shown(event.get('pipeline_id'))} of {len(self._board.rows)} projects"
        elif kind == "stage:start":
            self._notes.begin(project)
        elif kind == "stage:end" and self._notes.failure(project):
            self._board.rows[project].note = self._notes.failure(project)
        if kind not in _QUIET:
            self.tick()

    def output(self, stage_id: str, data: bytes) -> None:
        """Read a project's output, for its line in the table."""
        self._notes.feed(stage_id, data)
        row = self._board.rows.get(stage_id)
        if row is not None:
            row.note = self._notes.doing(stage_id)

    def _header(self, now: float, columns: int) -> Text:
        states = [row.state for row in self._board.rows.values()]
        skipped = states.count("skipped")
        done = sum(state not in ("waiting", "running", "retrying", "skipped") for state in states)
        failed = sum(state not in ("waiting", "running", "retrying", "succeeded", "skipped") for state in states)
        counts = "; ".join(
            (
                *filter(None, (self._board.phase,)),
                *(f"{done} done", f"{states.count('running')} running", f"{failed} failed"),
                *([f"{skipped} skipped"] if skipped else []),
            )
        )
        clock = self._board.clock(now)
        style = "bold red" if self._board.breached else ""
        for text, time in (
            (f"{self._board.title} – {counts}", clock),
            (counts, clock),
            (counts, clock.split(" of ")[0]),
        ):
            head = Text(text, style="bold")
            if head.cell_len + 2 + len(time) <= columns:
                break
        head.truncate(max(1, columns - len(time) - 2), overflow="ellipsis")
        return head.append("  ").append(time, style=style)
