"""A stage's log file: its head and its tail within a limit, a marker between, flat in memory."""

from __future__ import annotations

import os

from orchestrator.base.files import Seam, explained, write_all
from orchestrator.base.record import Record
from orchestrator.base.sha256 import Digest, RunningDigest

_COPY = 1 << 17
"""Bytes moved or read back at once: two of these pieces, the last and the next, are in memory for a moment."""
_MARKER_LENGTH = len(f"\n[{0:>20d} bytes left out here by log_limit]\n")


class FinishedLog(Record):
    """A log that is closed: its name, how many bytes its limit left out, and the digest of what the file holds."""

    name: str
    left_out: int
    digest: Digest


class StageLog:
    """Writes a stage's (masked) output to an open file.

    Up to ``limit`` bytes are kept as they are. Of more, the first half of the limit and the last half
    are kept: the second half of the file is then a ring, put in order by ``finish``. ``path`` names the file
    in errors.
    """

    def __init__(self, fd: int, limit: int, seam: Seam, path: str) -> None:
        self.path = path
        self._fd = fd
        self._passed = RunningDigest()
        self._closed = False
        self._head = max(limit // 2, 1)
        self._ring = max(limit - self._head, 1)
        self._seam = seam
        self._size = 0

    def write(self, data: bytes) -> None:
        """Add output. Raises StorageError when the disk refuses."""
        with explained(self.path):
            self._write(data)
        if not self.left_out:
            self._passed.update(data)

    def _write(self, data: bytes) -> None:
        if self._size + len(data) <= self._head + self._ring:
            write_all(self._seam, self._fd, data)
            self._size += len(data)
            return
        view = memoryview(data)
        while view:
            if self._size < self._head:
                position, room = self._size, self._head - self._size
            else:
                offset = (self._size - self._head) % self._ring
                position, room = self._head + offset, self._ring - offset
            os.lseek(self._fd, position, os.SEEK_SET)
            part = view[:room]
            write_all(self._seam, self._fd, bytes(part))
            self._size += len(part)
            view = view[len(part) :]

    @property
    def left_out(self) -> int:
        """The number of bytes between head and tail that were not kept."""
        return max(0, self._size - self._head - self._ring)

    def finish(self) -> FinishedLog:
        """Put a tail that wrapped around in order, and close the file.

        The digest is that of the bytes as they were written; of a log that was cut to its limit it is read back.
        Raises StorageError when the disk refuses; the file is closed all the same.
        """
        try:
            if not self.left_out:
                return FinishedLog(os.path.basename(self.path), 0, self._passed.value())
            with explained(self.path):
                self._unroll()
                return FinishedLog(os.path.basename(self.path), self.left_out, self._read_back())
        finally:
            self.close()

    def close(self) -> None:
        """Close the file as it is; harmless when repeated."""
        if not self._closed:
            self._closed = True
            os.close(self._fd)

    def _read_back(self) -> Digest:
        digest = RunningDigest()
        while chunk := os.pread(self._fd, _COPY, digest.size):
            digest.update(chunk)
        return digest.value()._replace(read_back=True)

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
        os.lseek(self._fd, self._head, os.SEEK_SET)
        write_all(self._seam, self._fd, marker)
        stop = max(end + start, source)
        self._move(source, stop, self._head + _MARKER_LENGTH)
        self._seam.truncate(self._fd, self._head + _MARKER_LENGTH + stop - source)

    def _move(self, begin: int, stop: int, at: int) -> None:
        while begin < stop:
            chunk = os.pread(self._fd, min(_COPY, stop - begin), begin)
            if not chunk:
                return
            os.lseek(self._fd, at, os.SEEK_SET)
            write_all(self._seam, self._fd, chunk)
            begin += len(chunk)
            at += len(chunk)
