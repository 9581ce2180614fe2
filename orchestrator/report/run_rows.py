"""A run as one entry of a list: what ``runs`` shows of it, key by key described in docs/runs.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.base.clock import parse_stamp
from orchestrator.model.manifest.document import INTERRUPTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Row: TypeAlias = "Mapping[str, Any]"

ALTERED = "record-altered"
IN_FUTURE = "record-in-future"
"""Codes of the status document (docs/status.md) that a row tells too."""

DAMAGED = "damaged"
"""Stands in the place of the status of a run whose record can't be read."""

KEYS = (
    *("run_id", "task_id", "project", "pipeline_id", "status", "outcome", "status_detail", "alive", "died", "attempt"),
    *("started_at", "completed_at", "duration_seconds", "stages", "sla_breached", "parent_run_id", "manifest"),
    *("version", "damage", "altered", "in_future", "imported_from", "attended"),
)

_STAGE_STATUSES = ("succeeded", "failed", "skipped", "running", "pending")


def run_row(document: Mapping[str, Any], project: str | None) -> dict[str, Any]:
    """Return the entry of a run, from its status document; ``project`` is that of its task, for version 1."""
    statuses = [command["status"] for command in document["commands"]]
    sla = document["sla"]
    return {
        "run_id": document["run_id"],
        "task_id": document["task_id"],
        "project": document["project"] or project,
        "pipeline_id": document["pipeline_id"],
        "status": document["status"],
        "outcome": document["outcome"],
        "status_detail": document["status_detail"],
        "alive": document["alive"],
        "died": document["outcome"] == "error" and document["status_detail"] == INTERRUPTED,
        "attempt": document["attempt"],
        "started_at": document["started_at"],
        "completed_at": document["completed_at"],
        "duration_seconds": _duration(document),
        "stages": {
            "total": len(statuses),
            **{status: statuses.count(status) for status in _STAGE_STATUSES},
            "reused": sum(command.get("reused") is not None for command in document["commands"]),
        },
        "sla_breached": sla["breached"] if sla is not None else None,
        "parent_run_id": document["lineage"]["parentRunId"],
        "manifest": document["manifest"],
        "version": document["version"],
        "damage": None,
        "altered": next(
            (reason["message"] for reason in document["ready"]["reasons"] if reason["code"] == ALTERED), None
        ),
        "in_future": any(note["code"] == IN_FUTURE for note in document["notes"]),
        "imported_from": document["imported_from"],
        "attended": document["attended"],
    }


def damaged_row(task_id: str, run_id: str, manifest: str, reason: str) -> dict[str, Any]:
    """Return the entry of a run whose record can't be read: only where it is, and why, is known."""
    known = {
        "run_id": run_id,
        "task_id": task_id,
        "status": DAMAGED,
        "manifest": manifest,
        "damage": reason,
    }
    return {key: known.get(key) for key in KEYS}


def _duration(document: Mapping[str, Any]) -> float | None:
    if document["sla"] is not None:
        seconds: float = document["sla"]["active_seconds"]
        return seconds
    if document["completed_at"] is None:
        return None
    took = parse_stamp(document["completed_at"]) - parse_stamp(document["started_at"])
    return round(took.total_seconds(), 3)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs a list is to hold; None asks for nothing."""

    project: str | None = None
    status: str | None = None
    outcome: str | None = None
    pipeline: str | None = None
    parent: str | None = None

    def takes(self, row: Row) -> bool:
        """Tell whether the list holds ``row``. Of a damaged run nothing but that is known, so only it is asked."""
        asked = {
            "project": self.project,
            "status": self.status,
            "outcome": self.outcome,
            "pipeline_id": self.pipeline,
            "parent_run_id": self.parent,
        }
        return all(word is None or row[key] == word for key, word in asked.items())

    @property
    def all(self) -> bool:
        """Whether every run is wanted."""
        return self == Wanted()


_ORDERS: Mapping[str, Callable[[Row], tuple[Any, ...]]] = {
    "started": lambda row: (row["run_id"],),
    "completed": lambda row: (row["completed_at"] or "", row["run_id"]),
    "duration": lambda row: (-1.0 if row["duration_seconds"] is None else row["duration_seconds"], row["run_id"]),
}
"""What a list may be sorted by: the latest, or longest, first; what has no such value comes last."""


def sorted_rows(rows: Sequence[Row], order: str) -> list[Row]:
    """Return ``rows`` sorted by ``order``: ``started``, ``completed`` or ``duration``."""
    return sorted(rows, key=_ORDERS[order], reverse=True)
