"""A stage's log file: its head and its tail within a limit, a marker between, flat in memory."""

from __future__ import annotations

import os

from orchestrator.base.files import Seam, explained, write_all

_COPY = 1 << 20
_WHAT = "a stage's log"
_MARKER_LENGTH = len(f"\n[{0:>20d} bytes left out here by log_limit]\n")


class StageLog:
    """Writes a stage's (masked) output to an open file.

    Up to ``limit`` bytes are kept as they are. Of more, the first half of the limit and the last half
    are kept: the second half of the file is then a ring, put in order by ``finish``.
    """

    def __init__(self, fd: int, limit: int, seam: Seam) -> None:
        self.fd = fd
        self._head = max(limit // 2, 1)
        self._ring = max(limit - self._head, 1)
        self._seam = seam
        self._size = 0

    def write(self, data: bytes) -> None:
        """Add output. Raises StorageError when the disk refuses."""
        with explained(_WHAT):
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._size + len(data) <= self._head + self._ring:
            write_all(self._seam, self.fd, data)
            self._size += len(data)
            return
        view = memoryview(data)
        while view:
            if self._size < self._head:
                position, room = self._size, self._head - self._size
            else:
                offset = (self._size - self._head) % self._ring
                position, room = self._head + offset, self._ring - offset
            os.lseek(self.fd, position, os.SEEK_SET)
            part = view[:room]
            write_all(self._seam, self.fd, bytes(part))
            self._size += len(part)
            view = view[len(part) :]

    @property
    def left_out(self) -> int:
        """The number of bytes between head and tail that were not kept."""
        return max(0, self._size - self._head - self._ring)

    def finish(self) -> int:
        """Put a tail that wrapped around in order, close the file, and return the number of bytes left out."""
        try:
            if self.left_out:
                with explained(_WHAT):
                    self._unroll()
        finally:
            os.close(self.fd)
        return self.left_out

    def _unroll(self) -> None:
        """Put the ring in order, oldest byte first behind the marker, by moving bytes towards the front only.

        What stands where the marker goes gives way to it, so the marker counts it as left out.
        """
        start = (self._size - self._head) % self._ring
        end = self._head + self._ring
        self._move(self._head, self._head + start, end)
        given_way = max(0, _MARKER_LENGTH - start)
        source = self._head + start + given_way
        marker = f"\n[{self.left_out + given_way:>20d} bytes left out here by log_limit]\n".encode()
        os.lseek(self.fd, self._head, os.SEEK_SET)
        write_all(self._seam, self.fd, marker)
        stop = max(end + start, source)
        self._move(source, stop, self._head + _MARKER_LENGTH)
        self._seam.truncate(self.fd, self._head + _MARKER_LENGTH + stop - source)

    def _move(self, begin: int, stop: int, at: int) -> None:
        while begin < stop:
            chunk = os.pread(self.fd, min(_COPY, stop - begin), begin)
            if not chunk:
                return
            os.lseek(self.fd, at, os.SEEK_SET)
            write_all(self._seam, self.fd, chunk)
            begin += len(chunk)
            at += len(chunk)
