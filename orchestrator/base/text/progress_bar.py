"""How far a long look at many things has come: a bar in a terminal, lines without one, nothing of a short one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from orchestrator.base.text.appearance import is_redrawable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

PATIENCE_SECONDS = 2.0
"""What takes no longer says nothing."""

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 10.0
_WIDTH = 30


class Progress:
    """Counts what was looked at; ``total`` None: nobody knows how much there is. Used in a ``with`` statement."""

    def __init__(
        self,
        stream: TextIO | None,
        environ: Mapping[str, str],
        what: str,
        total: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._is_bar = stream is not None and is_redrawable(stream, environ)
        self._what = what
        self.total = total
        self._monotonic = monotonic
        self._next = monotonic() + PATIENCE_SECONDS
        self._done = 0
        self._drawn = False

    def tick(self, _: object = None) -> None:
        """Count one thing more."""
        self.at(self._done + 1)

    def add(self, more: int) -> None:
        """Count so many things more."""
        self.at(self._done + more)

    def at(self, done: int) -> None:
        """Say how many things are done."""
        self._done = done
        if self._stream is None:
            return
        now = self._monotonic()
        if now >= self._next:
            self._next = now + (_REDRAW_SECONDS if self._is_bar else _LINE_SECONDS)
            self._show()

    def _show(self) -> None:
        count = f"{self._done}" if self.total is None else f"{min(self._done, self.total)} of {self.total}"
        if not self._is_bar:
            self._write(f"{self._what}: {count}\n")
            return
        bar = ""
        if self.total:
            filled = min(_WIDTH, _WIDTH * self._done // self.total)
            bar = f" [{'#' * filled}{'.' * (_WIDTH - filled)}]"
        self._drawn = True
        self._write(f"\r\x1b[K{self._what}{bar} {count}")

    def _write(self, text: str) -> None:
        assert self._stream is not None  # noqa: S101 -- nothing is shown without one
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._write("\r\x1b[K")
