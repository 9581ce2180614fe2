"""The end of a task's ``metrics.json``: as many lines as a window of time needs, whatever stands before them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.base.files import explained
from orchestrator.report.run_list.lines_from_end import lines_backwards
from orchestrator.report.statistics.metrics_record import End, Hashed, end_of
from orchestrator.store.layout import METRICS
from orchestrator.store.store import RunStore

CLOCK_SLACK = timedelta(days=1)
_STEP = 1000
OLD_LINES = 100
"""Reading stops at so many readable lines in a row that were recorded more than a day before the window.

Lines are appended under the task's lock, so they stand in the order of ``recorded_at`` as far as the clock
went forward; and no run is recorded before it has completed. So it does not matter how late a died run was
recorded: only a clock that was set back by more than a day, for more than 100 lines, could hide one.
"""


@dataclass(frozen=True, slots=True)
class RecordedEnds:
    """What the end of a file tells: the ends in it, latest line first, and how many lines were torn or unreadable."""

    ends: tuple[End, ...] = ()
    torn: int = 0
    unreadable: int = 0


def recorded_since(
    store: RunStore,
    task_id: str,
    start: datetime,
    hashed: Hashed | None = None,
    looked: Callable[[int], None] = lambda more: None,
) -> RecordedEnds:
    """Return the ends of the runs of a task that completed since ``start``, and some before.

    ``hashed`` is the SHA-256 for the digests of lines, for who proves them. ``looked`` gets how many lines more
    were read. Raises StorageError when the file can't be read, or is a link.
    """
    try:
        with store.task(task_id) as task:
            fd = task.open_read(METRICS)
            path = os.path.join(task.path, METRICS)
    except FileNotFoundError:
        return RecordedEnds()
    try:
        with explained(path):
            return _found(fd, task_id, start - CLOCK_SLACK, hashed, looked)
    finally:
        os.close(fd)


def _found(
    fd: int, task_id: str, earliest: datetime, hashed: Hashed | None, looked: Callable[[int], None]
) -> RecordedEnds:
    lines = lines_backwards(lambda offset, count: os.pread(fd, count, offset), os.fstat(fd).st_size)
    torn = next(lines)
    ends: list[End] = []
    unreadable = old = 0
    for line in lines:
        if line is not None and not line.strip():
            continue
        end = end_of(line, task_id, hashed) if line is not None else None
        if end is None:
            unreadable += 1
            continue
        ends.append(end)
        if len(ends) % _STEP == 0:
            looked(_STEP)
        old = old + 1 if end.recorded_at < earliest else 0
        if old == OLD_LINES:
            break
    return RecordedEnds(tuple(ends), int(torn != b""), unreadable)
