"""The observer's shape, and the choice of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.clock import Clock
from orchestrator.base.text.appearance import is_redrawable, wants_color
from orchestrator.runner.progress.lines import SinkLines
from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, Protocol, TextIO, TypeAlias
else:
    Protocol = object

OutputFormat: TypeAlias = "Literal['text', 'json', 'ndjson']"


class Observer(Protocol):
    """Something that hears of a run, from one thread."""

    @property
    def sink(self) -> Sink:
        """What it writes to, which keeps what its reader doesn't take at once."""

    @property
    def refresh_seconds(self) -> float | None:
        """How often, in seconds, ``tick`` is to be called while the run goes on; None: not at all."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Take one event of the run, as it goes into ``runner.ndjson``; unknown types are passed over."""

    def output(self, stage_id: str, data: bytes) -> None:
        """Take the next bytes of a stage's output, masked."""

    def tick(self) -> None:
        """Take note that time has passed."""

    def close(self) -> None:
        """Write what is left; nothing comes after it."""


def make_observer(
    kind: str,
    *,
    stdout: TextIO | None,
    stderr: TextIO | None,
    environ: Mapping[str, str],
    clock: Clock,
    at_end: Callable[[str], Mapping[str, Any]] = lambda run_id: {},
    ci: Callable[..., SinkLines] | None = None,
    fleet: bool = False,
) -> Observer:
    """Return the observer for ``--format kind``; a stream is None where the process was started without it.

    ``text``: a live table on a terminal that is not a dumb one, else lines, on stdout. ``json``: lines on
    stderr, as stdout belongs to the document. ``ndjson``: events on stdout, one JSON object a line, and no
    output of stages: it is in their logs; ``at_end`` gives what ``run:end`` says besides, by the run's id. ``ci``
    makes the lines where a CI system shows them (``ci_screen``). Of a ``fleet`` each project is a line.
    """
    if kind == "ndjson":
        from orchestrator.runner.progress.ndjson import RecordObserver, dropped

        return RecordObserver(Sink(stdout, environ, notice=dropped), at_end)
    stream = stdout if kind == "text" else stderr
    sink = Sink(stream, environ)
    if kind == "text" and is_redrawable(stream, environ):
        if fleet:
            from orchestrator.runner.progress.fleet_live import FleetLive as LiveObserver
        else:
            from orchestrator.runner.progress.live import LiveObserver  # type: ignore[assignment]

        return LiveObserver(sink, color=wants_color(environ, is_tty=True), clock=clock)
    if fleet and ci is None:
        from orchestrator.runner.progress.fleet_lines import FleetLines

        return FleetLines(sink, color=wants_color(environ, is_tty=sink.is_tty), clock=clock)
    return (ci or SinkLines)(sink, color=wants_color(environ, is_tty=sink.is_tty), clock=clock)
