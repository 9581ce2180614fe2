"""What routing needs of a workspace's configs: their names, paths and tasks, without validating the rest."""

from __future__ import annotations

import os

from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import check_name, name_fault, near_hint
from orchestrator.base.record import Record
from orchestrator.base.workspace import CONFIG_FOLDER, refuse_broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.config.source import Source

_SUFFIX = ".toml"


class Outline(Record):
    """What routing needs of a config: read without validating the rest of it."""

    name: str
    path: str
    task_id: str


def project_names(root: str) -> tuple[str, ...]:
    """Return the projects of the workspace, sorted: the names of its config files, none of them read."""
    return tuple(name for name in config_stems(root) if name_fault("project", name) is None)


def source_of(root: str, name: str) -> Source:
    """Return the parsed config of project ``name``, not validated; raises as ``load_project`` does."""
    from orchestrator.config.source import config_file, read_source

    if name_fault("project", name) is not None:
        check_name("project", name, project_names(root))
    try:
        return read_source(root, name)
    except FileNotFoundError:
        known = project_names(root)
        hint = near_hint(name, known) or f"there is no project yet: make {config_file(name)}"
        raise UsageError(f"there is no project '{name}'", hint=hint, code="unknown-project") from None


def quick_outline(root: str, name: str) -> Outline | None:
    """Return name, path and default task of project ``name``, None where only the validator can tell them.

    Raises as ``load_project`` does.
    """
    project = source_of(root, name).table.get("project")
    if isinstance(project, dict):
        path, task_id = project.get("path"), project.get("task_id")
        if isinstance(path, str) and path and "\0" not in path and name_fault("task", task_id) is None:
            return Outline(name, path, str(task_id))
    return None


def config_stems(root: str) -> list[str]:
    """Return the stems of all config files of the workspace, sorted, whether or not they can be names.

    Raises UsageError when the folder is there and may not be read, StorageError when the disk fails.
    """
    folder = os.path.join(root, CONFIG_FOLDER)
    try:
        files = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        refuse_broken(folder, error)
        raise UsageError(
            f"{CONFIG_FOLDER}/ can't be read: {os.strerror(error.errno or 0).lower()}",
            hint=f"make '{folder}' readable for this user (chmod, chown), or run as its owner",
            code="unreadable-configs",
        ) from error
    return sorted(file[: -len(_SUFFIX)] for file in files if file.endswith(_SUFFIX) and not file.startswith("."))
