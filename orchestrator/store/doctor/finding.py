"""What is wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class Mended:
    """What was mended: the finding's code, its place, and what was done."""

    code: str
    place: str
    done: str


def mended(finding: Finding, done: str) -> Mended:
    """Return that a finding was mended, and how."""
    return Mended(finding.code, finding.place, done)
