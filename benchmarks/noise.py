"""Noise: how a sample that something else on the machine disturbed is told from a quiet one.

Two signs, each of which the other misses. A *spin*, a fixed piece of work of some milliseconds before and
after each sample, takes longer when the core is slowed down or shared. *Foreign CPU time*, what all cores
did while the sample ran less what the sample's own processes used, shows work on the other cores, and time
that a hypervisor took away (Linux: ``/proc/stat``; elsewhere only the spin speaks).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SPIN_LIMIT = 1.25
"""A spin this many times as long as a quiet one means a disturbed sample; quiet spins spread by about a tenth."""

FOREIGN_SHARE = 0.25
FOREIGN_FLOOR = 0.03
"""Foreign CPU seconds that are borne: this share of the wall time, and three ticks of ``/proc/stat`` (10 ms each)."""

_WORK = 60_000
_CALIBRATING = 40


def spin() -> float:
    """Do a fixed piece of work, about 4 ms, and return the seconds that it took."""
    began = time.perf_counter()
    sum(number * number for number in range(_WORK))
    return time.perf_counter() - began


def busy_seconds() -> float | None:
    """Return the CPU seconds that all cores have worked, or lost to the hypervisor, so far; None where unknown."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def quiet_spin(spins: Sequence[float]) -> float:
    """Return how long a spin takes undisturbed: the tenth percentile of all spins so far (seconds)."""
    return sorted(spins)[len(spins) // 10]


def is_disturbed(around: Sequence[float], quiet: float, foreign: float | None, wall: float) -> bool:
    """Tell whether a sample of ``wall`` seconds was disturbed.

    ``around`` are the spins before and after it, ``quiet`` an undisturbed one, ``foreign`` the CPU seconds of
    others meanwhile, None where unknown.
    """
    if max(around) > SPIN_LIMIT * quiet:
        return True
    return foreign is not None and foreign > FOREIGN_SHARE * wall + FOREIGN_FLOOR


@dataclass(slots=True)
class Gauge:
    """Watches the machine between samples. The three sources are arguments, so that tests can make the noise."""

    spin: Callable[[], float] = spin
    busy: Callable[[], float | None] = busy_seconds
    pause: Callable[[float], None] = time.sleep
    spins: list[float] = field(default_factory=list)
    repeated: int = 0

    def calibrate(self) -> None:
        """Spin for a fifth of a second, to know a quiet spin."""
        self.spins.extend(self.spin() for _ in range(_CALIBRATING))

    def watched(self, measure: Callable[[], tuple[float, float]]) -> tuple[float, float, bool]:
        """Call ``measure``, which returns wall and CPU seconds, and return both and whether it was disturbed."""
        before, busy = self.spin(), self.busy()
        wall, cpu = measure()
        now, after = self.busy(), self.spin()
        self.spins += [before, after]
        foreign = None if busy is None or now is None else now - busy - cpu
        return wall, cpu, is_disturbed((before, after), quiet_spin(self.spins), foreign, wall)

    def settled(
        self, measure: Callable[[], tuple[float, float]], repeats: int, before: Callable[[], None] | None = None
    ) -> tuple[float, float, bool]:
        """Like ``watched``, but measure again, up to ``repeats`` times, after a pause, while it was disturbed.

        ``before`` is called, unwatched, before each time.
        """
        for number in range(repeats + 1):
            if before is not None:
                before()
            wall, cpu, disturbed = self.watched(measure)
            if not disturbed or number == repeats:
                break
            self.repeated += 1
            self.pause(0.1 * (number + 1))
        return wall, cpu, disturbed
