"""The workspace: the folder that holds ``project_configs/``, and the two roots of what runs leave behind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.errors import UsageError

CONFIG_FOLDER = "project_configs"
ROOT_VARIABLE = "CODEX_ORCHESTRATOR_ROOT"
RUNS_VARIABLE = "CODEX_ORCHESTRATOR_RUNS_DIR"
OUT_VARIABLE = "CODEX_ORCHESTRATOR_OUT_DIR"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Three absolute folders: the workspace's root, where runs are kept, and where snapshots are kept."""

    root: str
    runs_dir: str
    out_dir: str

    def shown(self, path: str) -> str:
        """Return ``path`` relative to the root when it lies below it, else as it is."""
        relative = os.path.relpath(path, self.root)
        return path if relative.startswith("..") else relative


def find_workspace(cwd: str, environ: Mapping[str, str]) -> Workspace:
    """Return the workspace of ``cwd``: ``$CODEX_ORCHESTRATOR_ROOT``, else the nearest folder above with configs.

    Raises UsageError when there is none, or when the variable names a folder without ``project_configs/``.
    """
    named = environ.get(ROOT_VARIABLE)
    if named:
        root = os.path.abspath(os.path.join(cwd, named))
        if not os.path.isdir(os.path.join(root, CONFIG_FOLDER)):
            raise UsageError(
                f"${ROOT_VARIABLE} is '{named}', which holds no {CONFIG_FOLDER}/",
                hint=f"name the folder that holds {CONFIG_FOLDER}/, or unset ${ROOT_VARIABLE}",
                code="no-workspace",
            )
    else:
        root = _walk_up(os.path.realpath(cwd))
    return Workspace(
        root=root,
        runs_dir=os.path.abspath(os.path.join(root, environ.get(RUNS_VARIABLE) or ".runs")),
        out_dir=os.path.abspath(os.path.join(root, environ.get(OUT_VARIABLE) or "out")),
    )


def project_folder(root: str, name: str, path: str) -> str:
    """Return the absolute folder of project ``name``, whose config says ``path``; UsageError when there is none."""
    folder = os.path.normpath(os.path.join(root, path))
    if not os.path.isdir(folder):
        raise UsageError(
            f"the folder of project '{name}' does not exist: {path}",
            hint=f"make it, or mend project.path in {CONFIG_FOLDER}/{name}.toml",
            code="missing-project-folder",
        )
    return folder


def _walk_up(start: str) -> str:
    folder = start
    while not os.path.isdir(os.path.join(folder, CONFIG_FOLDER)):
        parent = os.path.dirname(folder)
        if parent == folder:
            raise UsageError(
                f"no workspace here: neither '{start}' nor a folder above it holds {CONFIG_FOLDER}/",
                hint=f"go to a workspace, make {CONFIG_FOLDER}/<project>.toml, or set ${ROOT_VARIABLE}",
                code="no-workspace",
            )
        folder = parent
    return folder
