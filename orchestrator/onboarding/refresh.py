"""What a task's documents say of its project's commands, held against the config that is there.

A spec, an action plan and a checklist name what a run proves and by which commands. After a change of the config
these parts are made anew; everything else in the documents is their authors', and a ticked item tells of its run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.files.changes import FileChange, UnfitFileError, current_text
from orchestrator.base.finding import Finding
from orchestrator.config.loading import load_project
from orchestrator.config.project_names import project_names
from orchestrator.config.values import ProjectConfig
from orchestrator.onboarding.documents import SKIPPED_SO_FAR, checklist_paths, spec_path, task_documents
from orchestrator.onboarding.existing import as_proposal

_PROOFS = "## What a run proves"
_CAPTURED = "## Captured runs"
_STAGE_LINE = re.compile(r"^- ([\w.-]+): `([^`\n]*)`(.*)$", re.M)
"""A line of the spec about a stage: authors may say in their words what its command proves."""

_ROW = re.compile(r"^\| ([\w.-]+) \| ([^|\n]*) \|(.*)$", re.M)
_SAID = " succeeds"
_OPEN_ITEM = re.compile(r"^- \[ \] \*\*([\w.-]+)\*\*: (.*) \(needs: .*\)$", re.M)
_SPAN = re.compile(r"`[^`]*`")
_OWN_WORDS = frozenset({"`` passed", SKIPPED_SO_FAR})
"""How an item about a command reads, whatever the command is."""

STALE = "documents-stale"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The documents of a project's task, as they are and as its config has them."""

    project: str
    task: str
    changes: tuple[FileChange, ...]


def refreshed(root: str, project: str) -> Refreshed:
    """Return the documents of ``project``'s default task with the commands of its config; writes nothing.

    A document that is missing, or has none of these parts, stays as it is. Raises UsageError and ConfigError for a
    config that can't be read, UsageError for a document that is no text file.
    """
    config = load_project(root, project)
    try:
        return Refreshed(project, config.task_id, tuple(_changes(root, config)))
    except UnfitFileError as error:
        raise UsageError(str(error), hint="make it a text file, or move it away", code="files-in-the-way") from None


def stale_documents(root: str) -> Iterator[Finding]:
    """Yield a finding for each document that says other commands than its project's config."""
    for project in project_names(root):
        try:
            changes = refreshed(root, project).changes
        except (ConfigError, UsageError):
            continue  # reported where the config is checked
        for change in changes:
            if change.action != "unchanged":
                message = f"it does not say what the config of '{project}' runs now"
                hint = f"codex-orchestrator onboard {project} --refresh"
                yield Finding(STALE, change.path, message, hint=hint)


def _changes(root: str, config: ProjectConfig) -> Iterator[FileChange]:
    task = config.task_id
    title = f"Onboarding of {config.name}"
    proposal = as_proposal(config)
    wanted = task_documents(task, config.name, config.path, title, config.owners, proposal, date.min)
    parts = {spec_path(task): _with_spec, f"tasks/action-plan-{task}.md": _with_plan}
    parts |= dict.fromkeys(checklist_paths(task), _with_items)
    for path, made_anew in parts.items():
        before = current_text(root, path)
        if before is not None:
            yield FileChange(path, before, made_anew(before, wanted[path]))


def _with_spec(text: str, wanted: str) -> str:
    """Return a spec whose lines about stages name their commands; stages that are new have a line, those gone none.

    A line in its author's words keeps them, but for the command; one about a stage that is gone stays then.
    """
    new, old = _section(wanted, _PROOFS), _section(text, _PROOFS)
    commands = {match[1]: match[2] for match in _STAGE_LINE.finditer(new)}
    there = [match[1] for match in _STAGE_LINE.finditer(old)]
    if not there or not commands:
        return text

    def line(match: re.Match[str]) -> str:
        stage, rest = match[1], match[3]
        return f"- {stage}: `{commands[stage]}`{rest}" if stage in commands else match[0]

    kept = [
        item
        for item in old.split("\n")
        if not ((found := _STAGE_LINE.fullmatch(item)) and found[1] not in commands and found[3] == _SAID)
    ]
    section = _STAGE_LINE.sub(line, "\n".join(kept))
    added = [f"- {stage}: `{command}`{_SAID}" for stage, command in commands.items() if stage not in there]
    if added:
        last = max(match.end() for match in _STAGE_LINE.finditer(section)) if _STAGE_LINE.search(section) else 0
        section = section[:last] + "".join(f"\n{item}" for item in added) + section[last:]
    return text.replace(old, section)


def _with_plan(text: str, wanted: str) -> str:
    """Return an action plan whose table of captured runs names the commands."""
    new, old = _section(wanted, _CAPTURED), _section(text, _CAPTURED)
    commands = {match[1]: match[2] for match in _ROW.finditer(new)}
    section = _ROW.sub(lambda row: f"| {row[1]} | {commands.get(row[1], row[2])} |{row[3]}", old)
    return text.replace(old, section) if old else text


def _section(text: str, heading: str) -> str:
    found = re.search(rf"^{re.escape(heading)}\n.*?(?=^## |\Z)", text, re.M | re.S)
    return found[0] if found else ""


def _with_items(text: str, wanted: str) -> str:
    """Return a checklist with its open items as ``wanted`` has them; what is ticked tells what a run proved.

    An item in its author's own words stays, whatever its name is.
    """
    lines = {match[1]: match for match in _OPEN_ITEM.finditer(wanted)}

    def line(match: re.Match[str]) -> str:
        new = lines.get(match[1])
        if new is None or _SPAN.sub("``", match[2]) not in _OWN_WORDS | {_SPAN.sub("``", new[2])}:
            return match[0]
        return new[0]

    return _OPEN_ITEM.sub(line, text)


def remarks(found: Refreshed) -> Sequence[str]:
    """Return what a person should know of documents that are refreshed."""
    ticked = [
        change.path
        for change in found.changes
        if change.path.startswith("tasks/tasks-") and "- [x] " in (change.before or "")
    ]
    return [f"{path}: ticked items stay as they are, also where the config says another command now" for path in ticked]
