"""``[queue]`` of ``workspace.toml``: how many runs of the whole workspace may run at once, and wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.config.faults import did_you_mean
from orchestrator.model.queue import DEFAULT_WAITING, Limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYS = ("running", "waiting")
MOST_RUNS = 100_000


def queue_limit(table: Mapping[str, Any]) -> Limit:
    """Return what a ``[queue]`` without faults says; no limit of an empty one."""
    return Limit(table.get("running"), table.get("waiting", DEFAULT_WAITING))


def queue_faults(table: object) -> Iterator[str]:
    """Yield what is wrong with a ``[queue]``, each with its key."""
    if not isinstance(table, dict):
        yield "queue: is no table"
        return
    for key in sorted(set(table) - set(_KEYS)):
        yield f"queue.{key}: is no key of this table{did_you_mean(key, _KEYS)}"
    for key, least in (("running", 1), ("waiting", 0)):
        value = table.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST_RUNS:
            yield f"queue.{key}: must be a whole number from {least} to {MOST_RUNS}"
