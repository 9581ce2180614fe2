"""The row of a project in ``docs/sla.md``, before anything of it was measured."""

from __future__ import annotations

from orchestrator.base.errors import Refusal
from orchestrator.base.files.changes import FileChange
from orchestrator.base.limits import DEFAULT_SLA_SECONDS
from orchestrator.checks.sla_page import ALWAYS_LISTED, PAGE, Row, read_page, with_rows
from orchestrator.config.builtin import merged
from orchestrator.config.loading import load_project
from orchestrator.config.project_names import project_names
from orchestrator.onboarding.template_text import template


def with_project(before: str | None, root: str, project: str) -> FileChange:
    """Return what gives ``project`` a row in the page, made when there is none; what it says of others stays.

    A page that can't be read whole is left to its owner: ``verify --docs`` tells what is wrong there.
    """
    page = read_page(before) if before is not None else None
    if before is not None and page is not None and (page.faults or any(row.project == project for row in page.rows)):
        return FileChange(PAGE, before, before)
    rows = page.rows if page is not None else ()
    after = with_rows(
        before or template("workspace/sla.md"), [*rows, Row(project, ALWAYS_LISTED, _limit(root, project))]
    )
    return FileChange(PAGE, before, after)


def _limit(root: str, project: str) -> float:
    """Return the limit that a config which is there names, else the built-in one: none is proposed."""
    pipelines = {}
    if project in project_names(root):
        try:
            pipelines = dict(load_project(root, project).pipelines)
        except Refusal:
            pipelines = {}  # its faults are reported where it is used
    whole = merged(ALWAYS_LISTED, pipelines, project)
    return (whole.sla if whole is not None else None) or DEFAULT_SLA_SECONDS
