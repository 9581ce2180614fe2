"""The loop of a run: processes under a host, their output pumped and masked, their time limited, in one loop.

One thread and one selector serve every process of a run, so that nothing here needs a lock. Memory
does not grow with output: a chunk is read, masked, written and shown before the next is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
from collections.abc import Callable, Iterator

from orchestrator.base.clock import Clock
from orchestrator.base.errors import StorageError
from orchestrator.base.files import explained
from orchestrator.base.redaction import Redactor
from orchestrator.model.outcome import Ended
from orchestrator.process import Exited, GuardLost, ProcessHost, Spawned, SpawnFailed
from orchestrator.runner.job import Display, Finished, Job
from orchestrator.runner.progress.stream import REST_SECONDS
from orchestrator.runner.running_job import RunningJob
from orchestrator.runner.signals import SignalInbox

GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL when a stage times out or a run is cancelled."""

HELD_PIPE_SECONDS = 5.0
"""A process out of the tree's reach may hold a stage's output no longer than this (contract, section 5, promise 7)."""

CHUNK = 1 << 19
"""Bytes that are read, masked and written at once. Twice as many are no faster, and are what our memory grows by."""

TAIL_BYTES = 16 * 1024

_DISPLAY = "display"

_EXIT_OF_REASON = {"not-found": 127, "not-executable": 126, "bad-cwd": None, "failed": None}
"""Shells' exit codes for a command that is not there, or is no program (POSIX, 2.8.2)."""


