"""Text that may reach a terminal; stages' output is for ``terminal_filter``.

The controls for bidirectional text are those of Unicode's Annex 9 (the "Trojan Source" characters).
"""

from __future__ import annotations

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""The controls of Unicode's Annex 9, as the inside of a range of a regular expression."""

INVISIBLE = "\u00ad\u034f\u115f\u1160\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0\U000e0000-\U000e007f"
"""What takes no place and joins nothing: zero width spaces, fillers, tags. Joiners and variation selectors stay."""

MARKS = "\u0300-\u034e\u0350-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""Combining marks that belong to no script."""

MOST_MARKS = 8
"""So many of them may stand on one letter; more only cover the lines around it."""

RESET = b"\x1b[0m"
"""Ends every colour."""

_RARE = frozenset("\u115f\u1160\u3164\uffa0").union(map(chr, range(0xFE20, 0xFE30)))
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def safe_text(text: str, *, lines: bool = False) -> str:
    r"""Return ``text`` (an id, a title, a reason) with what could steer a terminal as visible escapes.

    These are control characters (``\x1b``), bidirectional controls (``\u202e``), invisible characters, line
    separators and lone surrogates; of combining marks eight stay on a letter; with ``lines``,
    newlines and tabs stay. The result can be encoded as UTF-8 and printed.
    """
    # Nothing is compiled for nearly all text.
    if text.isprintable() and (text.isascii() or not any(map(_rare, text))):
        return text
    return _unsafe("\x09\x0a" if lines else "").sub(_visible, _too_many_marks().sub(r"\1", text))


@functools.cache
def _unsafe(kept: str) -> re.Pattern[str]:
    import re  # only when something has to be hidden

    exempt = f"(?![{kept}])" if kept else ""
    return re.compile(f"{exempt}[\x00-\x1f\x7f-\x9f{BIDIRECTIONAL}{INVISIBLE}\u2028\u2029\ud800-\udfff]")


@functools.cache
def _too_many_marks() -> re.Pattern[str]:
    import re

    return re.compile(f"([{MARKS}]{{{MOST_MARKS}}})[{MARKS}]+")


def _visible(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _rare(char: str) -> bool:
    """Tell whether a printable character may be a combining mark or a filler."""
    return "\u0300" <= char <= "\u0489" or "\u1ab0" <= char <= "\u1dff" or "\u20d0" <= char <= "\u20ff" or char in _RARE
