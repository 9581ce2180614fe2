"""Stages as a graph: what each needs, what is wrong with it, and an order in which needs come first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.base.record import Record


class Vertex(Record):
    """A stage and what it needs; ``implied`` says that the need is the stage listed before it."""

    id: str
    needs: tuple[str, ...]
    implied: bool = False


def vertices(entries: Iterable[tuple[str, Sequence[str] | None]]) -> list[Vertex]:
    """Return the graph of ``entries`` (id and needs, in the order listed); None is the stage listed before it."""
    graph: list[Vertex] = []
    for stage, needs in entries:
        if needs is not None:
            graph.append(Vertex(stage, tuple(dict.fromkeys(needs))))
        else:
            graph.append(Vertex(stage, (graph[-1].id,) if graph else (), implied=bool(graph)))
    return graph


def in_order(graph: Sequence[Vertex]) -> list[str]:
    """Return the ids so that every need comes first, as listed otherwise; stages on or behind a cycle are left out."""
    placed: dict[str, None] = {}
    waiting = list(graph)
    while True:
        ready = next((vertex for vertex in waiting if all(need in placed for need in vertex.needs)), None)
        if ready is None:
            return list(placed)
        placed[ready.id] = None
        waiting.remove(ready)


def cycles(graph: Sequence[Vertex]) -> list[list[Vertex]]:
    """Return cycles, each as the stages along it, no stage in two of them; needs outside the graph are ignored."""
    found: list[list[Vertex]] = []
    rest = _within(graph, {vertex.id for vertex in graph})
    while True:
        left = _within(rest, {vertex.id for vertex in rest} - set(in_order(rest)))
        if not left:
            return found
        circle = _circle({vertex.id: vertex for vertex in left})
        found.append(circle)
        rest = _within(left, {vertex.id for vertex in left} - {vertex.id for vertex in circle})


def _within(graph: Sequence[Vertex], ids: set[str]) -> list[Vertex]:
    return [
        Vertex(vertex.id, tuple(need for need in vertex.needs if need in ids), vertex.implied)
        for vertex in graph
        if vertex.id in ids
    ]


def _circle(left: dict[str, Vertex]) -> list[Vertex]:
    # Each stage that can't be placed needs another one of them: following needs must come round.
    path: list[str] = []
    stage = next(iter(left))
    while stage not in path:
        path.append(stage)
        stage = left[stage].needs[0]
    return [left[key] for key in path[path.index(stage) :]]
