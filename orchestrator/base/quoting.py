"""How foreign text is quoted in a message."""

from __future__ import annotations

_SHOWN_LENGTH = 80


def shown(value: str) -> str:
    """Return ``value`` quoted for a message: printable, on one line, at most 80 characters of it."""
    cut = value if len(value) <= _SHOWN_LENGTH else value[:_SHOWN_LENGTH] + "…"
    return f"'{printable(cut)}'"


def printable(text: str) -> str:
    """Return text with everything escaped that would act on a terminal or has no encoding."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
