"""How foreign text is quoted in a message."""

from __future__ import annotations

_SHOWN_LENGTH = 80


def shown(value: str) -> str:
    """Return ``value`` quoted for a message: printable, on one line, at most 80 characters of it."""
    cut = value if len(value) <= _SHOWN_LENGTH else value[:_SHOWN_LENGTH] + "…"
    printable = "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in cut)
    return f"'{printable}'"
