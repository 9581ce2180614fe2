"""The early version's ``state.json``: recognised among those of version 2, and stored beside it."""

from __future__ import annotations

from orchestrator.base.errors import DamagedRecord
from orchestrator.model.manifest.document import parse
from orchestrator.store.layout import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STATE_V1 = "state.v1.json"
"""The name that the early version's state keeps beside the new one (contract, section 4)."""


def is_early(state: Mapping[str, object]) -> bool:
    """Tell whether a state is of version 1: a list of runs, and no schema version."""
    return isinstance(state.get("runs"), list) and "schema_version" not in state


def name_aside(is_taken: Callable[[str], bool], now: str, *, is_early: bool) -> str:
    """Return the name under which a state that is not of version 2 is kept; ``now`` is a timestamp.

    Version 1's is never called damaged: both programs may be used in turn, and each writes its own form.
    """
    at = now.replace(":", "-")
    if not is_early:
        return f"{STATE}.damaged-{at}"
    return f"state.v1-{at}.json" if is_taken(STATE_V1) else STATE_V1


def is_early_state(data: bytes) -> bool:
    """Tell whether the bytes of a ``state.json`` are of version 1."""
    try:
        return is_early(parse(data, STATE_V1))
    except DamagedRecord:
        return False
