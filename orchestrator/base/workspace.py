"""The workspace: the folder that holds ``project_configs/``, and the two roots of what runs leave behind."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from orchestrator.base.errors import StorageError, UsageError
from orchestrator.base.record import Record

CONFIG_FOLDER = "project_configs"
WORKSPACE_FILE = "workspace.toml"
"""Beside that folder: what holds for the whole workspace. Optional."""

NOX_FOLDER = ".nox"
"""Where nox keeps environments, below the folder of the noxfile (nox's default of ``--envdir``)."""

ROOT_VARIABLE = "CODEX_ORCHESTRATOR_ROOT"
RUNS_VARIABLE = "CODEX_ORCHESTRATOR_RUNS_DIR"
OUT_VARIABLE = "CODEX_ORCHESTRATOR_OUT_DIR"
ENVIRONMENTS_VARIABLE = "CODEX_ORCHESTRATOR_ENV_DIR"
_RUN_VARIABLE = "CODEX_ORCHESTRATOR_RUN_ID"
_RUN_FOLDER_VARIABLE = "CODEX_ORCHESTRATOR_RUN_DIR"

_BROKEN = frozenset({errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE})
"""What says nothing of the folder that was asked for: the disk, its server or this machine could not answer."""


class Workspace(Record):
    """Absolute folders: the workspace's root, where runs are kept, where snapshots are, and where environments are.

    ``moved_environments`` is None for ``.nox`` below the root. ``state_dir`` lies outside of every workspace: where
    this program keeps what is the account's own, None of one without a home folder.
    """

    root: str
    runs_dir: str
    out_dir: str
    moved_environments: str | None = None
    state_dir: str | None = None

    @property
    def environments_dir(self) -> str:
        """Where the sessions' virtual environments are kept."""
        return self.moved_environments or os.path.join(self.root, NOX_FOLDER)

    def shown(self, path: str) -> str:
        """Return ``path`` relative to the root when it lies below it, else as it is."""
        if path.startswith(f"{self.root}/") and path == os.path.normpath(path):
            return path[len(self.root) + 1 :]
        relative = os.path.relpath(path, self.root)
        return path if relative.startswith("..") else relative


def find_workspace(cwd: str, environ: Mapping[str, str]) -> Workspace:
    """Return the workspace of ``cwd``: ``$CODEX_ORCHESTRATOR_ROOT``, else the nearest folder above with configs.

    Below a stage the variable is inherited, and another workspace that holds ``cwd`` wins over it; its folders are
    its own then, wherever those of the outer run are, also where a stage has emptied the variable. Raises UsageError
    when there is none, or when the variable names a folder without ``project_configs/``, and StorageError when the
    disk can't tell.
    """
    named = environ.get(ROOT_VARIABLE)
    outer = os.path.join(cwd, named) if named else _root_of_run(environ)
    if outer and (inner := _inner_root(cwd, outer, environ)) is not None:
        runs_dir, out_dir = os.path.join(inner, ".runs"), os.path.join(inner, "out")
        return Workspace(inner, runs_dir, out_dir, state_dir=_state_dir(environ))
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
        moved_environments=_moved(root, environ.get(ENVIRONMENTS_VARIABLE)),
        state_dir=_state_dir(environ),
    )


def _state_dir(environ: Mapping[str, str]) -> str | None:
    """Return where the account keeps this program's state. A path there that is not absolute is ignored.

    A home folder that is not there is none: it is not this program's to make. Source: XDG Base Directory
    Specification 0.8.
    """
    home = environ.get("HOME")
    in_home = os.path.join(home, ".local", "state") if home and os.path.isdir(home) else None
    for base in (environ.get("XDG_STATE_HOME"), in_home):
        if base and os.path.isabs(base):
            return os.path.join(base, "codex-orchestrator")
    return None


def _moved(root: str, place: str | None) -> str | None:
    return os.path.abspath(os.path.join(root, place)) if place else None


def _root_of_run(environ: Mapping[str, str]) -> str | None:
    """Return the root of the workspace in which the folder of the run lies that this is below; None: none is known."""
    run_folder = environ.get(_RUN_FOLDER_VARIABLE) if environ.get(_RUN_VARIABLE) else None
    return _nearest(os.path.realpath(run_folder)) if run_folder else None


def _inner_root(cwd: str, named: str, environ: Mapping[str, str]) -> str | None:
    """Return the root of another workspace that holds ``cwd``, where ``named`` is inherited from a run; else None.

    Who sets the variable below a stage names a workspace that the run's folder is not in, and is in ``cwd``'s.
    """
    if not environ.get(_RUN_VARIABLE):
        return None
    found = _nearest(os.path.realpath(cwd))
    named = os.path.realpath(named)
    if found is None or found == named:
        return None
    run_folder = os.path.realpath(environ.get(_RUN_FOLDER_VARIABLE) or named)
    is_set_here = _holds(found, run_folder) and not _holds(named, run_folder)
    return None if is_set_here else found


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def project_folder(root: str, name: str, path: str) -> str:
    """Return the absolute folder of project ``name``, whose config says ``path``.

    Raises UsageError when there is none, StorageError when the disk can't tell.
    """
    folder = os.path.normpath(os.path.join(root, path))
    if not is_folder(folder):
        raise UsageError(
            f"the folder of project '{name}' {'is no folder' if os.path.exists(folder) else 'does not exist'}: {path}",
            hint=f"make it, or correct project.path in {CONFIG_FOLDER}/{name}.toml",
            code="missing-project-folder",
        )
    return folder


def is_empty(folder: str) -> bool:
    """Tell whether a folder has no entry; one that can't be read has some."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _walk_up(start: str) -> str:
    found = _nearest(start)
    if found is None:
        raise UsageError(
            f"no workspace here: neither '{start}' nor a folder above it holds {CONFIG_FOLDER}/",
            hint=f"make one here with: codex-orchestrator init; or go to one, or set ${ROOT_VARIABLE}",
            code="no-workspace",
        )
    return found


def _nearest(start: str) -> str | None:
    folder = start
    while not is_folder(os.path.join(folder, CONFIG_FOLDER)):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
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
            hint="repair the disk, then run the command again",
            code=errno.errorcode[error.errno].lower(),
        ) from error
