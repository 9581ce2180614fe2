"""Stages as a graph, and durations and sizes: small parsers and orders, tried with many inputs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.graph import Vertex, cycles, in_order, vertices
from orchestrator.config.quantities import duration, size

names = st.sampled_from("abcdefgh")
graphs = st.dictionaries(names, st.none() | st.lists(names, max_size=3), max_size=8)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1.5s", 1.5), ("500ms", 0.5), ("1d2h3m4s", 93784)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """Units from days to milliseconds, the larger first, make a duration."""
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "1.5h", "30m1h", "-1s", "0s", "1 h", "1H", "9999999d", "400d", "１s", "1s\n"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """No unit, wrong order, nothing, or more than a year is refused."""
    with pytest.raises(ValueError, match="must"):
        duration(text)


@pytest.mark.parametrize(("text", "count"), [("1KiB", 1024), ("256MiB", 2**28), ("10MB", 10**7), ("2048B", 2048)])
def test_a_size_is_read(text: str, count: int) -> None:
    """Binary and decimal units make a size."""
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "5", "1.5MiB", "0MiB", "1B", "2TiB", "9999GiB", "-1MiB", "1mib"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """No unit, an unknown one, or a size that no log has is refused."""
    with pytest.raises(ValueError, match="must"):
        size(text)


@given(st.integers(1, 366 * 86400))
def test_a_duration_is_the_sum_of_its_parts(seconds: int) -> None:
    """Whatever the parts, they are added up."""
    rest, text = seconds, ""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        text += f"{count}{unit}" if count else ""
    assert duration(text) == seconds


def test_needs_left_out_are_the_stage_before() -> None:
    """Left out, needs are the stage listed before; an empty list is nothing; the first needs nothing."""
    assert vertices([("a", None), ("b", None), ("c", ()), ("d", ["a", "a"])]) == [
        Vertex("a", ()),
        Vertex("b", ("a",), implied=True),
        Vertex("c", ()),
        Vertex("d", ("a",)),
    ]


def test_the_listed_order_is_kept_where_needs_allow() -> None:
    """A stage moves back only as far as its needs ask."""
    assert in_order(vertices([("a", ["c"]), ("b", ()), ("c", ()), ("d", ())])) == ["b", "c", "a", "d"]


@given(graphs)
def test_a_graph_has_an_order_or_a_cycle(entries: dict[str, list[str] | None]) -> None:
    """Either every stage can be placed after its needs, or a cycle is named whose members need each other."""
    known = {
        key: None if needs is None else [need for need in needs if need in entries] for key, needs in entries.items()
    }
    graph = vertices(known.items())
    order = in_order(graph)
    for vertex in graph:
        if vertex.id in order:
            assert all(order.index(need) < order.index(vertex.id) for need in vertex.needs)
    found = cycles(graph)
    assert bool(found) == (len(order) < len(graph))
    for circle in found:
        for vertex, following in zip(circle, [*circle[1:], circle[0]], strict=True):
            assert following.id in vertex.needs
