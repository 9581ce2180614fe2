"""``[queue]`` of ``workspace.toml``: how many runs of the whole workspace may run at once, and wait."""

from __future__ import annotations

import os
from collections.abc import Iterator

from orchestrator.base.errors import ConfigError
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.config.source import read_toml
from orchestrator.model.queue import DEFAULT_WAITING, Limit

_KEYS = ("running", "waiting")
MOST_RUNS = 100_000


def read_queue_limit(root: str) -> Limit:
    """Return ``[queue]`` of the workspace at ``root``; no limit without file or table. Raises ConfigError."""
    if not os.path.lexists(os.path.join(root, WORKSPACE_FILE)):
        return Limit()
    table = read_toml(root, WORKSPACE_FILE).get("queue", {})
    faults = list(_faults(table))
    if faults:
        raise ConfigError([f"{WORKSPACE_FILE}: {fault}" for fault in faults])
    return Limit(table.get("running"), table.get("waiting", DEFAULT_WAITING))


def _faults(table: object) -> Iterator[str]:
    if not isinstance(table, dict):
        yield "queue: is no table"
        return
    for key in sorted(set(table) - set(_KEYS)):
        yield f"queue.{key}: is no key of this table (known: {', '.join(_KEYS)})"
    for key, least in (("running", 1), ("waiting", 0)):
        value = table.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST_RUNS:
            yield f"queue.{key}: must be a whole number from {least} to {MOST_RUNS}"
