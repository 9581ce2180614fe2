"""``init``: make a folder a workspace."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.files.changes import FileChange, diff_text
from orchestrator.base.installation import portable_requirement, recorded_source
from orchestrator.checks.stage_programs import missing_programs
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.maintain.tool_checks import line_of
from orchestrator.commands.review import consent
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.config.loading import load_project
from orchestrator.config.project_names import project_names
from orchestrator.onboarding.new_workspace import CI_FILES, IN_GITLAB_IMAGE, new_workspace


def init(
    context: Context,
    *,
    path: str | None = None,
    ci: str | None = None,
    yes: bool = False,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Write the files that a workspace at ``path`` (left out: here) lacks; those that are there stay as they are.

    ``ci`` adds the workflow of a CI system, github or gitlab.

    Exit code 2 when there is nobody to ask and no ``yes``, or when it was declined. Raises UsageError when
    ``path`` is no folder, Refused and StorageError as ``write_files`` does.
    """
    check_format(format, ("text", "json"))
    root = os.path.realpath(os.path.join(context.cwd, path or "."))
    if path == "" or (os.path.lexists(root) and not os.path.isdir(root)):
        raise UsageError(f"--path '{path}' is no folder", hint="name the folder of the workspace", code="no-folder")
    made = new_workspace(root, ci, portable_requirement(recorded_source()) if ci else None)
    notes = [*made.notes, *(_image_notes(root, made.changes) if ci == "gitlab" else ())]
    became = consent.settle(context, root, made.changes, yes=yes, dry_run=dry_run)
    document = {
        "workspace": root,
        "result": became,
        "files": consent.listed(made.changes),
        "notes": notes,
        "diff": diff_text(made.changes),
        **consent.error_of(became),
    }
    lines = [f"note: {note}" for note in notes]
    if became in (consent.SHOWN, consent.UNASKED):
        lines = [diff_text(made.changes), *lines]
    if became == consent.WRITTEN:
        lines = [*(f"wrote {change.path}" for change in made.changes), *lines]
    lines += [consent.verdict(became)] if consent.verdict(became) else []
    if became in (consent.WRITTEN, consent.NOTHING):
        lines += _next_steps(context, root)
    return Answer(consent.exit_code(became), document, "\n".join(lines))


def _image_notes(root: str, changes: Iterable[FileChange]) -> Iterator[str]:
    """Yield which programs of the projects' stages the image of a new ``.gitlab-ci.yml`` lacks."""
    path = CI_FILES["gitlab"][0]
    if all(change.path != path for change in changes):
        return
    stages = []
    for name in project_names(root):
        with suppress(ConfigError, UsageError):  # doctor says what is wrong with it
            pipelines = load_project(root, name).pipelines.values()
            stages += [(f"{name}.{stage.id}", line_of(stage)) for each in pipelines for stage in each.stages]
    for program, listed in missing_programs(stages, "").items():
        if program not in IN_GITLAB_IMAGE:
            call = "calls" if len(listed) == 1 else "call"
            missing = f"the image of {path} has no {program}, which {', '.join(listed)} {call}"
            yield f"{missing}: name another image, or install it in before_script (docs/ci.md)"


def _next_steps(context: Context, root: str) -> list[str]:
    steps = [f"Workspace  {root}"]
    go = "" if os.path.realpath(context.cwd) == root else f"cd {shlex.quote(root)} && "
    onboard = "onboard NAME --path FOLDER-OF-THE-CODEBASE"
    steps.append(f"Next       {go}codex-orchestrator {'doctor' if project_names(root) else onboard}")
    return steps