class ProcessLoop:
    """Runs jobs under ``host`` until each has ended.

    ``wake`` is called once a turn with the monotonic time, and returns when it wants to be called
    next (seconds from now) or None; timers of the run hang on it.
    """

    def __init__(
        self,
        host: ProcessHost,
        inbox: SignalInbox,
        clock: Clock,
        redactor: Redactor,
        wake: Callable[[float], float | None],
        display: Display | None = None,
        selector: selectors.BaseSelector | None = None,
    ) -> None:
        self._host = host
        self._inbox = inbox
        self.clock = clock
        self.redactor = redactor
        """What masks the output of every job."""
        self._wake = wake
        self._display = display
        self._display_fd: int | None = None
        self._display_rests_until = 0.0
        self._held = False
        self._selector = selector or selectors.DefaultSelector()
        self._selector.register(inbox.fileno(), selectors.EVENT_READ)
        self._hears_host = False
        self._running: dict[int, RunningJob] = {}
        self._keys = 0
        self.cancelled_by: int | None = None
        """The first stop signal that came, or None."""
        self.is_hurried = False
        """Whether a second one came: what is to end ends at once."""
        self.refused: StorageError | None = None
        """Why a log could not be written, or None."""
        self._lost: str | None = None

    def __len__(self) -> int:
        return len(self._running)

    def start(self, job: Job) -> int:
        """Start a job and return its key; a command that can't be started ends as any other.

        Raises StorageError, with the log closed, when there can be no pipe for its output.
        """
        self._keys += 1
        try:
            with explained("a pipe for a stage's output"):
                read, write = os.pipe()
        except BaseException:
            job.log.close()
            raise
        os.set_blocking(read, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            # A user who has many large pipes already is refused; the usual size serves too.
            with contextlib.suppress(OSError):
                fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, CHUNK)
        now = self.clock.monotonic()
        running = RunningJob(job, read, now, self.redactor)
        self._running[self._keys] = running
        if not self._held:
            self._selector.register(read, selectors.EVENT_READ, self._keys)
        try:
            if self._lost is None:
                self._hear_host()
                self._host.spawn(self._keys, job.argv, cwd=job.cwd, env=job.env, output_fd=write)
            else:
                running.over, running.cut_at = Ended("error", detail=self._lost), now
        except OSError as error:
            self._lose(f"the process guard is gone: {error}")
        finally:
            os.close(write)
        return self._keys

    def _hear_host(self) -> None:
        """Wait for the host's messages from now on: there is none before the first command."""
        if not self._hears_host:
            self._hears_host = True
            self._selector.register(self._host.fileno(), selectors.EVENT_READ)

    def listen(self, fileno: int, heard: Callable[[], None]) -> None:
        """Call ``heard`` whenever a descriptor of somebody else's is readable, until ``ignore``."""
        self._selector.register(fileno, selectors.EVENT_READ, heard)

    def ignore(self, fileno: int) -> None:
        """Listen to a descriptor no more; it may be closed already."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(fileno)

    def cancel(self, signal_number: int) -> None:
        """Stop everything that runs: with a grace the first time, at once the second."""
        self.is_hurried = self.cancelled_by is not None
        grace = 0.0 if self.is_hurried else GRACE_SECONDS
        if self.cancelled_by is None:
            self.cancelled_by = signal_number
        self._host.terminate_all(grace_seconds=grace)

    def turn(self, longest: float | None = None) -> list[Finished]:
        """Wait for something to happen, at most ``longest`` seconds, handle it, and return what finished.

        A log that the disk refuses is ``refused``, which stands for StorageError: what finished in the same turn
        is returned all the same.
        """
        for ready, _ in self._selector.select(self._patience(longest)):
            if ready.data is _DISPLAY:
                self._push()
            elif callable(ready.data):
                ready.data()
            elif ready.data is not None:
                with self._refusals():
                    self._pump(ready.data)
        for number in self._inbox.take():
            self.cancel(number)
        self._hear()
        self._limit(self.clock.monotonic())
        finished = []
        for key, running in list(self._running.items()):
            if self._is_over(running):
                with self._refusals():
                    finished.append(self._finish(key))
        return finished

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self.refused = self.refused or error

    def raise_refusal(self) -> None:
        """Raise the StorageError of the first log that could not be written, if there is one."""
        if self.refused is not None:
            raise self.refused

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is to be started: the run is cancelled, its guard is lost, or its disk refuses."""
        return self.cancelled_by is not None or self._lost is not None or self.refused is not None

    def close(self) -> None:
        """Forget what runs and close its descriptors; the host's tree is the host's to end."""
        for running in self._running.values():
            self._close_pipe(running)
            running.job.log.close()
        self._running.clear()
        self._selector.close()

    def _patience(self, longest: float | None) -> float | None:
        now = self.clock.monotonic()
        waits = [longest, self._wake(now), self._mind_display(now)]
        if self._lost is None:
            waits.append(self._host.watch())
        for running in self._running.values():
            waits += [at - now for at in (running.kill_at, running.cut_at) if at is not None]
        known = [max(0.0, wait) for wait in waits if wait is not None]
        return min(known) if known else None

    def _mind_display(self, now: float) -> float | None:
        """Wait for the display's reader where it is behind; hold the stages' output up for a while, at most."""
        if self._display is None:
            return None
        wait = self._display.held_up(now)
        if self._held != (wait is not None):
            self._held = wait is not None
            for key, running in self._running.items():
                if running.is_open:
                    if self._held:
                        self._selector.unregister(running.fd)
                    else:
                        self._selector.register(running.fd, selectors.EVENT_READ, key)
        rest = self._display_rests_until - now
        awaited = self._display.waits_for if rest <= 0 else None
        if awaited != self._display_fd:
            self._forget_display()
            self._display_fd = awaited
            if self._display_fd is not None:
                try:
                    self._selector.register(self._display_fd, selectors.EVENT_WRITE, _DISPLAY)
                except (OSError, KeyError):  # somebody has closed it
                    self._display_fd = None
        return wait if rest <= 0 else min(rest, wait or rest)

    def _push(self) -> None:
        if self._display is not None and not self._display.push():
            self._display_rests_until = self.clock.monotonic() + REST_SECONDS

    def _forget_display(self) -> None:
        if self._display_fd is not None:
            self._selector.unregister(self._display_fd)
            self._display_fd = None

    def _pump(self, key: int) -> None:
        running = self._running[key]
        try:
            data = os.read(running.fd, CHUNK)
        except BlockingIOError:
            return
        if data:
            self._emit(running, running.feed(data))
        else:
            self._close_pipe(running)

    def _emit(self, running: RunningJob, masked: bytes) -> None:
        if masked:
            running.job.log.write(masked)
            running.job.show(masked)
            keep = masked[-TAIL_BYTES:]
            running.tail = keep if len(keep) == TAIL_BYTES else (running.tail + keep)[-TAIL_BYTES:]

    def _hear(self) -> None:
        for message in self._host.messages():
            if isinstance(message, GuardLost):
                self._lose(message.detail)
            elif not isinstance(message, Spawned) and message.key in self._running:
                running = self._running[message.key]
                running.over = self._judged(running, message)
                running.kill_at = None
                running.cut_at = self.clock.monotonic() + HELD_PIPE_SECONDS

    def _judged(self, running: RunningJob, message: Exited | SpawnFailed) -> Ended:
        wall = self.clock.monotonic() - running.started
        if isinstance(message, SpawnFailed):
            detail = self.redactor.text(message.detail)
            return Ended("failure", exit_code=_EXIT_OF_REASON[message.reason], detail=detail, wall_seconds=wall)
        ended = Ended(
            "success" if message.exit_code == 0 else "failure",
            message.exit_code,
            message.signal,
            wall_seconds=wall,
            cpu_seconds=message.cpu_seconds,
            max_rss_bytes=message.max_rss_bytes,
            swept=message.swept,
            detail=f"{message.survivors} processes could not be killed" if message.survivors else None,
        )
        if running.timed_out:
            return ended._replace(outcome="timeout", detail=f"stopped after {running.job.timeout_seconds:g} s")
        if self.cancelled_by is not None:
            return ended._replace(outcome="cancellation")
        return ended

    def _lose(self, detail: str) -> None:
        if self._lost is not None:
            return
        self._lost = detail
        for running in self._running.values():
            if running.over is None:
                wall = self.clock.monotonic() - running.started
                running.over = Ended("error", detail=detail, wall_seconds=wall)
                running.cut_at = self.clock.monotonic()
        if self._hears_host:
            self._selector.unregister(self._host.fileno())

    @property
    def lost(self) -> str | None:
        """Why nothing can be started any more, or None."""
        return self._lost

    def _limit(self, now: float) -> None:
        for key, running in self._running.items():
            if running.kill_at is not None and now >= running.kill_at:
                running.timed_out = True
                running.kill_at = None
                self._host.terminate(key, grace_seconds=GRACE_SECONDS)
            if running.cut_at is not None and now >= running.cut_at and running.is_open:
                held = running.over is not None and self._lost is None
                self._close_pipe(running)
                if running.over is not None:
                    running.over = running.over._replace(pipe_held=held)

    def _close_pipe(self, running: RunningJob) -> None:
        if running.is_open:
            running.is_open = False
            if not self._held:
                self._selector.unregister(running.fd)
            os.close(running.fd)

    @staticmethod
    def _is_over(running: RunningJob) -> bool:
        return running.over is not None and not running.is_open

    def _finish(self, key: int) -> Finished:
        running = self._running.pop(key)
        assert running.over is not None  # noqa: S101 -- known from _is_over
        try:
            self._emit(running, running.flush())
        except StorageError:
            running.job.log.close()
            raise
        return Finished(key, running.over, running.tail.decode("utf-8", "replace"), running.job.log.finish())
