"""What the doctor found and repaired, in its own published words."""

from __future__ import annotations

from orchestrator.base.finding import Finding
from orchestrator.base.record import Record

REPAIR = "codex-orchestrator doctor --repair"


def repairable(code: str, path: str, message: str) -> Finding:
    """Return a finding that ``doctor --repair`` repairs."""
    return Finding(code, path, message, hint=REPAIR, repairable=True)


def severity(finding: Finding) -> str:
    """Return ``fault`` or ``warning``, the doctor's words for a finding's level."""
    return "fault" if finding.level == "error" else finding.level


def as_json(finding: Finding) -> dict[str, object]:
    """Return the keys that ``doctor`` publishes."""
    return {
        "code": finding.code,
        "place": finding.place,
        "message": finding.message,
        "hint": finding.hint,
        "severity": severity(finding),
        "heals": finding.repairable,
    }


class Repaired(Record):
    """What was repaired: the finding's code, its place, and what was done."""

    code: str
    place: str
    done: str


def repaired(finding: Finding, done: str) -> Repaired:
    """Return that a finding was repaired, and how."""
    return Repaired(finding.code, finding.place, done)
