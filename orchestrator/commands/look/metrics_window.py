"""The ends of the runs of a window, over all tasks, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.base.errors import StorageError
from orchestrator.report.run_list.metrics_lines import recorded_since
from orchestrator.report.run_list.names import Unreadable
from orchestrator.report.statistics.metrics_record import End, last_ends
from orchestrator.store.find import task_ids
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(slots=True)
class Found:
    """The last ends of the runs in the window, and what could not be read."""

    ends: list[End] = field(default_factory=list)
    torn: int = 0
    unreadable: int = 0
    repeated: int = 0
    unreadable_tasks: list[Unreadable] = field(default_factory=list)

    def notes(self) -> dict[str, Any]:
        """Return what the document says of it."""
        return {
            "unreadable_lines": self.unreadable,
            "torn_lines": self.torn,
            "repeated_lines": self.repeated,
            "unreadable_tasks": [{"task_id": one.task_id, "reason": one.reason} for one in self.unreadable_tasks],
        }


def ends_since(store: RunStore, start: datetime) -> Found:
    """Return the last end of each run that completed since ``start``; what can't be read is noted."""
    found = Found()
    for task_id in task_ids(store):
        try:
            lines = recorded_since(store, task_id, start)
        except StorageError as error:
            found.unreadable_tasks.append(Unreadable(task_id, error.message))
            continue
        last, repeated = last_ends(lines.ends)
        found.ends += [end for end in last if end.completed_at >= start]
        found.torn += lines.torn
        found.unreadable += lines.unreadable
        found.repeated += repeated
    return found


def by_project(
    ends: Sequence[End], known: Sequence[str], owner: Callable[[str], str | None]
) -> dict[str | None, list[End]]:
    """Return the ends by project, the configured projects first, also those without any."""
    found: dict[str | None, list[End]] = {name: [] for name in known}
    for end in ends:
        project = end.project or owner(end.task_id)
        found.setdefault(project, []).append(end)
    return dict(sorted(found.items(), key=lambda item: (item[0] is None, item[0] or "")))
