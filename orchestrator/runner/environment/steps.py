"""Making an environment: one lock for each, and the commands to run under it, as data."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from orchestrator.base import json_codec
from orchestrator.base.files import Folder, Lock, Seam
from orchestrator.base.record import Record
from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment.allowed import names
from orchestrator.runner.environment.module_command import module_command
from orchestrator.runner.environment.nox import scrubbed
from orchestrator.runner.environment.venv import can_keep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

MAKER = "orchestrator.runner.environment.make"

_MISLEADING = names(
    "VIRTUAL_ENV PYTHONHOME __PYVENV_LAUNCHER__ PIP_REQUIRE_VIRTUALENV PIP_RESPECT_VIRTUALENV "
    "UV_PYTHON UV_SYSTEM_PYTHON UV_PROJECT_ENVIRONMENT"
)
"""Variables that would point pip or uv elsewhere (nox strips them, ``nox.virtualenv._BLACKLISTED_ENV_VARS``)."""


class Step(Record):
    """One child process of a cold start: run it in ``cwd`` with exactly ``env``; 0 is its only success.

    ``title`` is the step in words for people. The last line of its output names the cause of a failure.
    """

    name: Literal["create", "install"]
    title: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]


class PortableLocks(Seam):
    """The seam with portalocker's locks. Only a cold start comes here, so its import costs no usual start."""

    def flock(self, fd: int, operation: int) -> None:
        """Take or give back a lock; BlockingIOError while somebody else has it."""
        import portalocker

        try:
            portalocker.lock(fd, portalocker.LockFlags(operation))
        except portalocker.AlreadyLocked as error:
            raise BlockingIOError(errno.EWOULDBLOCK, "the lock is held") from error
        except portalocker.LockException as error:
            raise error.__cause__ if isinstance(error.__cause__, OSError) else error from None


class EnvironmentLock:
    """The lock under which one environment is made and installed into; free again when its process dies.

    Its file stands beside the environment and is never deleted. Child processes must not inherit its
    descriptor, which is closed on exec.
    """

    def __init__(self, env_dir: str, *, seam: Seam | None = None) -> None:
        self._folder, name = os.path.split(env_dir)
        self._name = f"{name}.lock"
        self._seam = seam or PortableLocks()
        self._lock: Lock | None = None

    def try_acquire(self) -> bool:
        """Take the lock without waiting; False while another process has it.

        Raises StorageError when the lock file can't be made, or a link stands in its place.
        """
        if self._lock is None:
            with Folder.at(self._folder, self._seam, create=True) as folder:
                self._lock = folder.lock(self._name, blocking=False)
        return self._lock is not None

    def release(self) -> None:
        """Give the lock back; harmless when it isn't held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def prepare(
    session: SessionPlan,
    *,
    env_dir: str,
    project_folder: str,
    key: str,
    environ: Mapping[str, str],
    stage_environ: Mapping[str, str],
) -> tuple[Step, ...]:
    """Return the steps that make the environment in ``env_dir`` right for ``key``, in order.

    Call it with the lock held. ``environ`` is the user's: interpreters are looked for with it.
    ``stage_environ`` is what stages get: installing runs code of the codebase and of its dependencies.
    An environment of the same backend and Python is kept and only installed into again; any other one,
    and one that was left half made, is made anew. No step is there when nothing is to be installed.
    """
    cache = {name: stage_environ[name] for name in ("UV_CACHE_DIR",) if name in stage_environ}
    create = Step(
        name="create",
        title=f"make the environment ({session.backend}, Python {session.python or 'of the orchestrator'})",
        argv=_argv(environ, {"do": "create", "folder": env_dir, "backend": session.backend, "python": session.python}),
        cwd=project_folder,
        env={name: value for name, value in {**scrubbed(environ), **cache}.items() if name not in _MISLEADING},
    )
    install = Step(
        name="install",
        title=f"install {' '.join(session.install)}",
        argv=_argv(environ, {"do": "install", "folder": env_dir, "arguments": list(session.install)}),
        cwd=project_folder,
        env={"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **stage_environ},
    )
    steps = () if can_keep(env_dir, key) else (create,)
    return (*steps, install) if session.install else steps


def _argv(environ: Mapping[str, str], request: Mapping[str, object]) -> tuple[str, ...]:
    return (*module_command(MAKER, environ), json_codec.dumps(request, sort_keys=True))
