"""Writing logs: bytes that are safe for a terminal, wherever they go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from io import FileIO

from orchestrator.base.files import Folder
from orchestrator.base.text.appearance import is_terminal, wants_color
from orchestrator.base.text.safe_text import RESET
from orchestrator.base.text.terminal_filter import TerminalFilter
from orchestrator.commands.context import Context

_CHUNK = 1 << 18


class Output:
    """Stdout for bytes. ``is_open`` turns False when nobody reads any more."""

    def __init__(self, context: Context) -> None:
        interactive = is_terminal(context.stdout)
        # A pipe may lead to a terminal all the same (``| less -R``): only its colours stay as they are.
        color = not interactive or wants_color(context.environ, is_tty=True)
        self._stream = context.stdout
        self._filter = TerminalFilter(color=color)
        self._last = b"\n"
        self.is_open = True

    def write(self, data: bytes) -> None:
        """Write what a stage printed."""
        self._put(self._filter.feed(data))

    def line(self, text: str) -> None:
        """Write a line of our own, on a line of its own."""
        self.close()
        start = "" if self._last == b"\n" else "\n"
        self._put(f"{start}{text}\n".encode())

    def close(self) -> None:
        """Write what is withheld, and switch off what colour a stage left on."""
        self._put(self._filter.flush())
        self._put(self._filter.reset_if_needed())

    def _put(self, data: bytes) -> None:
        if not data or not self.is_open:
            return
        if data != RESET:
            self._last = data[-1:]
        try:
            buffer = getattr(self._stream, "buffer", None)
            if buffer is None:
                self._stream.write(data.decode("utf-8", "replace"))
            else:
                self._stream.flush()
                buffer.write(data)
            self._stream.flush()
        except (OSError, ValueError):
            self.is_open = False


def chunks(folder: Folder, name: str, begin: int) -> Iterator[bytes]:
    """Yield the log ``name`` from byte ``begin`` to what is its end when this is called.

    Raises FileNotFoundError, or StorageError when it is no regular file.
    """
    with closing(FileIO(folder.open_read(name))) as file:
        left = os.fstat(file.fileno()).st_size - begin
        file.seek(begin)
        while left > 0 and (data := file.read(min(_CHUNK, left))):
            left -= len(data)
            yield data
