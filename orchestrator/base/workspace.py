"""The workspace: the folder that holds ``project_configs/``, and the two roots of what runs leave behind."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from orchestrator.base.errors import StorageError, UsageError
from orchestrator.base.record import Record

CONFIG_FOLDER = "project_configs"
NOX_FOLDER = ".nox"
"""Where nox keeps environments, below the folder of the noxfile (nox's default of ``--envdir``)."""

ROOT_VARIABLE = "CODEX_ORCHESTRATOR_ROOT"
RUNS_VARIABLE = "CODEX_ORCHESTRATOR_RUNS_DIR"
OUT_VARIABLE = "CODEX_ORCHESTRATOR_OUT_DIR"

_BROKEN = frozenset({errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE})
"""What says nothing of the folder that was asked for: the disk, its server or this machine could not answer."""


class Workspace(Record):
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

    Raises UsageError when there is none, or when the variable names a folder without ``project_configs/``,
    and StorageError when the disk can't tell.
    """
    named = environ.get(ROOT_VARIABLE)
    if named:
        root = os.path.abspath(os.path.join(cwd, named))
        if not is_folder(os.path.join(root, CONFIG_FOLDER)):
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
    """Return the absolute folder of project ``name``, whose config says ``path``.

    Raises UsageError when there is none, StorageError when the disk can't tell.
    """
    folder = os.path.normpath(os.path.join(root, path))
    if not is_folder(folder):
        raise UsageError(
            f"the folder of project '{name}' does not exist: {path}",
            hint=f"make it, or mend project.path in {CONFIG_FOLDER}/{name}.toml",
            code="missing-project-folder",
        )
    return folder


def _walk_up(start: str) -> str:
    folder = start
    while not is_folder(os.path.join(folder, CONFIG_FOLDER)):
        parent = os.path.dirname(folder)
        if parent == folder:
            raise UsageError(
                f"no workspace here: neither '{start}' nor a folder above it holds {CONFIG_FOLDER}/",
                hint=f"go to a workspace, make {CONFIG_FOLDER}/<project>.toml, or set ${ROOT_VARIABLE}",
                code="no-workspace",
            )
        folder = parent
    return folder


def is_folder(path: str) -> bool:
    """Tell whether ``path`` leads to a folder; StorageError when the disk can't tell."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        refuse_broken(path, error)
    except ValueError:  # a NUL in it
        pass
    return False


def refuse_broken(path: str, error: OSError) -> None:
    """Raise StorageError when ``error`` is the disk's, and says nothing of what is wrong with ``path``."""
    if error.errno in _BROKEN:
        raise StorageError(
            f"'{path}' can't be read: {os.strerror(error.errno).lower()}",
            hint="mend the disk, then run the command again",
            code=errno.errorcode[error.errno].lower(),
        ) from error
