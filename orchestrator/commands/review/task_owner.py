"""Whose a task is: for records of version 1, which name no project."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.errors import ConfigError, UsageError


def task_owner(root: str) -> Callable[[str], str | None]:
    """Return a lookup from a task's id to its project, or None where nobody, or more than one, owns it.

    The word of ``tasks/index.json`` comes first, then the configs' default tasks. They are read at the
    first question, and once; what can't be read owns nothing.
    """
    known: dict[str, str | None] | None = None

    def look(task_id: str) -> str | None:
        nonlocal known
        if known is None:
            known = _owners(root)
        return known.get(task_id)

    return look


def _owners(root: str) -> dict[str, str | None]:
    from orchestrator.config import outline, project_names
    from orchestrator.config.routing.task_index import read_index

    owners: dict[str, str | None] = {}
    for name in project_names(root):
        try:
            task_id = outline(root, name).task_id
        except (ConfigError, UsageError):
            continue
        owners[task_id] = None if task_id in owners else name
    try:
        named = read_index(root).projects
    except UsageError:
        return owners
    return {**owners, **{task: project for task, project in named.items() if project is not None}}
