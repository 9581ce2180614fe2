"""What the spec guard is asked, and what it sees: findings and notes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date

from orchestrator.base.finding import Finding
from orchestrator.config.spec_guard_policy import SpecGuardPolicy

SPEC_FOLDER = "tasks/specs"
TASK_INDEX = "tasks/index.json"


@dataclass(frozen=True, slots=True)
class Question:
    """One project and its task, in the workspace at ``root`` (absolute).

    ``project_path`` is the project's folder as its config names it (from the root, or absolute); ``today`` a
    date in UTC; ``named_base`` the value of ``$BASE_SHA``, or empty; ``records`` the folders of runs and
    snapshots (absolute), and ``outputs`` the globs of what the project's stages say that they write.
    """

    root: str
    project_path: str
    task_id: str
    today: date
    named_base: str = ""
    policy: SpecGuardPolicy = field(default_factory=SpecGuardPolicy)
    records: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The project's folder, with links followed."""
        return os.path.realpath(os.path.join(self.root, self.project_path))

    @property
    def shown(self) -> str:
        """The project's folder from the workspace, as findings name it."""
        return os.path.relpath(os.path.join(self.root, self.project_path), self.root)


@dataclass(frozen=True, slots=True)
class Report:
    """What the guard saw. ``base`` is the commit compared with, None when nothing was compared.

    ``notes`` say what could not be, or was not, checked.
    """

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


def printable(text: str) -> str:
    """Return text with everything escaped that would act on a terminal or has no encoding."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
