"""The early version's ``state.json``: recognised among those of version 2, and stored beside it."""

from __future__ import annotations

from orchestrator.base.errors import DamagedRecord
from orchestrator.model.manifest.document import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_V1 = "state.v1.json"
"""The name that the early version's state keeps beside the new one (contract, section 4)."""


def is_early(state: Mapping[str, object]) -> bool:
    """Tell whether a state is of version 1: a list of runs, and no schema version."""
    return isinstance(state.get("runs"), list) and "schema_version" not in state


def is_early_state(data: bytes) -> bool:
    """Tell whether the bytes of a ``state.json`` are of version 1."""
    try:
        return is_early(parse(data, STATE_V1))
    except DamagedRecord:
        return False
