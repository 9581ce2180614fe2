"""The runs of a workspace by their names, which sort by time: no record is opened for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import repeat

from orchestrator.base.errors import StorageError
from orchestrator.store.find import run_ids
from orchestrator.store.layout import CLI, Location
from orchestrator.store.run_index import newest_names
from orchestrator.store.store import RunStore, is_pruning


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A task whose folder of runs can't be opened, and why."""

    task_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Names:
    """The runs of some tasks, newest first: how many, and each once, read as far as is asked for.

    ``unreadable`` are the tasks that could not be looked into.
    """

    count: int
    runs: Iterator[Location]
    unreadable: tuple[Unreadable, ...]


def newest_first(store: RunStore, tasks: Iterable[str], least: str = "") -> Names:
    """Return the runs of ``tasks`` from the id ``least`` on; runs of the same millisecond by their id, then their task.

    A task whose folder is a link, or can't be read, hinders no other one.
    """
    count = 0
    found: list[Iterator[tuple[str, str]]] = []
    unreadable = []
    for task_id in tasks:
        try:
            more, names = _names(store, task_id, least)
        except StorageError as error:
            unreadable.append(Unreadable(task_id, error.message))
            continue
        count += more
        found.append(zip(names, repeat(task_id), strict=False))
    runs = (Location(task_id, run_id) for run_id, task_id in merge(*found, reverse=True))
    return Names(count, runs, tuple(unreadable))


def _names(store: RunStore, task_id: str, least: str) -> tuple[int, Iterator[str]]:
    try:
        with store.task(task_id) as task, task.sub(CLI) as cli:
            if not is_pruning(task):
                return newest_names(task, cli, least)
    except FileNotFoundError:
        return 0, iter(())
    names = [name for name in reversed(run_ids(store, task_id)) if name >= least]
    return len(names), iter(names)
