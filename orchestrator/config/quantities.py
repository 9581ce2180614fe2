"""Durations and sizes as a config writes them: ``"1h30m"``, ``"256MiB"``; a bare number has no unit and is refused."""

from __future__ import annotations

import re

_DURATION = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,7}(?:\.\d{1,3})?)s)?(?:(\d{1,7})ms)?", re.A
)
_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
LONGEST_SECONDS = 366 * 86400.0
"""A stage or a limit of more than a year is a slip of the pen."""
LONGEST_KEPT_SECONDS = 36525 * 86400.0

_SIZE = re.compile(r"(\d{1,15})(B|[kK]B|MB|GB|KiB|MiB|GiB)", re.A)
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SMALLEST_BYTES = 1024
LARGEST_BYTES = 2**40


def duration(text: str) -> float:
    """Return the seconds that ``text`` means: ``90s``, ``10m``, ``1h30m``, ``2d``, ``1.5s``, ``500ms``.

    Raises ValueError, with the reason in plain words, when it means none, nothing, or more than a year.
    """
    seconds = _seconds(text)
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    if seconds > LONGEST_SECONDS:
        raise ValueError("must not be longer than 366 days")
    return seconds


def retention(text: str) -> float:
    """Return the seconds for which something is kept: a duration that may be nothing (``0d``), or a hundred years."""
    seconds = _seconds(text)
    if seconds > LONGEST_KEPT_SECONDS:
        raise ValueError("must not be longer than 36525 days")
    return seconds


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError("must be a duration such as '90s', '10m' or '1h30m'")
    return sum(float(part) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True) if part)


def written(seconds: float) -> str:
    """Return a duration as ``duration`` reads it: ``30m``, ``1h05m``, ``2m15s``, ``12.3s``, ``0.47s``, ``4ms``.

    It is rounded to what a person compares: whole seconds from a minute on, tenths from ten seconds on.
    """
    if seconds < 0.0095:
        return f"{max(1, round(seconds * 1000))}ms"
    if seconds < 59.95:
        return f"{seconds:.{1 if seconds >= 9.995 else 2}f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def size(text: str) -> int:
    """Return the bytes that ``text`` means: ``64KiB``, ``256MiB``, ``1GiB``, ``10MB``.

    Raises ValueError, with the reason in plain words, when it means none, or is outside 1 KiB to 1 TiB.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("must be a size such as '64KiB', '256MiB' or '1GiB'")
    count = int(match[1]) * _BYTES[match[2]]
    if not SMALLEST_BYTES <= count <= LARGEST_BYTES:
        raise ValueError("must lie between 1KiB and 1024GiB")
    return count
