"""How text for people may look where it goes: its columns, whether it is coloured, whether it may be redrawn.

The one place for ``$COLUMNS``, ``$TERM``, ``$NO_COLOR`` and ``$FORCE_COLOR``, and for the question whether a
stream is a terminal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

DEFAULT_WIDTH = 100
"""Columns of text that goes to a file or a pipe."""

_FALLBACK_SIZE = (80, 24)
"""Columns and lines of a terminal that doesn't tell its size: those of a VT100."""

_DIGITS = 6
"""Of ``$COLUMNS``, so many are read: no terminal is wider, and no text is padded without end."""


class Appearance(Record):
    """The columns that text may take, and whether it is coloured."""

    width: int
    color: bool


def appearance(stream: TextIO | None, environ: Mapping[str, str]) -> Appearance:
    """Return how text on ``stream`` may look. A stream that is closed or missing looks like a file."""
    return Appearance(text_width(stream, environ), wants_color(environ, is_tty=is_terminal(stream)))


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether ``stream`` is shown on a terminal; a closed one is not."""
    with suppress(ValueError, OSError, AttributeError):
        return stream is not None and stream.isatty()
    return False


def is_redrawable(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Tell whether what was written to ``stream`` can be drawn over: a terminal, and not a dumb one."""
    return is_terminal(stream) and environ.get("TERM") != "dumb"


def descriptor(stream: TextIO | None) -> int | None:
    """Return the descriptor below ``stream``; None where there is none, as in tests and embedding programs."""
    with suppress(ValueError, OSError, AttributeError):
        return None if stream is None else stream.fileno()
    return None


def text_width(stream: TextIO | None, environ: Mapping[str, str]) -> int:
    """Return the columns that text on ``stream`` may take: ``$COLUMNS``, else the terminal's, else 100."""
    return (
        _asked_columns(environ)
        or (_terminal_size(descriptor(stream))[0] if is_terminal(stream) else 0)
        or DEFAULT_WIDTH
    )


def row_width(stream: TextIO | None, environ: Mapping[str, str]) -> int:
    """Return the columns that a row of a list may take: in a file or a pipe all that it needs, as grep looks there."""
    return text_width(stream, environ) if is_terminal(stream) else _asked_columns(environ) or 10**_DIGITS


def screen_size(stream: TextIO | None, environ: Mapping[str, str]) -> tuple[int, int]:
    """Return the columns and lines that a drawing on a terminal may take; 80 and 24 where it has no size.

    ``$COLUMNS`` makes a drawing narrower, never wider than the terminal: folded lines can't be drawn over.
    """
    columns, lines = _terminal_size(descriptor(stream))
    columns = columns or _FALLBACK_SIZE[0]
    return min(columns, _asked_columns(environ) or columns), lines or _FALLBACK_SIZE[1]


def _asked_columns(environ: Mapping[str, str]) -> int:
    """Return ``$COLUMNS``, or 0 where it is not set, or is no whole number above 0."""
    asked = environ.get("COLUMNS", "")
    return int(asked[:_DIGITS]) if asked.isascii() and asked.isdecimal() else 0


def _terminal_size(fd: int | None) -> tuple[int, int]:
    """Return a terminal's columns and lines, 0 for what it doesn't tell."""
    with suppress(OSError):
        if fd is not None:
            columns, lines = os.get_terminal_size(fd)
            return columns, lines
    return 0, 0


def wants_color(environ: Mapping[str, str], *, is_tty: bool) -> bool:
    """Tell whether colour is wanted, from the environment and from where the output goes.

    ``NO_COLOR`` (no-color.org) wins over ``FORCE_COLOR`` (force-color.org), that over ``TERM=dumb``; all of
    them count only when they are not empty, and ``FORCE_COLOR=0`` means no.
    """
    if environ.get("NO_COLOR"):
        return False
    forced = environ.get("FORCE_COLOR")
    if forced:
        return forced not in ("0", "false")
    return is_tty and environ.get("TERM") != "dumb"
