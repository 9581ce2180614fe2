"""The spec guard: code does not change without its spec, and a spec is looked at every 30 days.

Two rules (contract, section 2), which the project's ``[spec_guard]`` adjusts. *Code changed*: files below the
project's folder differ from the base and none of its specs (``tasks/specs/``, ``tasks/index.json``) does.
*Review date*: ``last_review`` in the front matter of the project's specs is a date, not in the future, at most
30 days ago. What ``commands`` adds of checklists, evidence and records is in the same ``Report``.

What can't be checked is never passed in silence. In a git repository it is a finding; where there is
nothing to compare with by nature (no git repository, no commit, no ``tasks/specs/``) it is a note, so that
a codebase that was only just brought in can pass.
"""

from __future__ import annotations

import os

from orchestrator.base.finding import Finding
from orchestrator.checks.spec_guard.changes import compare
from orchestrator.checks.spec_guard.repository import GitIn
from orchestrator.checks.spec_guard.reviews import review
from orchestrator.checks.spec_guard.values import SPEC_FOLDER, Question, Report, noted
from orchestrator.config.spec_guard_policy import DEFAULT_SPECS

__all__ = ["Finding", "Question", "Report", "run"]


def run(question: Question, git_in: GitIn) -> Report:
    """Check one project and its task; ``git_in`` returns the git of a folder.

    Raises nothing for what it finds or can't find; OSError when a spec can't be read.
    """
    folder = os.path.join(os.path.realpath(question.root), SPEC_FOLDER)
    has_specs = os.path.isdir(folder) or question.policy.specs != DEFAULT_SPECS
    compared = compare(question, git_in, has_specs=has_specs)
    if not has_specs:
        # Whoever removed them with the code is told; a codebase that never had any has nothing to hold to.
        told = any(finding.code == "code-without-spec" for finding in compared.findings)
        return compared if told else noted(f"there is no {SPEC_FOLDER}/ in this workspace: neither rule was checked")
    reviewed = review(question)
    notes = () if question.policy.code else ("[spec_guard] code is empty: no path counts as code",)
    return Report(compared.findings + reviewed.findings, compared.notes + reviewed.notes + notes, compared.base)
