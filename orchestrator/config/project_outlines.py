"""What routing needs of a project's config: its name, path and task, without validating the rest."""

from __future__ import annotations

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


def _by_the_validator(root: str, name: str) -> Outline:
    from orchestrator.config.loading import load_project

    config = load_project(root, name)
    return Outline(config.name, config.path, config.task_id)
