"""The task of a project that is brought in, and its entry in ``tasks/index.json``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.identifiers import check_name
from orchestrator.base.json_values import json_text
from orchestrator.config.project_names import project_names
from orchestrator.config.project_outlines import Outline, outline
from orchestrator.config.routing.task_index import INDEX_FILE, read_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NUMBER = re.compile(r"(\d{1,6})-")
_DOCUMENT = re.compile(r"(?:tasks-|prd-)?(\d{4,6}-.*)\.md")


def task_for(root: str, project: str, given: str | None) -> str:
    """Return the task of ``project``: the one ``given``, its own if it has one, or one with the next free number.

    A task of the index that nobody owns and that is called as the project is (``0101-billing``, slug
    ``billing``) is taken over, as the early version's index names no project. Raises UsageError for a bad
    id, for a task that is another project's and for an index that can't be read.
    """
    outlines = _outlines(root)
    index = read_index(root)
    if given is not None:
        check_name("task", given, index.ids())
        owner = index.owner(given) or next((item.name for item in outlines if item.task_id == given), None)
        if owner not in (None, project):
            raise UsageError(
                f"--task: task '{given}' belongs to project '{owner}', not to '{project}'",
                hint="leave --task out for a new one",
                code="foreign-task",
            )
        return given
    own = [item.task_id for item in outlines if item.name == project]
    own += [task for task in index.ids() if index.owner(task) == project]
    taken = {item.task_id for item in outlines}
    orphans = (task for task in index.ids() if index.owner(task) is None and task not in taken)
    own += [task for task in orphans if re.sub(r"^\d+-", "", task) == project]
    if own:
        return own[0]
    numbers = [int(match[1]) for task in _all_tasks(root, outlines, index.ids()) if (match := _NUMBER.match(task))]
    task = f"{max(numbers, default=0) + 1:04d}-{project}"
    if len(task) > 64:
        raise UsageError(f"'{task}' is too long for a task id", hint="name one with --task", code="bad-task-id")
    return task


def index_text(before: str | None, task: str, project: str, title: str) -> str:
    """Return the index with an entry for ``task``; one that is there keeps all it says, and gets its project."""
    document: dict[str, Any] = json.loads(before.encode()) if before is not None else {"items": []}
    items: list[dict[str, Any]] = document["items"]
    found = next((item for item in items if item["id"] == task), None)
    if before is not None and found is not None and found.get("project") == project:
        return before
    if found is not None:
        found["project"] = project
    else:
        items.append({"id": task, "slug": project, "title": title, "project": project})
    return json_text(document, indent=2, ensure_ascii=False) + "\n"


def _outlines(root: str) -> list[Outline]:
    found = []
    for name in project_names(root):
        try:
            found.append(outline(root, name))
        except ConfigError:
            continue  # a broken config hinders nobody else
    return found


def _all_tasks(root: str, outlines: Iterable[Outline], listed: Iterable[str]) -> set[str]:
    tasks = {*listed, *(item.task_id for item in outlines)}
    for folder in ("tasks", "tasks/specs"):
        try:
            names = os.listdir(os.path.join(root, folder))
        except OSError:
            continue
        tasks |= {match[1] for name in names if (match := _DOCUMENT.fullmatch(name))}
    return tasks


__all__ = ["INDEX_FILE", "index_text", "task_for"]
