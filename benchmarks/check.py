"""What CI asks: is a ratio 30 % worse than the figure in the repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.goals import BY_ID
from benchmarks.publishing import FIGURES
from benchmarks.results import Result

CHECKED = ("start-nox", "status-invoke")
"""What is watched: both peers are installed wherever we are, and both sides take a fraction of a second."""

WORSE = 1.3
"""So many times the kept figure fails (issue: 30 %)."""


def check(kept: Mapping[str, Any], measure: Callable[[], Sequence[Result]]) -> int:
    """Measure, and once more if something looks worse; return 1 and say what, when it does both times, else 0."""
    found: list[str] = []
    for _ in range(2):
        found = worse(kept, measure())
        if not found:
            return 0
        print(*found, sep="\n", flush=True)
    return 1


def worse(kept: Mapping[str, Any], results: Sequence[Result]) -> list[str]:
    """Return a sentence for each result whose median ratio *and* ratio of minima are ``WORSE`` than the kept ones.

    Load shifts the median, luck the minima; a slower program shifts both. A row without a kept figure fails too.
    """
    found = []
    for result in results:
        before = (kept.get(result.row) or {}).get("paired")
        title = BY_ID[result.row].title
        if before is None or result.pair is None:
            found.append(f"{title}: there is no figure to compare, in {FIGURES} or now")
        elif result.pair.median > WORSE * before["median"] and result.pair.least > WORSE * before["least"]:
            found.append(
                f"{title}: {result.pair.median:.2f} (minima {result.pair.least:.2f}) is more than {WORSE} times"
                f" {before['median']:.2f} ({before['least']:.2f})"
            )
    return found
