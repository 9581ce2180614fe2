"""Where an observer writes: bytes to a text stream that nobody may be reading.

The loop of a run times stages, hears signals and keeps its heartbeat; a write to a pipe, terminal or socket whose
reader doesn't move would stop all of it. So nothing here waits: what the reader does not take at once is kept, up to
a bound, and what comes beyond it is dropped and counted. The logs of the run are whole all the same.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from collections.abc import Callable, Mapping

from orchestrator.base.text.appearance import descriptor, is_terminal, screen_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

BACKLOG_BYTES = 1 << 20
"""What is kept for a reader that is behind; a pipe holds 64 KiB by itself."""

PATIENCE_SECONDS = 1.0
"""How long stages are held up for a reader that is behind before output is dropped: it must take half the backlog."""

DRAIN_SECONDS = 10.0
"""How long the end of a run waits for a reader that still takes something."""

READER_SECONDS = 5.0
"""How long the document at the end waits for a reader that takes nothing; one that takes a byte now and then reads."""

REST_SECONDS = 0.05
"""How long a stream rests that says it is writable and takes nothing: a terminal with one free byte, for a newline."""

_STEP = 512
"""Bytes that a pipe or terminal takes without waiting once it says that it is writable (POSIX's PIPE_BUF)."""


class Sink:
    """A text stream that takes bytes, never raises and never waits.

    A stream that is closed, broken or full (EPIPE, EIO, ENOSPC, …) is not written to again. ``notice`` makes the
    line that is written where output was dropped, given its number of bytes.
    """

    def __init__(
        self, stream: TextIO | None, environ: Mapping[str, str], *, notice: Callable[[int], bytes] | None = None
    ) -> None:
        self._stream = stream
        self._environ = environ
        self._descriptor = descriptor(stream)
        self._notice = notice or left_out
        self._put: Callable[[memoryview], int] | None = None
        self._private: int | None = None
        self._backlog = bytearray()
        self._full_since: float | None = None
        self._dropping = False
        self._dropped = 0
        self.gaps = 0
        """How often output was dropped: what was on the screen before is not what is there now."""
        self.unread = 0
        """The bytes that nobody had read when the sink was closed."""

    @property
    def open(self) -> bool:
        """Whether anything that is written can still arrive."""
        return self._stream is not None

    @property
    def is_tty(self) -> bool:
        """Whether the stream is a terminal."""
        return is_terminal(self._stream)

    @property
    def encoding(self) -> str:
        """The stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def size(self) -> tuple[int, int]:
        """Return the columns and lines that a drawing may take, as they are now."""
        return screen_size(self._stream, self._environ)

    def text(self, text: str) -> None:
        """Write ``text``, with a replacement for what the stream's encoding doesn't have."""
        self.write(text.encode(self.encoding, "replace"))

    def write(self, data: bytes) -> None:
        """Write ``data``, or keep it until its reader takes it, or drop and count it."""
        if self._stream is None or not data:
            return
        self.push()
        if self._dropping and self._backlog:
            self._dropped += len(data)
            return
        self._backlog += data
        self.push()

    @property
    def waits_for(self) -> int | None:
        """The descriptor to be waited for until it is writable, None when nothing is kept."""
        return (self._private if self._private is not None else self._descriptor) if self._backlog else None

    def held_up(self, now: float) -> float | None:
        """Return the seconds for which no more should be written, at monotonic time ``now``; None: any more may."""
        if self._full_since is None:
            if len(self._backlog) <= BACKLOG_BYTES or self._dropping:
                return None
            self._full_since = now
        if len(self._backlog) <= BACKLOG_BYTES // 2:
            self._full_since = None
            return None
        left = self._full_since + PATIENCE_SECONDS - now
        if left <= 0:
            self._full_since, self._dropping = None, True
            self.gaps += 1
            return None
        return left

    def push(self) -> bool:
        """Write what the reader takes now, and tell whether that was anything."""
        before = len(self._backlog)
        try:
            while self._backlog and self._stream is not None:
                with memoryview(self._backlog) as data:
                    taken = self._take(data)
                if not taken:
                    break
                del self._backlog[:taken]
        except BlockingIOError:
            pass
        except (OSError, ValueError):
            self._forget()
        moved = len(self._backlog) != before
        if self._dropping and not self._backlog:
            self._dropping = False
            self._say_dropped()
        return moved

    def close(self, *, patience: float = PATIENCE_SECONDS, longest: float | None = DRAIN_SECONDS) -> None:
        """Write what is left, as long as the reader goes on taking it, and count the rest as ``unread``.

        It may take nothing for ``patience`` seconds, and all of it may last ``longest`` (None: without an end).
        """
        began = moved = time.monotonic()
        reader = _Reader(self.waits_for)
        while (waits_for := self.waits_for) is not None:
            now = time.monotonic()
            if now - moved > patience or (longest is not None and now - began > longest):
                break
            _wait_writable(waits_for, 0.2)
            if self.push() or reader.has_read():
                moved = time.monotonic()
            else:
                time.sleep(REST_SECONDS)
        self.unread += len(self._backlog) + self._dropped
        self._backlog.clear()
        self._dropped = 0
        if self._private is not None:
            os.close(self._private)
        self._private, self._put = None, None

    def _say_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self.write(self._notice(dropped))

    def _forget(self) -> None:
        self._stream = None
        self._backlog = bytearray()

    def _take(self, data: memoryview) -> int:
        """Write once, and return how much was written; 0 or BlockingIOError when nothing could be."""
        stream = self._stream
        if stream is None:
            return len(data)
        if self._descriptor is None:
            if hasattr(stream, "buffer"):
                stream.buffer.write(data)
                stream.buffer.flush()
            else:
                stream.write(bytes(data).decode("utf-8", "replace"))
            return len(data)
        if self._put is None:
            stream.flush()
            self._put = self._way(self._descriptor)
        return self._put(data)

    def _way(self, fd: int) -> Callable[[memoryview], int]:
        """Return what writes to ``fd`` without waiting; files and devices such as /dev/null never wait."""
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode):
            return _socket_way(fd)
        if stat.S_ISFIFO(mode) or self.is_tty:
            # O_NONBLOCK belongs to the open file, which other processes share: a private one has its own.
            try:
                place = f"/proc/self/fd/{fd}"
                self._private = private = os.open(place, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                return lambda data: _careful_write(fd, data)
            return lambda data: os.write(private, data)
        return lambda data: os.write(fd, data)


def is_taken(stream: TextIO | None) -> bool:
    """Tell whether a write to ``stream`` would be taken now, and not wait for a reader."""
    fd = descriptor(stream)
    if fd is None:
        return True
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


def will_take(
    stream: TextIO | None,
    *,
    patience: float = READER_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until a write to ``stream`` would be taken, as long as its reader reads; False when it does not.

    A reader that takes nothing for ``patience`` seconds does not read.
    """
    fd = descriptor(stream)
    moved = monotonic()
    reader = _Reader(fd)
    while not is_taken(stream):
        if reader.has_read():
            moved = monotonic()
        elif monotonic() - moved > patience:
            return False
        sleep(REST_SECONDS)
    return True


class _Reader:
    """Tells by what is queued whether somebody reads a pipe, socket or terminal that is too full to be written to."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._queued = self._count()

    def has_read(self) -> bool:
        """Tell whether less is queued than at the last call."""
        before, self._queued = self._queued, self._count()
        return before is not None and self._queued is not None and self._queued < before

    def _count(self) -> int | None:
        if self._fd is None:
            return None
        import fcntl
        import termios

        try:
            is_pipe = stat.S_ISFIFO(os.fstat(self._fd).st_mode)
            raw = fcntl.ioctl(self._fd, termios.FIONREAD if is_pipe else termios.TIOCOUTQ, bytes(4))
        except OSError:
            return None
        return int.from_bytes(raw, sys.byteorder)


def _wait_writable(fd: int, seconds: float) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll(seconds * 1000)


def left_out(count: int) -> bytes:
    """Return the line that stands where ``count`` bytes of display were dropped."""
    return f"\n==> {count} bytes of output are not shown: they were not read in time; the logs are whole\n".encode()


def _careful_write(fd: int, data: memoryview) -> int:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return os.write(fd, data[:_STEP]) if poll.poll(0) else 0


def _socket_way(fd: int) -> Callable[[memoryview], int]:
    import socket

    sock = socket.socket(fileno=os.dup(fd))
    # The open file is shared with other processes: not the socket is set to non-blocking, each call is.
    return lambda data: sock.send(data, socket.MSG_DONTWAIT)
