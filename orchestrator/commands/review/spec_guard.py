"""``spec-guard``: code changes with its spec, specs are looked at, and what the task's documents claim is proved."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping

from orchestrator import __version__
from orchestrator.base.errors import EXIT_DONE, EXIT_GATE, StorageError, UsageError
from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.base.json_values import json_text
from orchestrator.base.workspace import Workspace
from orchestrator.checks.spec_guard import forms
from orchestrator.checks.spec_guard.guard import run
from orchestrator.checks.spec_guard.repository import system_git
from orchestrator.checks.spec_guard.rules import RULES
from orchestrator.checks.spec_guard.values import Question
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review.evidence_sources import (
    bounded,
    checklist_findings,
    cited_runs,
    evidence_findings,
    sources_of,
)
from orchestrator.commands.review.output_file import write_named
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.config.loading import load_project
from orchestrator.config.project_names import project_names
from orchestrator.config.project_outlines import named_task
from orchestrator.config.routing import route
from orchestrator.config.spec_guard_policy import SpecGuardPolicy
from orchestrator.config.values import ProjectConfig
from orchestrator.git.repository import repository_top
from orchestrator.model.builtin_guard import DEFAULT_BRANCH_VARIABLE, VERDICT_VARIABLE
from orchestrator.store.store import RunStore
from orchestrator.store.verification.recent import verify_recent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMATS = ("text", "json", "sarif", "github")
_WORKING = ("build", "test")
"""Stages that work on code: where one runs something, there is some."""

_KEPT_EVIDENCE = 50
"""So many of a task's newest evidence files are checked; those that a checklist cites are checked besides."""


def spec_guard(
    context: Context,
    *,
    project: str | None = None,
    task: str | None = None,
    base: str | None = None,
    sarif: str | None = None,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Check a project and its task; exit code 4 when there are findings (docs/spec-guard.md).

    ``base`` is the commit to compare with, before ``$BASE_SHA``, the config's and the merge base. ``sarif`` names
    a file to write the findings to besides, as SARIF. ``dry_run`` reports all the same and always answers 0, as
    the early version did. A run gets the verdict in the file that ``VERDICT_VARIABLE`` names. Raises UsageError,
    ConfigError and StorageError.
    """
    check_format(format, FORMATS)
    if base is not None and not base.strip():
        raise UsageError("--base is empty", hint="name a commit, or leave the option out", code="bad-base")
    store = context.store()
    workspace = store.workspace
    target = route(
        workspace, context.cwd, context.environ, project=project, task=task, parent_project=None, parent_task=None
    )
    config = load_project(workspace.root, target.project)
    git_in = system_git(context.environ)
    question = _question(workspace, config, target.task_id, base, context)
    report = run(question, git_in)
    proved = (_finding(finding) for finding in _findings(store, config.spec_guard, target.task_id, context.environ))
    report = report.with_findings(proved)
    exit_code = EXIT_DONE if report.passed or dry_run else EXIT_GATE
    verdict_file = context.environ.get(VERDICT_VARIABLE)
    if verdict_file:
        _leave(store, verdict_file, json_text(forms.verdict(report)) + "\n")
        # A run that asks reads why nothing was compared, and judges it itself.
        exit_code = EXIT_DONE if report.nothing_compared and not report.findings else exit_code
    prefix = _prefix(workspace.root)

    def as_sarif() -> str:
        log = forms.sarif(report, version=__version__, prefix=prefix, exit_code=exit_code, dry_run=dry_run)
        return json_text(log, indent=2) + "\n"

    if sarif is not None:
        _write(os.path.join(context.cwd, sarif), as_sarif())
    if format == "sarif":
        return Answer(exit_code, None, as_sarif(), is_data=True)
    if format == "github":
        return Answer(exit_code, None, forms.render_github(report, prefix=prefix, dry_run=dry_run), is_data=True)
    document: dict[str, Any] = forms.document(report, project=target.project, task_id=target.task_id, dry_run=dry_run)
    return Answer(exit_code, document, forms.render_text(report))


def _question(
    workspace: Workspace, config: ProjectConfig, task_id: str, base: str | None, context: Context
) -> Question:
    stages = [stage for pipeline in config.pipelines.values() for stage in pipeline.stages]
    return Question(
        root=workspace.root,
        project_path=config.path,
        task_id=task_id,
        today=context.clock.now().date(),
        named_base=base or context.environ.get("BASE_SHA", ""),
        named_by="--base" if base else "$BASE_SHA",
        policy=config.spec_guard,
        default_then=context.environ.get(DEFAULT_BRANCH_VARIABLE, "") if VERDICT_VARIABLE in context.environ else "",
        records=(workspace.runs_dir, workspace.out_dir),
        other_tasks=tuple(_other_tasks(workspace.root, config.name)),
        runs_code=any(
            stage.id in _WORKING and (stage.run or stage.shell or stage.pipeline) is not None for stage in stages
        ),
    )


def _other_tasks(root: str, project: str) -> Iterator[str]:
    """Yield the default tasks of the other projects, also of one whose config can't be used."""
    for name in project_names(root):
        if name != project and (task := named_task(root, name)) is not None:
            yield task


def _findings(store: RunStore, policy: SpecGuardPolicy, task_id: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what ``verify`` and ``verify --docs`` would find of the task, each once."""
    found: list[Finding] = []
    sources = bounded(store, sources_of(store, environ), max(policy.records, 1))
    if policy.checklists:
        found += checklist_findings(store, environ, task_id, sources)
    if policy.evidence:
        found += evidence_findings(store, task_id, sources, _KEPT_EVIDENCE)
    if policy.records:
        cited = functools.cache(lambda: cited_runs(store, environ, task_id))
        found += verify_recent(store, task_id, policy.records, lambda run_id: run_id in cited()).findings
    yield from sorted(dict.fromkeys(found), key=lambda finding: (finding.path, finding.line or 0, finding.code))


def _finding(finding: Finding) -> Finding:
    # What the disk says has many codes; rules are a closed list.
    rule = finding.code if finding.code in RULES else "storage"
    return Finding(rule, finding.path, finding.message, finding.line, hint=finding.hint)


def _prefix(root: str) -> str:
    """Return how the workspace is reached from the top of its git repository: SARIF and GitHub begin there."""
    top = repository_top(root)
    relative = "." if top is None else os.path.relpath(os.path.realpath(root), top)
    return "" if relative == "." else relative


def _leave(store: RunStore, path: str, text: str) -> None:
    """Write the verdict for the run that waits for it: read at once and removed, so that nothing is synced."""
    folder, name = os.path.split(path)
    try:
        with Folder.at(folder, store.seam) as run:
            run.write(name, text.encode(), sync=False, sync_folder=False)
    except FileNotFoundError as error:
        raise StorageError(f"'{folder}' is no folder for a verdict") from error


def _write(path: str, text: str) -> None:
    write_named(path, text.encode(), "--sarif")
