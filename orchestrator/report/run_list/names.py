"""The runs of a workspace by their names, which sort by time: no record is opened for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.base.errors import StorageError
from orchestrator.store.find import run_ids
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A task whose folder of runs can't be opened, and why."""

    task_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Names:
    """The runs of some tasks, newest first, and the tasks that could not be looked into."""

    runs: tuple[Location, ...]
    unreadable: tuple[Unreadable, ...]


def newest_first(store: RunStore, tasks: Iterable[str]) -> Names:
    """Return the runs of ``tasks``; runs of the same millisecond by their id, then their task.

    A task whose folder is a link, or can't be read, hinders no other one.
    """
    found: list[tuple[str, str]] = []
    unreadable = []
    for task_id in tasks:
        try:
            found += [(run_id, task_id) for run_id in run_ids(store, task_id)]
        except StorageError as error:
            unreadable.append(Unreadable(task_id, error.message))
    found.sort(reverse=True)
    return Names(tuple(Location(task_id, run_id) for run_id, task_id in found), tuple(unreadable))
