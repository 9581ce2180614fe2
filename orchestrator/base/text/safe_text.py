"""Text that may reach a terminal; stages' output is for ``terminal_filter``.

The controls for bidirectional text are those of Unicode's Annex 9 (the "Trojan Source" characters).
"""

from __future__ import annotations

import functools
import re

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""The controls of Unicode's Annex 9, as the inside of a range of a regular expression."""

RESET = b"\x1b[0m"
"""Ends every colour."""

_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def safe_text(text: str, *, lines: bool = False) -> str:
    r"""Return ``text`` (an id, a title, a reason) with what could steer a terminal as visible escapes.

    These are control characters (``\x1b``), bidirectional controls (``\u202e``), line separators and lone
    surrogates; with ``lines``, newlines and tabs stay. The result can be encoded as UTF-8 and printed.
    """
    # No character that is to be shown otherwise is printable, and nearly all text is.
    return text if text.isprintable() else _unsafe("\x09\x0a" if lines else "").sub(_visible, text)


@functools.cache
def _unsafe(kept: str) -> re.Pattern[str]:
    # Compiled only when something has to be hidden.
    exempt = f"(?![{kept}])" if kept else ""
    return re.compile(f"{exempt}[\x00-\x1f\x7f-\x9f{BIDIRECTIONAL}\u2028\u2029\ud800-\udfff]")


def _visible(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
