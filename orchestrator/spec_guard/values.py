"""What the spec guard sees: findings and notes."""

from __future__ import annotations

from dataclasses import dataclass

SPEC_FOLDER = "tasks/specs"
TASK_INDEX = "tasks/index.json"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that does not hold. ``path`` is relative to the workspace, ``line`` counts from 1 (0: no line).

    Rules: ``code-without-spec``, ``base-unknown``, ``git-failed``, ``spec-missing``, ``review-missing``,
    ``review-malformed``, ``review-stale``, ``review-in-future``.
    """

    rule: str
    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the guard saw. ``base`` is the commit compared with, None when nothing was compared."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    base: str | None

    @property
    def passed(self) -> bool:
        """Tell whether there is no finding; notes don't count."""
        return not self.findings


def noted(note: str) -> Report:
    """Return a report that holds nothing but one note."""
    return Report((), (note,), None)
