"""Time, as an argument: wall time for timestamps, monotonic time for durations."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import UTC, date, datetime, timedelta
    from typing import Protocol
else:
    Protocol = object
    try:
        # What ``datetime`` has of it, without the same in Python, which Python 3.11 loads and forgets: 2 ms.
        from _datetime import UTC, date, datetime, timedelta
    except ImportError:
        from datetime import UTC, date, datetime, timedelta

__all__ = (
    "CLOCK_TOLERANCE",
    "UTC",
    "Clock",
    "SystemClock",
    "date",
    "datetime",
    "later",
    "parse_stamp",
    "stamp",
    "timedelta",
)

CLOCK_TOLERANCE = timedelta(minutes=5)
"""Clocks differ, and are set: by less than this no time is taken for wrong (contract, section 7, "Records")."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Return the wall time in UTC."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some fixed point."""
        return time.monotonic()


def stamp(moment: datetime) -> str:
    """Return a UTC moment as ``2026-11-22T08:43:05.720Z`` (contract, section 4)."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def parse_stamp(text: str) -> datetime:
    """Return the moment that ``stamp`` wrote; ValueError when ``text`` is not an ISO 8601 moment in UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def later(moment: datetime, seconds: float) -> datetime:
    """Return the moment ``seconds`` after ``moment``."""
    return moment + timedelta(seconds=seconds)
