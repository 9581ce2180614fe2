"""``onboard``: a codebase becomes a project."""

from __future__ import annotations

import os

from orchestrator.base.errors import Refused, UsageError
from orchestrator.base.files.changes import diff_text
from orchestrator.base.files.writing import CHANGED
from orchestrator.base.identifiers import check_name
from orchestrator.base.text.safe_text import safe_text
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review import consent
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.onboarding.files import Onboarding, Wish, onboarding
from orchestrator.onboarding.host import Host
from orchestrator.onboarding.node_engines import node_version
from orchestrator.onboarding.refresh import refreshed, remarks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.base.workspace import Workspace


_MOST_TRIES = 20
"""So many onboardings at once may get in each other's way before one gives up."""


def onboard(
    context: Context,
    *,
    project: str,
    path: str | None = None,
    task: str | None = None,
    template: str | None = None,
    owners: tuple[str, ...] = (),
    keep: bool = False,
    refresh: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Look at a codebase, propose its config and its task's files, and write them once somebody agreed.

    ``path`` is from the current folder, or else from the workspace's. ``refresh`` puts the commands of the config
    that is there into the documents, and goes with none of the options that propose one. Exit code 2 when there is
    nobody to ask and no ``yes``, or when it was declined. Raises UsageError and ConfigError for what is wrong or in
    the way, Refused and StorageError as ``write_files`` does; then nothing was written.
    """
    check_format(format, ("text", "json"))
    check_name("project", project)
    workspace = context.workspace()
    if refresh:
        if keep or owners or any(given is not None for given in (path, task, template)):
            raise UsageError(
                "--refresh takes what the config says: --path, --task, --template, --owner and --keep propose another",
                hint="leave them out",
                code="bad-options",
            )
        return _refreshed(context, workspace, project, yes=yes, dry_run=dry_run)
    wish = Wish(project, _folder(context, workspace, path), task, template, _checked(owners), keep)
    for tries in range(_MOST_TRIES):
        found = onboarding(workspace.root, wish, context.clock.now().date(), _here(context))
        try:
            became = consent.settle(context, workspace.root, found.changes, yes=yes, dry_run=dry_run)
            break
        except Refused as refusal:
            # Another onboarding wrote the index meanwhile. Who was asked about one difference is not given another.
            if not yes or refusal.code != CHANGED or tries == _MOST_TRIES - 1:
                raise
    document = {**_document(workspace, found, became), **consent.error_of(became)}
    return Answer(consent.exit_code(became), document, _text(document, found, became))


def _here(context: Context) -> Host:
    """Return what this machine has: the programs on PATH, and Node's version."""
    path = context.environ.get("PATH", os.defpath)
    return Host(path, node_version(path))


def _refreshed(context: Context, workspace: Workspace, project: str, *, yes: bool, dry_run: bool) -> Answer:
    found = refreshed(workspace.root, project)
    became = consent.settle(context, workspace.root, found.changes, yes=yes, dry_run=dry_run)
    document = {
        "project": project,
        "task_id": found.task,
        "result": became,
        "notes": list(remarks(found)),
        "files": consent.listed(found.changes),
        "diff": diff_text(found.changes),
        **consent.error_of(became),
    }
    lines = [diff_text(found.changes)] if became in (consent.SHOWN, consent.UNASKED) else []
    lines += [f"note: {text}" for text in remarks(found)]
    lines += [f"{change.action} {change.path}" for change in found.changes if change.action != "unchanged"]
    lines.append(consent.verdict(became) or "The documents say what the config runs.")
    return Answer(consent.exit_code(became), document, safe_text("\n".join(lines), lines=True))


def _folder(context: Context, workspace: Workspace, path: str | None) -> str | None:
    if path is None:
        return None
    if not path:
        raise UsageError("--path is empty", hint="name the codebase's folder", code="missing-project-folder")
    here = os.path.join(context.cwd, path)
    return here if os.path.isdir(here) else os.path.join(workspace.root, path)


def _checked(owners: tuple[str, ...]) -> tuple[str, ...]:
    if any(not owner.strip() for owner in owners):
        raise UsageError("--owner is empty", hint="name a person or a team", code="bad-owner")
    return owners


def _document(workspace: Workspace, found: Onboarding, became: str) -> dict[str, Any]:
    runs = workspace.shown(workspace.runs_dir)
    return {
        "project": found.project,
        "task_id": found.task,
        "path": found.path,
        "template": found.proposal.template,
        "result": became,
        "install": list(found.proposal.install),
        "pipelines": {
            pipeline.id: [
                {"id": stage.id, "does": stage.does, "skip": stage.skipped, "why": stage.why or None}
                for stage in pipeline.stages
            ]
            for pipeline in found.proposal.pipelines
        },
        "warnings": list(found.proposal.warnings),
        "notes": list(found.proposal.notes),
        "files": consent.listed(found.changes),
        "kept": list(found.kept),
        "diff": diff_text(found.changes),
        "next": f"codex-orchestrator start --project {found.project}",
        "manifest": f"{runs}/{found.task}/cli/<run>/manifest.json",
    }


def _text(document: dict[str, Any], found: Onboarding, became: str) -> str:
    lines = []
    if became in (consent.SHOWN, consent.UNASKED):
        lines.append(diff_text(found.changes))
    lines.append(f"Project    {found.project}: {found.path}, detected as {found.proposal.template}")
    lines.append(f"Task       {found.task}")
    lines += [f"{stage.id:<10} {stage.does}" for stage in found.proposal.diagnostics.stages]
    lines += [f"warning: {text}" for text in found.proposal.warnings]
    lines += [f"note: {text}" for text in found.proposal.notes]
    lines += [f"kept {path}" for path in found.kept]
    if became == consent.WRITTEN:
        lines += [f"wrote {change.path}" for change in found.changes if change.action != "unchanged"]
    lines += [consent.verdict(became)] if consent.verdict(became) else []
    if became in (consent.WRITTEN, consent.NOTHING):
        lines += [f"Next       {document['next']}", f"Reviewers  {document['manifest']}"]
    return safe_text("\n".join(lines), lines=True)
