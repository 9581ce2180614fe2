"""A run as plain lines: what happens, and what the stages print."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.clock import Clock
from orchestrator.base.text.safe_text import RESET
from orchestrator.runner.progress.event_text import duration, sentence, shown
from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from orchestrator.base.text.terminal_filter import TerminalFilter
else:
    Protocol = object

_LONGEST_PARTIAL = 8 * 1024
"""Bytes of an unfinished line that are withheld while several stages run."""

_MARK = "==> "

_QUIET_SECONDS = 30.0
"""CI systems end jobs that print nothing for some minutes; people wonder sooner."""

_LOOK_SECONDS = 5.0
_ENVIRONMENT = "environment"


class Target(Protocol):
    """What lines are written to."""

    def text(self, text: str) -> None:
        """Write text."""

    def write(self, data: bytes) -> None:
        """Write bytes."""


class _Voice:
    """One stage's output on its way: what may be shown of it, and its unfinished line."""

    def __init__(self, stage_id: str, *, color: bool) -> None:
        self.color = color
        self.partial = b""
        self.prefix = shown(stage_id).encode() + b" | "
        self._filter: TerminalFilter | None = None

    @property
    def filter(self) -> TerminalFilter:
        """What makes the output harmless; its patterns are compiled when a stage prints something."""
        if self._filter is None:
            from orchestrator.base.text.terminal_filter import TerminalFilter

            self._filter = TerminalFilter(color=self.color)
        return self._filter

    @property
    def has_shown(self) -> bool:
        """Whether any output came."""
        return self._filter is not None


class LineObserver:
    """Tells of a run in lines; of each stage's output when it comes.

    While one stage runs, its output passes as it is, unfinished lines too unless ``whole_lines``. While
    several run, each line begins with its stage (``build | …``) and comes out when it is whole, at the
    stage's end, or after 8 KiB.
    """

    refresh_seconds: float | None = None

    def __init__(self, target: Target, *, color: bool, whole_lines: bool = False) -> None:
        self._target = target
        self._color = color
        self._whole_lines = whole_lines
        self._voices: dict[str, _Voice] = {}
        self._unfinished: _Voice | None = None  # the last thing written is an unfinished line of this stage

    def event(self, event: Mapping[str, Any]) -> None:
        """Tell of an event."""
        kind, stage = event.get("type"), str(event.get("stage"))
        if kind in ("stage:start", "stage:end"):
            self._finish(stage)
        text, color = sentence(event)
        if text:
            self._end_line()
            line = _MARK + text
            self._target.text(f"\x1b[{color}m{line}\x1b[0m\n" if self._color and color else f"{line}\n")
        if kind == "stage:start":
            self._voices[stage] = _Voice(stage, color=self._color)

    def output(self, stage_id: str, data: bytes) -> None:
        """Show a stage's output."""
        voice = self._voices.get(stage_id)
        if voice is None:
            voice = self._voices[stage_id] = _Voice(stage_id, color=self._color)
        self._show(voice, voice.filter.feed(data))

    def tick(self) -> None:
        """Nothing changes with time alone."""

    def close(self) -> None:
        """Show what is left of every stage's output."""
        for stage in tuple(self._voices):
            self._finish(stage)
        self._end_line()

    def _show(self, voice: _Voice, data: bytes) -> None:
        if not data:
            return
        if len(self._voices) > 1 or self._whole_lines:
            self._show_lines(voice, voice.partial + data)
            return
        if voice is not self._unfinished:
            self._end_line()
        self._target.write(voice.partial + data)
        voice.partial = b""
        self._unfinished = None if data.endswith(b"\n") else voice

    def _show_lines(self, voice: _Voice, data: bytes) -> None:
        """Write the whole lines of ``data`` and keep the rest."""
        end = data.rfind(b"\n") + 1
        voice.partial = data[end:]
        if len(voice.partial) > _LONGEST_PARTIAL:
            data, end = data + b"\n", len(data) + 1
            voice.partial = b""
        if end:
            self._end_line()
            self._target.write(self._prefixed(voice, data[:end]) + voice.filter.reset_if_needed())

    def _prefixed(self, voice: _Voice, lines: bytes) -> bytes:
        """Return whole ``lines``, each with the stage's name when several stages run."""
        if len(self._voices) < 2:
            return lines
        # A colour that goes on over the line's end would colour the next prefix.
        prefix = RESET + voice.prefix if b"\x1b" in lines else voice.prefix
        return prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n"

    def _finish(self, stage: str) -> None:
        """Show the rest of a stage's output."""
        voice = self._voices.get(stage)
        if voice is None:
            return
        if voice.has_shown:
            self._show(voice, voice.filter.flush())
        if voice.partial:
            rest, voice.partial = voice.partial, b""
            self._end_line()
            self._target.write(self._prefixed(voice, rest + b"\n") + voice.filter.reset_if_needed())
        if voice is self._unfinished:
            self._end_line()
        del self._voices[stage]

    def _end_line(self) -> None:
        """End the unfinished line, so that something else can be written."""
        if self._unfinished is not None:
            self._target.write(self._unfinished.filter.reset_if_needed() + b"\n")
            self._unfinished = None


class SinkLines(LineObserver):
    """Lines to a stream that nobody may be reading, with a sign of life where no terminal shows that time passes.

    When nothing was written for 30 s, a line says which stages run, and for how long.
    """

    def __init__(self, sink: Sink, *, color: bool, clock: Clock) -> None:
        super().__init__(sink, color=color)
        self.sink = sink
        self.refresh_seconds = None if sink.is_tty else _LOOK_SECONDS
        self._clock = clock
        self._written_at = clock.monotonic()
        self._running: dict[str, float] = {}

    def event(self, event: Mapping[str, Any]) -> None:
        """Report an event."""
        kind, stage = str(event.get("type")), str(event.get("stage") or _ENVIRONMENT)
        self._written_at = self._clock.monotonic()
        if kind in ("stage:start", "environment:start"):
            self._running[stage] = self._written_at
        elif kind in ("stage:end", "environment:end"):
            self._running.pop(stage, None)
        super().event(event)

    def output(self, stage_id: str, data: bytes) -> None:
        """Show a stage's output."""
        self._written_at = self._clock.monotonic()
        super().output(stage_id, data)

    def tick(self) -> None:
        """Say what runs when nothing was said for a while."""
        now = self._clock.monotonic()
        if self.refresh_seconds is not None and self._running and now - self._written_at >= _QUIET_SECONDS:
            self._written_at = now
            self._end_line()
            running = ", ".join(
                f"{shown(stage)} for {duration(int(now - began))}" for stage, began in self._running.items()
            )
            self._target.text(f"{_MARK}still running: {running}\n")

    def close(self) -> None:
        """Show what is left of every stage's output, as far as somebody reads it."""
        super().close()
        self.sink.close()
