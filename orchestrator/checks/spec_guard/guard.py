"""The spec guard: code does not change without its spec, and a spec is looked at every 30 days.

Two rules (contract, sections 2 and 7), which the project's ``[spec_guard]`` adjusts. *Code changed*: files below
the project's folder differ from the base and none of the task's specs does. *Review date*: ``last_review`` in the
front matter of those specs is a date, not in the future, at most 30 days ago. What ``commands`` adds of
checklists, evidence and records is in the same ``Report``.

What can't be compared is never passed: in a git repository it is a finding; where there is nothing to compare with
by nature (no git repository, no commit, no base, no code) the report says ``nothing_compared``.
"""

from __future__ import annotations

import os

from orchestrator.base.errors import UsageError
from orchestrator.base.finding import Finding
from orchestrator.checks.spec_guard.code import Specs
from orchestrator.checks.spec_guard.repository import GitIn
from orchestrator.checks.spec_guard.spec_age import review
from orchestrator.checks.spec_guard.spec_changes import compare
from orchestrator.checks.spec_guard.values import TASK_INDEX, Question, Report
from orchestrator.config.routing.task_index import read_index


def run(question: Question, git_in: GitIn) -> Report:
    """Check one project and its task; ``git_in`` returns the git of a folder.

    Raises nothing for what it finds or can't find; OSError when a spec can't be read.
    """
    listed: tuple[str, ...] = ()
    unreadable: tuple[Finding, ...] = ()
    try:
        listed = read_index(os.path.realpath(question.root)).ids()
    except UsageError as error:
        # Nobody can say which tasks owe a spec, nor which specs are theirs.
        message = error.message.removeprefix(f"{TASK_INDEX}: ")
        unreadable = (Finding("document-unreadable", TASK_INDEX, message, hint=error.hint),)
    specs = Specs(question, (*listed, *question.other_tasks))
    compared = compare(question, git_in, specs)
    reviewed = review(question, specs, is_listed=question.task_id in listed)
    return compared.with_findings((*unreadable, *reviewed.findings), reviewed.notes)
