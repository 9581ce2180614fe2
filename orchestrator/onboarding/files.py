"""From a proposal to files: config, index, documents and mirrors, beside what stands there already."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.files.changes import FileChange, UnfitFileError, current_text
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.checks.sla_page import PAGE
from orchestrator.config.loading import load_project
from orchestrator.config.planning import survey
from orchestrator.config.project_names import project_names
from orchestrator.config.project_outlines import outline
from orchestrator.config.routing.task_index import read_index
from orchestrator.config.source import config_file
from orchestrator.onboarding import convert_v1 as version_1
from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.config_text import config_text
from orchestrator.onboarding.detect import propose
from orchestrator.onboarding.documents import checklist_paths, spec_path, task_documents
from orchestrator.onboarding.existing import as_proposal
from orchestrator.onboarding.host import Host, embedded_warning, host_warnings
from orchestrator.onboarding.proposal import Proposal
from orchestrator.onboarding.sla_row import with_project
from orchestrator.onboarding.task_index import INDEX_FILE, index_text, task_for

_REVIEWED = re.compile(r"^last_review: (\d{4}-\d{2}-\d{2})$", re.M)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. ``path`` is the codebase's folder, absolute; None where it was left out."""

    project: str
    path: str | None = None
    task: str | None = None
    template: str | None = None
    owners: tuple[str, ...] = ()
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Onboarding:
    """What makes a codebase a project. ``kept`` are files that stay as they are, though others were proposed."""

    project: str
    task: str
    path: str
    proposal: Proposal
    changes: tuple[FileChange, ...]
    kept: tuple[str, ...]


def onboarding(root: str, wish: Wish, today: date, host: Host | None = None) -> Onboarding:
    """Return what makes the codebase that ``wish`` names a project of the workspace at ``root``; writes nothing.

    With a ``host``, what of it can't work on this machine is a warning, which no file holds.

    Raises UsageError for a missing folder, a task of another project, and files that stand in the way;
    ConfigError when the new config would not hold beside the others.
    """
    path = _path(root, wish)
    # Read before a number is chosen by it: one that another onboarding takes after that is found when this is written.
    before = _shared(root, INDEX_FILE)
    task = task_for(root, wish.project, wish.task)
    proposal, owners = _proposal(root, path, wish)
    title = f"Onboarding of {wish.project}"
    early = _early_checklist(root, task)
    if early is not None:
        proposal = proposal.warned(
            f"{early} is the task's checklist, as the early version called it: no other is written"
        )
    wanted = task_documents(task, wish.project, path, title, owners, proposal, today)
    if early is not None:
        wanted = {place: text for place, text in wanted.items() if place not in checklist_paths(task)}
    config = config_text(wish.project, path, task, owners, proposal)
    changes, kept = _beside(root, {**wanted, config_file(wish.project): config}, task, keep=wish.keep)
    index = FileChange(INDEX_FILE, before, index_text(before, task, wish.project, title))
    limits = with_project(_shared(root, PAGE), root, wish.project)
    if any(change.path == config_file(wish.project) and change.action == "create" for change in changes):
        _check_beside_others(root, wish.project, config)
    # The config comes last: from then on there is such a project.
    if host is not None:
        proposal = proposal.warned(*host_warnings(Codebase(os.path.join(root, path)), proposal, host))
        embedded = embedded_warning(root, path)
        proposal = proposal.warned(*([embedded] if embedded is not None else []))
    return Onboarding(wish.project, task, path, proposal, (index, limits, *changes), kept)


def _early_checklist(root: str, task: str) -> str | None:
    """Return the checklist that is called by the task's id and slug, ``tasks/tasks-0202-slug.md``; None without one."""
    slug = read_index(root).slugs.get(task, "")
    path = f"tasks/tasks-{task}-{slug}.md"
    return path if slug and "/" not in slug and os.path.isfile(os.path.join(root, path)) else None


def _shared(root: str, path: str) -> str | None:
    """Return the text of a file that all projects have a part in, None where there is none."""
    try:
        return current_text(root, path)
    except UnfitFileError as error:
        raise _in_the_way([f"{path}: {error}"]) from None


def _proposal(root: str, path: str, wish: Wish) -> tuple[Proposal, Sequence[str]]:
    """Return what is proposed, and the owners: of a config that is kept, else of the codebase."""
    if wish.keep and wish.project in project_names(root):
        config = load_project(root, wish.project)
        return as_proposal(config), wish.owners or config.owners
    codebase = Codebase(os.path.join(root, path))
    return version_1.converted(codebase, root, wish.project, propose(codebase, wish.template)), wish.owners


