"""The groups of rows: what is measured side by side. Each module has ``measure``, from a ``Bench`` to results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.bench import Bench
from benchmarks.groups import (
    cloud,
    crowd,
    fleet,
    makespan,
    memory,
    output,
    reading,
    retention,
    starting,
    syncs,
    unchanged,
)
from benchmarks.results import Result

GROUPS: Sequence[Callable[[Bench], Iterator[Result]]] = (
    starting.measure,
    syncs.measure,
    reading.measure,
    retention.measure,
    crowd.measure,
    output.measure,
    makespan.measure,
    unchanged.measure,
    memory.measure,
    fleet.measure,
    cloud.measure,
)
