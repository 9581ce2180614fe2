"""``exec``: one command, recorded as a run of the reserved pipeline ``exec`` (contract, section 10)."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXEC = "exec"
"""The reserved pipeline; its runs are never ``latest``, and in no coverage."""

COMMAND_STAGE = "command"
"""The id of its only stage."""


def recorded_command(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the command of a recorded plan of ``exec``, its secrets masked; empty of any other plan."""
    stages = plan.get("stages")
    if plan.get("pipeline") != EXEC or not isinstance(stages, list):
        return ()
    words = [stage.get("argv") for stage in stages if isinstance(stage, Mapping) and stage.get("id") == COMMAND_STAGE]
    found = words[0] if len(words) == 1 and isinstance(words[0], list) else []
    return tuple(word for word in found if isinstance(word, str))
