"""Measuring: contenders side by side, each round in random order, disturbed samples again."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.noise import Gauge
from benchmarks.ratios import Sample
from benchmarks.running import Command, run

REPEATS = 3
"""How often a disturbed sample is taken again before it is kept, and marked."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to measure: ``once`` returns wall and CPU seconds, ``before`` makes its scene fresh, unmeasured."""

    name: str
    once: Callable[[], tuple[float, float]]
    before: Callable[[], None] | None = None

    @classmethod
    def of(cls, name: str, command: Command, before: Callable[[], None] | None = None) -> Contender:
        """Return the contender that runs a command, which must succeed."""

        def once() -> tuple[float, float]:
            ended = run(command)
            return ended.wall, ended.cpu

        return cls(name, once, before)


def interleave(
    contenders: Sequence[Contender], rounds: int, gauge: Gauge, order: random.Random, *, warm_up: bool = True
) -> Mapping[str, Sequence[Sample]]:
    """Measure each contender once a round, in random order, and return the samples by name, in the order of rounds.

    A round before the first, which counts nothing, warms caches up. At most half as many samples are repeated as
    are asked for, so that a machine that is never quiet takes half as long again and not four times.
    """
    taken: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    budget = gauge.repeated + rounds * len(contenders) // 2
    for number in range(0 if warm_up else 1, rounds + 1):
        for contender in order.sample(contenders, k=len(contenders)):
            repeats = REPEATS if number and gauge.repeated < budget else 0
            wall, cpu, noisy = gauge.settled(contender.once, repeats, contender.before)
            if number:
                taken[contender.name].append(Sample(wall, cpu, noisy))
    return taken
