"""A run of many projects: how its record, or its plan, is known."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.identifiers import FLEET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = FLEET
"""``plan.kind`` of a fleet's record, and ``kind`` of its metrics line."""


def is_fleet(record: Mapping[str, Any]) -> bool:
    """Tell whether a run's record is of a fleet."""
    plan = record.get("plan")
    return isinstance(plan, Mapping) and plan.get("kind") == KIND


def entries_of(plan: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what the recorded plan of a fleet knows of each selected project, by name."""
    selection = plan.get("selection")
    entries = selection.get("projects") if isinstance(selection, Mapping) else None
    return {
        str(entry["project"]): entry for entry in entries or () if isinstance(entry, Mapping) and "project" in entry
    }
