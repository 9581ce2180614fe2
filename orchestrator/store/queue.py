"""Joining the queue: a run begins at once where a place is free, and else waits in line."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.errors import Refused
from orchestrator.base.record import Record
from orchestrator.model.queue import Entry, QueueLimits, Standing, called, crowded, in_line, standing
from orchestrator.store.layout import Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.queue_places import PLACES_LOCK, Place, living, queue_folder, write_list
from orchestrator.store.store import RunStore


class Wish(Record):
    """What a run asks of the queue: its project, the limits that bind it, its priority, and whether it may wait."""

    project: str
    limits: QueueLimits
    priority: int = 0
    may_wait: bool = True


def enter(
    store: RunStore, wish: Wish, claim: Callable[[Standing | None], OpenRun], *, again: str | None = None
) -> OpenRun:
    """Return the run that ``claim`` opens, with its place; ``claim`` gets where it stands, None where it may begin.

    ``again`` is the id of a run that is resumed, of which an earlier attempt may have left an entry.
    Raises Refused, with nothing written: ``busy`` when it may not wait and would have to, ``queue-full`` when no
    more runs may wait; and what ``claim`` raises.
    """
    with queue_folder(store, create=True) as queue:
        lock = queue.lock(PLACES_LOCK, blocking=True, patience=lambda: store.patience())
        assert lock is not None  # noqa: S101 -- a blocking lock is always granted
        with lock:
            before = living(store, queue, again)
            number = max((entry.number for entry in before), default=0) + 1
            entry = _entry(wish, Location("", ""), number)
            waits = standing(called([*before, entry]), entry.run_id)
            if waits is not None:
                _refuse_waiting(wish, before, waits)
            run = claim(waits)
            try:
                entry = _entry(wish, run.where, number)._replace(runs=waits is None)
                write_list(queue, [*before, entry])
            except BaseException:
                run.close()
                raise
            run.place = Place(store, entry, waits)
            return run


def _entry(wish: Wish, where: Location, number: int) -> Entry:
    limits = wish.limits
    return Entry(
        where.run_id,
        where.task_id,
        wish.project,
        wish.priority,
        number,
        False,
        limits.project.running,
        limits.workspace.running,
    )


def _refuse_waiting(wish: Wish, entries: list[Entry], now: Standing) -> None:
    holders = [entry for entry in entries if entry.runs and now.scope in (None, entry.project)]
    if not wish.may_wait:
        names = ", ".join(f"'{entry.run_id}'" for entry in holders[:5])
        others = f" and {len(holders) - 5} more" if len(holders) > 5 else ""
        line = f"; {len(in_line(entries))} wait" if in_line(entries) else ""
        where = "the workspace" if now.scope is None else f"project '{now.scope}'"
        raise Refused(
            f"as many runs of {where} as may run at once are running: {names}{others}{line}",
            hint="leave --no-wait out to wait in line, or see codex-orchestrator runs",
            code="busy",
        )
    full = crowded(entries, wish.limits, wish.project)
    if full is not None:
        raise Refused(full, hint="try again later, or see codex-orchestrator runs --status queued", code="queue-full")
