"""What routing needs of a project's config: its name, path and task, without validating the rest."""

from __future__ import annotations

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.identifiers import name_fault
from orchestrator.base.record import Record


class Outline(Record):
    """What routing needs of a config: read without validating the rest of it."""

    name: str
    path: str
    task_id: str


def outline(root: str, name: str) -> Outline:
    """Return name, path and default task of project ``name``; raises as ``load_project`` does."""
    from orchestrator.config.source import source_of

    project = source_of(root, name).table.get("project")
    if isinstance(project, dict):
        path, task_id = project.get("path"), project.get("task_id")
        if isinstance(path, str) and path and "\0" not in path and name_fault("task", task_id) is None:
            return Outline(name, path, str(task_id))
    return _by_the_validator(root, name)


def named_task(root: str, name: str) -> str | None:
    """Return the default task of project ``name``, also of a config that can't be used; None where nothing names one.

    Of a file that is no TOML the line of ``task_id`` counts: what is whose does not change by a typing error elsewhere.
    Raises StorageError when the disk fails.
    """
    try:
        return outline(root, name).task_id
    except (ConfigError, UsageError):
        return _task_in_text(root, name)


def _task_in_text(root: str, name: str) -> str | None:
    import re  # a config that can't be used is rare

    from orchestrator.config.source import raw_source

    try:
        text = raw_source(root, name).decode("utf-8", "replace")
    except (ConfigError, FileNotFoundError):
        return None
    lines = re.findall(r"""^[ \t]*task_id[ \t]*=[ \t]*(["'])([^"'\n]*)\1""", text, re.MULTILINE)
    return next((task for _, task in lines if name_fault("task", task) is None), None)


def _by_the_validator(root: str, name: str) -> Outline:
    from orchestrator.config.loading import load_project

    config = load_project(root, name)
    return Outline(config.name, config.path, config.task_id)
