"""Unicode's normal forms of text from outside, in time that grows with its length only."""

from __future__ import annotations

import unicodedata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

_JOINER = "\u034f"
_MOST = 30
"""Marks on one letter (UAX #15, stream-safe text). Sorting a run of n marks takes n * n steps in Python's library."""


def normal_form(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return ``text`` in a normal form; U+034F stands behind each ``_MOST`` marks on one letter."""
    return text if text.isascii() else unicodedata.normalize(form, "".join(_stream_safe(text)))


def _stream_safe(text: str) -> Iterator[str]:
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks > _MOST:
            yield _JOINER
            marks = 1
        yield char
