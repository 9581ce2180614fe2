"""Where an observer writes: bytes to a text stream, whole and at once, until the stream fails."""

from __future__ import annotations

import os
import select
from collections.abc import Mapping

from orchestrator.base.text.appearance import descriptor, is_terminal, screen_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_PATIENCE = 30.0
"""Seconds to wait for a reader of a non-blocking stream before it is given up."""


class Sink:
    """A text stream that takes bytes and never raises.

    A stream that is closed, broken or full (EPIPE, EIO, ENOSPC, …) is not written to again.
    """

    def __init__(self, stream: TextIO | None, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._environ = environ
        self._descriptor = descriptor(stream)

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
        """Write ``data`` now."""
        if self._stream is None or not data:
            return
        try:
            if self._descriptor is not None:
                self._stream.flush()
                _write_all(self._descriptor, data)
            elif hasattr(self._stream, "buffer"):
                self._stream.buffer.write(data)
                self._stream.buffer.flush()
            else:
                self._stream.write(data.decode("utf-8", "replace"))
        except (OSError, ValueError):
            self._stream = None


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``; a stage may have set a terminal that it shares with us to non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            if not select.select([], [descriptor], [], _PATIENCE)[1]:
                raise
