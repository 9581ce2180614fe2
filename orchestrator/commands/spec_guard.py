"""``spec-guard``: code changes together with its spec, and specs are looked at."""

from __future__ import annotations

from dataclasses import asdict

from orchestrator.commands.context import Answer, Context
from orchestrator.commands.running import check_format
from orchestrator.errors import EXIT_DONE, EXIT_GATE, UsageError


def spec_guard(
    context: Context,
    *,
    project: str | None = None,
    task: str | None = None,
    base: str | None = None,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Check the specs of a project and its task; exit code 4 when there are findings.

    ``base`` is the commit to compare with, before ``$BASE_SHA`` and the merge base. ``dry_run`` reports
    all the same and always answers 0, as the early version did. Raises UsageError and ConfigError.
    """
    from orchestrator.config import load_project
    from orchestrator.routing import route
    from orchestrator.spec_guard import render_text, run

    check_format(format, ("text", "json"))
    if base is not None and not base.strip():
        raise UsageError("--base is empty", hint="name a commit, or leave the option out", code="bad-base")
    workspace = context.workspace()
    target = route(
        workspace, context.cwd, context.environ, project=project, task=task, parent_project=None, parent_task=None
    )
    config = load_project(workspace.root, target.project)
    environ = {**context.environ, "BASE_SHA": base} if base else context.environ
    report = run(workspace.root, config.path, target.task_id, environ, context.clock.now().date())
    document = {
        "project": target.project,
        "task_id": target.task_id,
        "base": report.base,
        "passed": report.passed,
        "dry_run": dry_run,
        "findings": [asdict(finding) for finding in report.findings],
        "notes": list(report.notes),
    }
    failed = not report.passed and not dry_run
    return Answer(EXIT_GATE if failed else EXIT_DONE, document, render_text(report))
