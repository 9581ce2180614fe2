"""The benchmarks' gauge: disturbed samples are noticed and taken again, quiet ones are not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from benchmarks.measure import Contender, interleave
from benchmarks.noise import Gauge, busy_seconds, is_disturbed, quiet_spin, spin


@pytest.mark.parametrize(
    ("around", "foreign", "expected"),
    [
        ((1.0, 1.2), None, False),
        ((1.0, 1.3), None, True),
        ((1.3, 1.0), 0.0, True),
        ((1.0, 1.0), 0.25, False),
        ((1.0, 1.0), 0.3, True),
    ],
)
def test_long_spins_and_foreign_work_disturb(around: tuple[float, ...], foreign: float | None, expected: bool) -> None:
    """A spin a quarter longer, or others' work of a quarter of the time and three ticks, mark a sample of 1 s."""
    assert is_disturbed(around, 1.0, foreign, 1.0) is expected


def test_a_quiet_spin_is_among_the_shortest() -> None:
    """Long spins, however many, don't move it; one that is short by luck doesn't either."""
    assert quiet_spin([0.5, *[1.0] * 9, *[9.0] * 10]) == 1.0


def _gauge(spins: Iterator[float], busy: Callable[[], float | None] = lambda: None) -> tuple[Gauge, list[float]]:
    pauses: list[float] = []
    gauge = Gauge(lambda: next(spins), busy, pauses.append)
    gauge.calibrate()
    return gauge, pauses


def _spins(*after: float) -> Iterator[float]:
    yield from [1.0] * 40
    yield from after
    while True:
        yield 1.0


def test_a_disturbed_sample_is_taken_again_after_a_pause() -> None:
    """The second, quiet one is kept."""
    gauge, pauses = _gauge(_spins(1.0, 2.0))
    walls = iter([5.0, 1.0])
    assert gauge.settled(lambda: (next(walls), 0.5), 3) == (1.0, 0.5, False)
    assert (gauge.repeated, len(pauses)) == (1, 1)


def test_a_sample_that_stays_disturbed_is_marked() -> None:
    """After its repeats it is kept as it is."""
    gauge, _ = _gauge(_spins(*[2.0] * 8))
    assert gauge.settled(lambda: (1.0, 0.5), 3) == (1.0, 0.5, True)
    assert gauge.repeated == 3


def test_a_samples_own_work_is_not_foreign() -> None:
    """Only what the machine did beyond the sample's own CPU time counts against it."""
    busy = iter([10.0, 12.0, 20.0, 22.0])
    gauge, _ = _gauge(_spins(), lambda: next(busy))
    assert gauge.watched(lambda: (1.0, 2.0)) == (1.0, 2.0, False)
    assert gauge.watched(lambda: (1.0, 1.0)) == (1.0, 1.0, True)


def test_rounds_are_interleaved_and_scenes_made_fresh() -> None:
    """Each contender comes once a round, in an order that changes, after its scene was made fresh; round 0 warms up."""
    gauge, _ = _gauge(_spins())
    seen: list[str] = []

    def contender(name: str) -> Contender:
        def once() -> tuple[float, float]:
            seen.append(name)
            return 1.0, 1.0

        return Contender(name, once, lambda: seen.append(f"fresh {name}"))

    taken = interleave([contender("a"), contender("b")], 8, gauge, random.Random(1))
    rounds = [seen[start : start + 4] for start in range(0, len(seen), 4)]
    orders = {tuple(each) for each in rounds}
    assert orders == {("fresh a", "a", "fresh b", "b"), ("fresh b", "b", "fresh a", "a")}
    assert len(rounds) == 9
    assert [len(samples) for samples in taken.values()] == [8, 8]


def test_repeats_end_on_a_machine_that_is_never_quiet() -> None:
    """Half as many samples are repeated as are asked for, and all are marked."""
    spins = iter(lambda: 1.0, 0.0)
    gauge = Gauge(lambda: next(spins), lambda: None, lambda seconds: None, [0.1] * 100)
    taken = interleave([Contender("a", lambda: (1.0, 1.0))], 10, gauge, random.Random(1))
    assert 5 <= gauge.repeated <= 8
    assert all(sample.noisy for sample in taken["a"])


def test_the_real_sources_tell_something() -> None:
    """A spin takes time; busy seconds, where they are known, don't go back."""
    before, took, after = busy_seconds(), spin(), busy_seconds()
    assert took > 0
    assert (before is None) == (after is None)
    assert before is None or after is None or before <= after
