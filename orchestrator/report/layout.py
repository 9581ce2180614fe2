"""Text for people: columns, wrapping, durations and colours. Foreign text comes in through ``clean`` only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.base.clock import datetime
from orchestrator.base.text.safe_text import safe_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NARROW = 64
"""Below so many columns, a label stands above its value instead of beside it."""

_DAYS_AGO = 7
"""From so many days on, a moment is a date."""

_LABEL = 11
_INDENT = "  "
_INK = "\x1b\\[[0-9]+m"
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Ink:
    """Colours text, or leaves it as it is."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, style: str, text: str) -> str:
        """Return ``text`` in a style: bold, dim, red, green, yellow or cyan; "" leaves it plain."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.color and style and text else text


def clean(text: object) -> str:
    """Return foreign text on one line, with nothing in it that a terminal would act on or can't be encoded."""
    return safe_text(" ".join(str(text).split("\n")).replace("\t", " "))


def columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(ch) else 2 if east_asian_width(ch) in "WF" else 1 for ch in text)


def clip(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` columns, "…" where something was cut."""
    if columns(text) <= width:
        return text
    if width < 1:
        return ""
    kept, used = "", 0
    for ch in text:
        used += columns(ch)
        if used > width - 1:
            break
        kept += ch
    return kept + "…"


def pad(text: str, width: int) -> str:
    """Return ``text`` with spaces behind it up to ``width`` columns."""
    return text + " " * (width - columns(text))


def wrap(text: str, width: int) -> list[str]:
    """Return ``text`` in lines of at most ``width`` columns; a longer word, as a path, stays whole."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and columns(lines[-1]) + 1 + columns(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def labelled(
    ink: Ink, label: str, values: Sequence[str], width: int, style: str = "", *, whole: bool = False
) -> list[str]:
    """Return ``values`` under one label, one below the other; wrapped, or ``whole``, as what is to be copied."""
    narrow = width < NARROW
    room = width - (len(_INDENT) if narrow else _LABEL)
    body = [line for value in values for line in ([value] if whole else wrap(value, room))]
    if narrow:
        return [ink("dim", label), *(_INDENT + ink(style, line) for line in body)]
    heads = [label, *[""] * (len(body) - 1)]
    return [ink("dim", pad(head, _LABEL)) + ink(style, line) for head, line in zip(heads, body, strict=True)]


def table(ink: Ink, rows: Iterable[Sequence[tuple[str, str]]], width: int) -> list[str]:
    """Return rows of ``(style, text)`` cells, columns aligned; empty columns are left out, the last is cut."""
    filled = [column for column in zip(*rows, strict=True) if any(text for _, text in column)]
    widths = [max(columns(text) for _, text in column) for column in filled]
    cells = list(zip(*filled, strict=True))
    lines = []
    for row in cells:
        line, used = _INDENT, len(_INDENT)
        for index, (style, text) in enumerate(row):
            last = index == len(row) - 1
            shown = clip(text, width - used) if last else pad(text, widths[index])
            line += ink(style, shown) + ("" if last else _INDENT)
            used += widths[index] + len(_INDENT)
        lines.append(line.rstrip())
    return lines


def duration(seconds: float | None) -> str:
    """Return a length of time for people: ``40 ms``, ``1.2 s``, ``12 s``, ``3m 05s``, ``20m``, ``1h 02m``.

    ``-`` stands for no time at all.
    """
    if seconds is None:
        return "-"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < 0.9995:
        return f"{sign}{round(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{sign}{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{sign}{whole} s"
    if whole < 3600:
        return f"{sign}{whole // 60}m" + (f" {whole % 60:02d}s" if whole % 60 else "")
    return f"{sign}{whole // 3600}h" + (f" {whole % 3600 // 60:02d}m" if whole % 3600 // 60 else "")


def moment(at: datetime) -> str:
    """Return a moment for people, to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime, now: datetime) -> str:
    """Return a moment as people read it: ``just now``, ``5m ago``, ``3h ago``, ``2d ago``, else the date (UTC)."""
    seconds = (now - at).total_seconds()
    if seconds < 0 or seconds >= _DAYS_AGO * 86_400:
        return f"{at:%Y-%m-%d}"
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)}m ago"
    return f"{int(seconds // 3600)}h ago" if seconds < 86_400 else f"{int(seconds // 86_400)}d ago"


def plural(count: int, word: str) -> str:
    """Return ``1 stage`` or ``3 stages``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def rows_on_screen(text: str, width: int) -> int:
    """Return how many rows of a terminal ``text`` takes, lines that are longer than ``width`` broken by it."""
    import re  # only a terminal is drawn anew

    plain = re.sub(_INK, "", text)
    return sum(max(1, -(-columns(line) // max(1, width))) for line in plain.splitlines())


def test_place(test: Mapping[str, Any]) -> str:
    """Return where a failed test stands as editors read it, ``file:line``; empty where that is not known."""
    if not test["file"]:
        return ""
    return f"{test['file']}:{test['line']}" if test["line"] else str(test["file"])
