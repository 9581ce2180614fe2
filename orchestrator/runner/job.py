"""What the loop of a run works on: a process to run, how it ended, and what shows its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.record import Record
from orchestrator.model.outcome import Ended
from orchestrator.runner.stage_log import FinishedLog, StageLog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


class Job(Record):
    """A process to run: paths absolute, ``timeout_seconds`` None for no limit.

    ``external`` returns, once it has ended, the paths of programs that it found outside the session's environment.
    """

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    timeout_seconds: float | None
    log: StageLog
    show: Callable[[bytes], None]
    external: Callable[[], tuple[str, ...]] = tuple


class Display(Protocol):
    """What shows output to somebody who may not be reading it (``progress.stream.Sink``)."""

    @property
    def waits_for(self) -> int | None:
        """The descriptor to be waited for until it is writable, or None."""

    def held_up(self, now: float) -> float | None:
        """Return the seconds for which no more should be shown, or None."""

    def push(self) -> bool:
        """Show what can be shown now, without waiting; tell whether that was anything."""


class Finished(Record):
    """How a job ended, the last of its masked output, and its log."""

    key: int
    ended: Ended
    tail: str
    log: FinishedLog
