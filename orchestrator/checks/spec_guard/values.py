"""What the spec guard is asked, and what it sees: findings and notes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date

from orchestrator.base.finding import Finding
from orchestrator.config.spec_guard_policy import SpecGuardPolicy

SPEC_FOLDER = "tasks/specs"
TASK_INDEX = "tasks/index.json"


@dataclass(frozen=True, slots=True)
class Question:
    """One project and its task, in the workspace at ``root`` (absolute).

    ``project_path`` is the project's folder as its config names it (from the root, or absolute); ``today`` a
    date in UTC; ``named_base`` the base that ``named_by`` names, or empty; ``records`` the folders of runs and
    snapshots (absolute). ``other_tasks`` are the tasks of other projects' configs, whose specs are not ours;
    ``runs_code``: the project's build or test runs something. ``default_then`` is the default branch's commit when
    the run began, in the workspace's repository (``NO_DEFAULT_BRANCH``: there was none), or empty; after a blank that
    of the project's, where that is another one.
    """

    root: str
    project_path: str
    task_id: str
    today: date
    named_base: str = ""
    policy: SpecGuardPolicy = field(default_factory=SpecGuardPolicy)
    records: tuple[str, ...] = ()
    other_tasks: tuple[str, ...] = ()
    runs_code: bool = False
    default_then: str = ""
    named_by: str = "$BASE_SHA"

    @property
    def folder(self) -> str:
        """The project's folder, with links followed."""
        return os.path.realpath(os.path.join(self.root, self.project_path))

    @property
    def shown(self) -> str:
        """The project's folder from the workspace, as findings name it."""
        return os.path.relpath(os.path.join(self.root, self.project_path), self.root)


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared: commits (``base`` None for a root commit), and how many files of code differ."""

    base: str | None
    head: str
    files: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the guard saw. ``base`` is the commit compared with, None when there is none.

    ``notes`` say what was not checked. ``nothing_compared`` says why code changes could not be compared: then the
    report is no pass, and no finding either.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    base: str | None
    nothing_compared: str = ""
    compared: Compared | None = None

    @property
    def passed(self) -> bool:
        """Tell whether code was compared and there is no finding; notes don't count."""
        return not self.findings and not self.nothing_compared

    def with_findings(self, findings: Iterable[Finding], notes: tuple[str, ...] = ()) -> Report:
        """Return the report with further findings and notes."""
        return replace(self, findings=(*self.findings, *findings), notes=(*self.notes, *notes))


def uncompared(reason: str, notes: tuple[str, ...] = ()) -> Report:
    """Return the report of a project whose code changes could not be compared."""
    return Report((), notes, None, reason)
