"""Pure statistics: from the samples of two contenders, taken round by round, to a ratio and its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: wall and CPU time in seconds (CPU of the process and all that it waited for).

    ``noisy``: the machine was disturbed while it was taken, and repeats were too.
    """

    wall: float
    cpu: float
    noisy: bool = False


@dataclass(frozen=True, slots=True)
class Paired:
    """Ours ÷ peer. ``median``, ``low`` and ``high`` (quartiles) are of the rounds' ratios of wall time.

    ``least`` is the ratio of the shortest times, ``cpu`` the median ratio of CPU time (None where none was counted).
    ``ours`` and ``peer`` are median wall times in seconds; ``noisy`` counts samples that stayed disturbed.
    """

    median: float
    low: float
    high: float
    least: float
    cpu: float | None
    ours: float
    peer: float
    rounds: int
    noisy: int


def paired(ours: Sequence[Sample], peer: Sequence[Sample]) -> Paired:
    """Compare samples round by round; a round in which either was disturbed counts only if too few are left.

    Raises ValueError when there are no samples, or not as many of one as of the other.
    """
    if not ours or len(ours) != len(peer):
        raise ValueError(f"{len(ours)} samples of ours can't be paired with {len(peer)} of the peer")
    both = list(zip(ours, peer, strict=True))
    quiet = [pair for pair in both if not (pair[0].noisy or pair[1].noisy)]
    # Three rounds are the fewest that have quartiles worth the name; half of them keeps a median honest.
    used = quiet if len(quiet) >= max(3, len(both) / 2) else both
    ratios = [mine.wall / theirs.wall for mine, theirs in used]
    low, high = quartiles(ratios)
    return Paired(
        median=statistics.median(ratios),
        low=low,
        high=high,
        least=min(mine.wall for mine, _ in used) / min(theirs.wall for _, theirs in used),
        cpu=_cpu_ratio(used),
        ours=statistics.median(mine.wall for mine, _ in used),
        peer=statistics.median(theirs.wall for _, theirs in used),
        rounds=len(used),
        noisy=sum(sample.noisy for sample in (*ours, *peer)),
    )


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the lower and the upper quartile; of fewer than three values the smallest and the largest."""
    if len(values) < 3:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def _cpu_ratio(pairs: Sequence[tuple[Sample, Sample]]) -> float | None:
    ratios = [mine.cpu / theirs.cpu for mine, theirs in pairs if theirs.cpu > 0]
    return statistics.median(ratios) if ratios else None
