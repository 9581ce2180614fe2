"""The folder on a stage's PATH with ``codex-orchestrator``, ``nox`` and ``invoke``, and nothing else of ours."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Mapping, Sequence

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, Seam
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import ENVIRONMENTS_VARIABLE, Workspace
from orchestrator.runner.environment.module_command import module_command

TOOLS = {"codex-orchestrator": "orchestrator", "nox": "nox", "invoke": "invoke"}
"""Each script's name and the module that it runs (contract, section 6)."""

TOOLS_FOLDER = ".tools"
"""Below the runs folder; no task can have that name, since names don't begin with a dot."""

_LIMIT = 16 * 1024


def tools_home(workspace: Workspace) -> str:
    """Return the folder below which the scripts are kept: the runs folder, or that of the environments.

    The latter where no program may be executed in the runs folder. Raises StorageError when none may be in either.
    """
    if not _is_noexec(workspace.runs_dir):
        return workspace.runs_dir
    if not _is_noexec(workspace.environments_dir):
        return workspace.environments_dir
    raise StorageError(
        f"no program may be executed below '{workspace.runs_dir}' and '{workspace.environments_dir}': their file "
        "systems are mounted noexec, and stages need the orchestrator's own three scripts",
        hint=f"let ${ENVIRONMENTS_VARIABLE} name a folder whose file system is not",
        code="noexec",
    )


def _is_noexec(folder: str) -> bool:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))
    except OSError:
        return False


def tools_dir(
    runs_dir: str,
    environ: Mapping[str, str],
    *,
    executable: str = sys.executable,
    seam: Seam | None = None,
    make: bool = True,
) -> str:
    """Return the folder of the three scripts below ``runs_dir``, made first when it is missing or damaged.

    Without ``make`` it is only named.

    Its name is a digest of the scripts, so that installations beside each other don't disturb each
    other. Any number of processes may make it at once. ``environ`` is the user's (see ``module_command``).

    Raises StorageError when it can't be written, or when a link stands in its place.
    """
    scripts = {name: _script(module_command(module, environ, executable=executable)) for name, module in TOOLS.items()}
    name = sha256(b"".join(scripts.values())).hexdigest()[:16]
    if make:
        with Folder.at(runs_dir, seam or Seam(), create=True) as runs, runs.sub(TOOLS_FOLDER, create=True) as tools:
            if not _is_whole(tools, name, scripts):
                _put(tools, name, scripts)
    return os.path.join(runs_dir, TOOLS_FOLDER, name)


class KeptTools:
    """The folder of the scripts during an attempt: what a stage did to it does not reach the next one."""

    def __init__(self, runs_dir: str, environ: Mapping[str, str]) -> None:
        self._runs_dir = runs_dir
        self._environ = environ
        self.folder = tools_dir(runs_dir, environ)
        self._seen = self._stamps()

    def restore(self) -> None:
        """Make the scripts anew if somebody touched them since; raises what ``tools_dir`` raises."""
        if self._stamps() != self._seen:
            tools_dir(self._runs_dir, self._environ)
            self._seen = self._stamps()

    def _stamps(self) -> list[tuple[int, int, int]]:
        """Return what no writer can leave as it was: inode, mode and change time of the folder and each script."""
        stamps = []
        for path in (self.folder, *(os.path.join(self.folder, name) for name in TOOLS)):
            try:
                seen = os.lstat(path)
            except OSError:
                return []
            stamps.append((seen.st_ino, seen.st_mode, seen.st_ctime_ns))
        return stamps


def _script(command: Sequence[str]) -> bytes:
    return os.fsencode(f'#!/bin/sh\nexec {" ".join(map(_quoted, command))} "$@"\n')


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _is_whole(tools: Folder, name: str, scripts: Mapping[str, bytes]) -> bool:
    try:
        with tools.sub(name) as folder:
            same = all(folder.read(script, _LIMIT) == content for script, content in scripts.items())
            # The folder is on every stage's PATH: another program in it would be found there.
            return same and set(folder.names()) == set(scripts) and all(_is_program(folder, name) for name in scripts)
    except (FileNotFoundError, StorageError) as error:
        if isinstance(error, StorageError) and error.code == "planted-link":
            raise
        return False


def _is_program(folder: Folder, name: str) -> bool:
    modes = os.fstat(folder.fd).st_mode, os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode
    return all(mode & stat.S_IXUSR for mode in modes)


def _put(tools: Folder, name: str, scripts: Mapping[str, bytes]) -> None:
    mark = f"{os.getpid()}-{os.urandom(4).hex()}"
    fresh, damaged = f".new-{mark}", f".old-{mark}"
    try:
        with tools.sub(fresh, create=True, sync=False) as folder:
            for script, content in scripts.items():
                folder.create(script, content, mode=0o775, sync=False)
        with contextlib.suppress(FileExistsError, StorageError):
            tools.move_to(fresh, tools, name)
        if not _is_whole(tools, name, scripts):
            # What stands there lost its bytes in a power cut, since nothing here waits for the disk.
            with contextlib.suppress(FileNotFoundError):
                tools.move_to(name, tools, damaged)
                if tools.has_folder(damaged):  # somebody may have made it unreadable
                    os.chmod(damaged, 0o700, dir_fd=tools.fd)
            tools.move_to(fresh, tools, name)
    finally:
        tools.remove_folder(fresh)
        tools.remove_folder(damaged)