def _path(root: str, wish: Wish) -> str:
    """Return the codebase's folder as the config names it: from the root, also where it leads outside."""
    if wish.path is None and wish.project in project_names(root):
        path = outline(root, wish.project).path
    elif wish.path is None:
        path = f"packages/{wish.project}"
    else:
        path = os.path.relpath(os.path.abspath(wish.path), root)
        _check_same_codebase(root, wish.project, path)
        if path.split(os.sep)[0] == os.pardir:  # outside: as it is reached whatever links lead here
            path = os.path.relpath(os.path.realpath(wish.path), os.path.realpath(root))
    if not os.path.isdir(os.path.join(root, path)):
        folder = os.path.normpath(os.path.join(root, path))
        named = folder if path.split(os.sep)[0] == os.pardir else path
        raise UsageError(
            f"'{named}' is no folder" if os.path.exists(folder) else f"there is no folder '{named}'",
            hint="name the codebase's folder with --path",
            code="missing-project-folder",
        )
    return path


def _check_same_codebase(root: str, project: str, path: str) -> None:
    """Raise UsageError where a project of that name is another codebase's; a broken config says its own faults."""
    if project not in project_names(root):
        return
    try:
        known = outline(root, project).path
    except ConfigError:
        return
    there, wanted = (os.path.realpath(os.path.join(root, one)) for one in (known, path))
    if there != wanted:
        raise UsageError(
            f"there is a project '{project}' already, of the folder '{known}', and not of '{path}'",
            hint=f"take another name for this codebase, or correct project.path in {config_file(project)}",
            code="other-codebase",
        )


def _beside(
    root: str, wanted: Mapping[str, str], task: str, *, keep: bool
) -> tuple[tuple[FileChange, ...], tuple[str, ...]]:
    """Return the changes, and the files kept; UsageError with all files that somebody changed unless ``keep``."""
    found: dict[str, str | None] = {}
    faults = []
    for path in wanted:
        try:
            found[path] = current_text(root, path)
        except UnfitFileError as error:
            faults.append(f"{path}: {error}")
    texts = _as_there(wanted, found, task) if keep else dict(wanted)
    texts[spec_path(task)] = _same_day(texts[spec_path(task)], found.get(spec_path(task)))
    other = [path for path, text in found.items() if text not in (None, texts[path])]
    if not keep:
        faults += [f"{path}: is there already, and is not what onboarding proposes now" for path in other]
    if faults:
        raise _in_the_way(faults, is_known=any(path.startswith(f"{CONFIG_FOLDER}/") for path in other))
    changes = (FileChange(path, text, texts[path]) for path, text in found.items() if path not in other)
    return tuple(changes), tuple(other)


def _as_there(wanted: Mapping[str, str], found: Mapping[str, str | None], task: str) -> dict[str, str]:
    """Return the wanted texts, where mirrors of a checklist that is there are its copies."""
    mirrors = checklist_paths(task)
    there = next((text for path in mirrors if (text := found.get(path)) is not None), None)
    return dict(wanted) if there is None else {**wanted, **dict.fromkeys(mirrors, there)}


def _same_day(wanted: str, found: str | None) -> str:
    """Return the spec with the review date of the one that is there: looking again is no change."""
    day = _REVIEWED.search(found or "")
    return wanted if day is None else _REVIEWED.sub(day[0], wanted, count=1)


def _in_the_way(faults: Sequence[str], *, is_known: bool = False) -> UsageError:
    """Return the refusal; ``is_known`` tells that the project's config is one of the files."""
    refresh = "; --refresh brings the documents up to a changed config" if is_known else ""
    head = "a file stands" if len(faults) == 1 else f"{len(faults)} files stand"
    return UsageError(
        "\n".join([f"{head} in the way; nothing was written:", *(f"  {fault}" for fault in faults)]),
        hint=f"--keep leaves them as they are and writes only what is missing; or move them away{refresh}",
        code="files-in-the-way",
    )


def _check_beside_others(root: str, project: str, config: str) -> None:
    """Raise ConfigError when the new config has faults, or brings faults to the others: sessions that collide."""
    today = date.max  # no waiver stands: none is proposed, and those of others are no concern here
    before = set(survey(root, today=today)[1])
    with tempfile.TemporaryDirectory() as trial:
        folder = os.path.join(trial, CONFIG_FOLDER)
        os.mkdir(folder)
        for name in project_names(root):
            with contextlib.suppress(OSError):  # what can't be read is a fault of before
                shutil.copyfile(os.path.join(root, config_file(name)), os.path.join(trial, config_file(name)))
        with open(os.path.join(trial, config_file(project)), "w", encoding="utf-8") as stream:
            stream.write(config)
        faults = [fault for fault in survey(trial, today=today)[1] if fault not in before]
    if faults:
        raise ConfigError(faults, hint="nothing was written; choose another name, or rename what it collides with")
