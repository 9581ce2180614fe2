"""What the live table shows: the stages' states, folded from the run's events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.base.text.terminal_filter import TerminalFilter
from orchestrator.runner.progress.event_text import duration, ending, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TAIL = 1024
"""Bytes of a stage's output that its last line is taken from."""

_STATE_OF = {
    "success": "succeeded",
    "failure": "failed",
    "timeout": "timed out",
    "cancellation": "cancelled",
    "error": "broke",
    "skip": "skipped",
}


@dataclass(slots=True)
class Row:
    """One stage. Times are in seconds; ``started`` on the observer's monotonic clock."""

    stage: str
    state: str = "waiting"
    started: float | None = None
    took: float | None = None
    note: str = ""
    tail: bytes = b""

    def elapsed(self, now: float) -> str:
        """Return how long the stage took, or has been running."""
        if self.took is not None:
            return duration(self.took)
        return "" if self.started is None else duration(max(0, int(now - self.started)))

    def last_line(self) -> str:
        """Return the last line of output that holds more than white space, safe for a terminal."""
        for line in reversed(self.tail.split(b"\n")):
            screen = TerminalFilter(color=False)
            text = (screen.feed(line) + screen.flush()).decode().expandtabs(4).strip()
            if text:
                return text.split("\n")[-1]
        return ""


@dataclass(slots=True)
class Board:
    """The run as the live table shows it."""

    title: str = ""
    started: float | None = None
    took: float | None = None
    limit: float | None = None
    breached: bool = False
    phase: str = ""
    rows: dict[str, Row] = field(default_factory=dict)

    def event(self, event: Mapping[str, Any], now: float) -> None:
        """Take an event at ``now``, seconds of the monotonic clock."""
        kind = str(event.get("type"))
        if kind.startswith("stage:"):
            self._stage(kind, event, now)
        elif kind == "run:start":
            self._run(event, now)
        elif kind == "environment:start":
            self.phase = "preparing the environment"
        elif kind == "environment:end":
            self.phase = ""
        elif kind == "sla:breach":
            self.breached = True
        elif kind == "run:cancelling":
            self.phase = "stopping"
        elif kind == "run:end":
            self.phase = ending(event)
            self.took = now - (now if self.started is None else self.started)

    def output(self, stage: str, data: bytes) -> None:
        """Take the end of a stage's output."""
        row = self._row(stage)
        row.tail = (row.tail + data[-_TAIL:])[-_TAIL:]

    def clock(self, now: float) -> str:
        """Return how long the run has been going on, and how long it may."""
        if self.started is None:
            return ""
        taken = duration(max(0, int(now - self.started if self.took is None else self.took)))
        return f"{taken} of {duration(self.limit)}" if self.limit else taken

    def _run(self, event: Mapping[str, Any], now: float) -> None:
        self.title = f"{shown(event.get('pipeline_id'))} of {shown(event.get('project'))}"
        self.started = now
        limit = event.get("sla_seconds")
        self.limit = float(limit) if isinstance(limit, int | float) else None
        stages = event.get("stages")
        for stage in stages if isinstance(stages, list | tuple) else ():
            if isinstance(stage, Mapping) and "id" in stage:
                self._row(str(stage["id"]))

    def _stage(self, kind: str, event: Mapping[str, Any], now: float) -> None:
        row = self._row(str(event.get("stage")))
        if kind == "stage:start":
            row.state, row.started, row.took, row.note, row.tail = "running", now, None, "", b""
        elif kind == "stage:skip":
            row.state, row.note = "skipped", shown(event.get("reason"))
        elif kind == "stage:end":
            outcome = str(event.get("outcome"))
            row.state = "retrying" if event.get("will_retry") else _STATE_OF.get(outcome, shown(outcome))
            took = event.get("duration_seconds")
            row.took = float(took) if isinstance(took, int | float) else now - (row.started or now)
            row.note = shown(event.get("detail")) or shown(event.get("signal"))
            if not row.note and outcome == "failure":
                row.note = f"exit code {shown(event.get('exit_code'))}"

    def _row(self, stage: str) -> Row:
        return self.rows.setdefault(stage, Row(stage))
