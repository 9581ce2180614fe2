"""What is wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

REPAIR = "codex-orchestrator doctor --repair"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    ``code`` is for machines, ``place`` a path (from the workspace where it lies below it). A ``warning``
    breaks no promise today. ``heals`` says that ``--repair`` can mend it.
    """

    code: str
    place: str
    message: str
    hint: str = ""
    severity: Literal["fault", "warning"] = "fault"
    heals: bool = False


def healable(code: str, place: str, message: str) -> Finding:
    """Return a finding that ``doctor --repair`` mends."""
    return Finding(code, place, message, REPAIR, heals=True)
