"""``[fleet]`` of ``workspace.toml``: the task of fleet runs, and the files whose change concerns every project."""

from __future__ import annotations

import os
from collections.abc import Iterator

from orchestrator.base.errors import ConfigError
from orchestrator.base.globs import fault
from orchestrator.base.identifiers import FLEET, name_fault
from orchestrator.base.record import Record
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.config.source import read_toml
from orchestrator.config.workspace_file import top_faults

SHARED = ("noxfile.py", "tasks.py", WORKSPACE_FILE)
_KEYS = ("shared", "task_id")


class FleetPolicy(Record):
    """``shared`` are globs from the workspace's root: a change of such a file concerns all projects."""

    task_id: str = FLEET
    shared: tuple[str, ...] = SHARED


def read_fleet_policy(root: str) -> FleetPolicy:
    """Return ``[fleet]`` of the workspace at ``root``; defaults without file or table. Raises ConfigError."""
    if not os.path.lexists(os.path.join(root, WORKSPACE_FILE)):
        return FleetPolicy()
    table = read_toml(root, WORKSPACE_FILE)
    fleet = table.get("fleet", {})
    faults = [*top_faults(table), *fleet_faults(fleet)]
    if faults:
        raise ConfigError([f"{WORKSPACE_FILE}: {text}" for text in faults])
    return FleetPolicy(fleet.get("task_id", FLEET), tuple(fleet.get("shared", SHARED)))


def fleet_faults(fleet: object) -> Iterator[str]:
    """Yield what is wrong with a ``[fleet]``, each with its key."""
    if not isinstance(fleet, dict):
        yield "fleet: is no table"
        return
    for key in sorted(set(fleet) - set(_KEYS)):
        yield f"fleet.{key}: is no key of this table (known: {', '.join(_KEYS)})"
    wrong = name_fault("task", fleet.get("task_id", FLEET))
    if wrong is not None:
        yield f"fleet.task_id: {wrong}"
    shared = fleet.get("shared", [])
    if not isinstance(shared, list) or not all(isinstance(pattern, str) for pattern in shared):
        yield "fleet.shared: is no list of patterns"
        return
    for pattern in shared:
        text = fault(pattern)
        if text is not None:
            yield f"fleet.shared: {pattern!r} {text}"
