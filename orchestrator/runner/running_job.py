"""A job of the loop while it runs: its pipe, its timers and the last of its output."""

from __future__ import annotations

from orchestrator.base.redaction import Redactor
from orchestrator.model.outcome import Ended
from orchestrator.runner.job import Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.base.redaction.masking import Stream


class RunningJob:
    """A job that runs, or whose output is still open."""

    def __init__(self, job: Job, fd: int, started: float, redactor: Redactor) -> None:
        self.job = job
        self.fd = fd
        self.started = started
        self._redactor = redactor
        self._stream: Stream | None = None
        self.kill_at = None if job.timeout_seconds is None else started + job.timeout_seconds
        self.tail = b""
        self.over: Ended | None = None
        self.cut_at: float | None = None
        self.timed_out = False
        self.is_open = True

    def feed(self, data: bytes) -> bytes:
        """Take output and return what is certain of it, masked; what masks is loaded when a stage prints something."""
        if self._stream is None:
            self._stream = self._redactor.stream()
        return self._stream.feed(data)

    def flush(self) -> bytes:
        """Return what was withheld; the output has ended."""
        return b"" if self._stream is None else self._stream.flush()
