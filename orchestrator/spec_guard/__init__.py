"""The spec guard: code does not change without its spec, and a spec is looked at every 30 days.

Two rules (contract, section 2; a later issue deepens them). *Code changed*: files below the project's
folder differ from the base and no file of ``tasks/specs/`` nor ``tasks/index.json`` does. *Review date*:
``last_review`` in the front matter of the task's specs is a date, not in the future, at most 30 days ago.

What can't be checked is never passed in silence. In a git repository it is a finding; where there is
nothing to compare with by nature (no git repository, no commit, no ``tasks/specs/``) it is a note, so that
a codebase that was only just brought in can pass.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date

from orchestrator.spec_guard.changes import BASE_VARIABLE, compare
from orchestrator.spec_guard.repository import Git, system_git
from orchestrator.spec_guard.reviews import review
from orchestrator.spec_guard.values import SPEC_FOLDER, Finding, Report, noted

__all__ = ["Finding", "Report", "render_text", "run"]


def run(
    workspace_root: str,
    project_path: str,
    task_id: str,
    environ: Mapping[str, str],
    today: date,
    git: Git | None = None,
) -> Report:
    """Check one project and its task.

    ``project_path`` is the project's folder as its config names it (from the workspace's root, or absolute),
    ``environ`` gives ``$BASE_SHA``, ``today`` is a date in UTC. ``git`` is the real one unless given.
    Raises nothing for what it finds or can't find; OSError when a spec can't be read.
    """
    root = os.path.realpath(workspace_root)
    has_specs = os.path.isdir(os.path.join(root, SPEC_FOLDER))
    if not has_specs:
        return noted(f"there is no {SPEC_FOLDER}/ in this workspace: neither rule was checked")
    compared = compare(root, project_path, environ.get(BASE_VARIABLE, ""), git or system_git(root, environ))
    reviewed = review(root, task_id, today)
    return Report(compared.findings + reviewed.findings, compared.notes + reviewed.notes, compared.base)


def render_text(report: Report) -> str:
    """Return the report for people: a line for each finding and note, and the verdict last."""
    lines = [f"{_place(finding)}: {finding.message} [{finding.rule}]" for finding in report.findings]
    lines += [f"note: {note}" for note in report.notes]
    count = len(report.findings)
    verdict = "passed" if not count else f"{count} finding{'s' if count > 1 else ''}"
    base = f" (compared with {report.base[:12]})" if report.base else ""
    return "\n".join([*lines, f"spec-guard: {verdict}{base}"]) + "\n"


def _place(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}" if finding.line else finding.path
