"""Middle and high values of a few numbers; the standard library's module takes 10 ms to load."""

from __future__ import annotations

import math
from collections.abc import Sequence


def median(values: Sequence[float]) -> float | None:
    """Return the middle value, or the mean of the two in the middle; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the least value that ``share`` of all values don't exceed (nearest rank); None of nothing.

    So it is always the value of an actual run, never one between two.
    """
    if not values:
        return None
    # Without the rounding 0.9 * 10 could come out above 9, and the rank one too high.
    return sorted(values)[max(1, math.ceil(round(share * len(values), 9))) - 1]


def ratio(part: int, whole: int) -> float | None:
    """Return ``part`` of ``whole`` (0 to 1), to four places; None of nothing."""
    return round(part / whole, 4) if whole else None
