"""The ends of the runs of a window, over all tasks, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.base.clock import CLOCK_TOLERANCE
from orchestrator.base.errors import StorageError
from orchestrator.commands.look.metrics_proof import Unproved, WindowRecords, unproved
from orchestrator.model.fleet import KIND
from orchestrator.report.run_list.metrics_lines import recorded_since
from orchestrator.report.run_list.names import Unreadable
from orchestrator.report.statistics.metrics_record import End, Hashed, last_ends
from orchestrator.store.find import open_runs, task_ids
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(slots=True)
class WindowEnds:
    """The last ends of the runs in the window, and what could not be read."""

    ends: list[End] = field(default_factory=list)
    torn: int = 0
    unreadable: int = 0
    repeated: int = 0
    unreadable_tasks: list[Unreadable] = field(default_factory=list)
    open_runs: list[str] = field(default_factory=list)
    in_future: list[str] = field(default_factory=list)
    tried: list[End] = field(default_factory=list)
    """The ends of all attempts in the window whose lines name the tries of stages."""
    unproved: dict[str, Unproved] = field(default_factory=dict)

    def notes(self) -> dict[str, Any]:
        """Return what the document says of it."""
        return {
            "unreadable_lines": self.unreadable,
            "torn_lines": self.torn,
            "repeated_lines": self.repeated,
            "unreadable_tasks": [{"task_id": one.task_id, "reason": one.reason} for one in self.unreadable_tasks],
            "open_runs": sorted(self.open_runs),
            "in_future": sorted(self.in_future),
        }


def ends_since(
    store: RunStore,
    start: datetime,
    *,
    prove: bool = False,
    records: WindowRecords | None = None,
    looked: Callable[[int], None] = lambda more: None,
) -> WindowEnds:
    """Return the last end of each run that completed since ``start``; what can't be read is noted.

    Runs whose end is not published yet, and those of the future, are left out and named. With ``prove``, the lines
    that nothing proves are reported too, and with ``records`` those that were altered. ``looked`` gets how many
    lines more were read.
    """
    hashed = _openssl() if prove else None
    until = store.clock.now() + CLOCK_TOLERANCE
    found = WindowEnds()
    for task_id in task_ids(store):
        try:
            lines = recorded_since(store, task_id, start, hashed, looked)
        except StorageError as error:
            found.unreadable_tasks.append(Unreadable(task_id, error.message))
            continue
        opened = open_runs(store, task_id)
        last, repeated = last_ends(lines.ends)
        ends = [end for end in last if end.completed_at >= start and end.run_id not in opened]
        found.open_runs += [end.run_id for end in last if end.completed_at >= start and end.run_id in opened]
        found.in_future += [end.run_id for end in ends if end.completed_at > until]
        ends = [end for end in ends if end.completed_at <= until]
        found.ends += [end for end in ends if end.kind != KIND]
        found.tried += [end for end in lines.ends if end.tried is not None and end.completed_at >= start]
        if prove:
            found.unproved[task_id] = _proof(store, task_id, ends, lines.ends, start, opened, records)
        found.torn += lines.torn
        found.unreadable += lines.unreadable
        found.repeated += repeated
    return found


def _openssl() -> Hashed:
    """Return the SHA-256 that takes a third of the time for each of many lines, and 2 ms to load."""
    from hashlib import sha256

    return sha256


def _proof(
    store: RunStore,
    task_id: str,
    ends: Sequence[End],
    known: Sequence[End],
    start: datetime,
    opened: frozenset[str],
    records: WindowRecords | None,
) -> Unproved:
    """Return what is not proved; ends that came while it was read are looked for again."""
    found = unproved(store, task_id, ends, known, start, records)
    if not found.cut:
        return found
    again = {end.event_id for end in recorded_since(store, task_id, start).ends}
    cut = (link for link in found.cut if link.get("event_id") not in again and link.get("run_id") not in opened)
    return found._replace(cut=tuple(cut))


def by_project(
    ends: Sequence[End], known: Sequence[str], owner: Callable[[str], str | None]
) -> dict[str | None, list[End]]:
    """Return the ends by project, the configured projects first, also those without any."""
    found: dict[str | None, list[End]] = {name: [] for name in known}
    for end in ends:
        project = end.project or owner(end.task_id)
        found.setdefault(project, []).append(end)
    return dict(sorted(found.items(), key=lambda item: (item[0] is None, item[0] or "")))
