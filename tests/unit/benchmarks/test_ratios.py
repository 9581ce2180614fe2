"""The benchmarks' statistics: paired ratios, and what a disturbed round does to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ratios import Sample, paired, quartiles

TIMES = st.floats(0.001, 100)


def _samples(*walls: float, noisy: bool = False) -> list[Sample]:
    return [Sample(wall, wall / 2, noisy) for wall in walls]


def test_ratios_are_of_rounds_and_not_of_medians() -> None:
    """Drift that both sides of a round share leaves the ratio as it is."""
    pair = paired(_samples(1, 2, 4), _samples(2, 4, 8))
    assert (pair.median, pair.low, pair.high, pair.least, pair.cpu) == (0.5, 0.5, 0.5, 0.5, 0.5)
    assert (pair.ours, pair.peer, pair.rounds) == (2, 4, 3)


def test_the_minima_are_compared_across_rounds() -> None:
    """Each side's shortest time counts, in whichever round it was."""
    assert paired(_samples(1, 9, 9), _samples(9, 9, 2)).least == 0.5


def test_disturbed_rounds_are_left_out_where_enough_are_quiet() -> None:
    """A round counts only if both of its samples were quiet, and the disturbed ones are told."""
    ours = [*_samples(1, 1, 1), *_samples(50, noisy=True)]
    pair = paired(ours, _samples(1, 1, 1, 1))
    assert (pair.median, pair.high, pair.rounds, pair.noisy) == (1, 1, 3, 1)


def test_disturbed_rounds_count_where_few_are_quiet() -> None:
    """A machine that is never quiet gives figures nevertheless, from all rounds."""
    ours = [*_samples(2, 2, 2, noisy=True), *_samples(1)]
    pair = paired(ours, _samples(1, 1, 1, 1))
    assert (pair.median, pair.rounds, pair.noisy) == (2, 4, 3)


def test_a_peer_without_cpu_time_has_no_cpu_ratio() -> None:
    """Nothing is divided by zero."""
    assert paired(_samples(1), [Sample(1, 0)]).cpu is None


@pytest.mark.parametrize(("ours", "peer"), [([], []), (_samples(1), []), (_samples(1), _samples(1, 2))])
def test_what_has_no_pair_is_refused(ours: list[Sample], peer: list[Sample]) -> None:
    """No samples, or unequal numbers of them, are a mistake of the caller."""
    with pytest.raises(ValueError, match="paired"):
        paired(ours, peer)


@given(st.lists(st.tuples(TIMES, TIMES, st.booleans()), min_size=1, max_size=30))
def test_the_median_lies_between_the_quartiles(rounds: list[tuple[float, float, bool]]) -> None:
    """Whatever was measured, low <= median <= high."""
    pair = paired([Sample(a, a, noisy) for a, _, noisy in rounds], [Sample(b, b) for _, b, _ in rounds])
    assert pair.low <= pair.median <= pair.high


def test_two_values_have_their_ends_as_quartiles() -> None:
    """Too few values are shown whole."""
    assert quartiles([3.0, 1.0]) == (1.0, 3.0)
