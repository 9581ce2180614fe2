"""Which projects a workspace has: the names of its config files, none of which is read for it."""

from __future__ import annotations

import os

from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import name_fault
from orchestrator.base.workspace import CONFIG_FOLDER, refuse_broken

_SUFFIX = ".toml"


BRING_IN = "codex-orchestrator onboard NAME --path FOLDER"
"""What to do in a workspace without projects."""


def project_names(root: str) -> tuple[str, ...]:
    """Return the projects of the workspace, sorted: the names of its config files, none of them read."""
    return tuple(name for name in config_stems(root) if name_fault("project", name) is None)


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
