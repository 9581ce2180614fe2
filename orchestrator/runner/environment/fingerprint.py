"""When is an environment still the right one? A key over all that it was made from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.base.canonical import digest_of
from orchestrator.model.plan import SessionPlan

_INTERPRETER = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"


def environment_key(
    session: SessionPlan,
    *,
    env_dir: str,
    project_folder: str,
    interpreter: str = _INTERPRETER,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the key of the environment that ``session`` asks for, as ``<made from>:<installed from>``.

    The first part covers the backend, the Python, the orchestrator's own interpreter (nox takes it when
    no Python is named) and the folder (an environment can't be moved): when it changes, the environment
    is made anew. The second covers the install arguments, PIP_* and UV_* of ``set_env``, and the files that
    the installation rests on (``installation_files``), also those that variables of ``environ`` name, which the
    installer sees: when only it changes, ``install`` runs again.
    Source: contract, section 2. Files that can't be read count as missing.
    """
    made_from = {
        "backend": session.backend,
        "python": session.python,
        "interpreter": interpreter,
        "folder": os.path.abspath(env_dir),
    }
    settings = {name: value for name, value in session.set_env.items() if name.startswith(("PIP_", "UV_"))}
    files: dict[str, str | None] = {}
    if session.install:
        from orchestrator.runner.environment.installation_files import rests_on

        files = dict(rests_on(session.install, os.path.abspath(project_folder), {**environ, **session.set_env}))
    installed_from = {"install": list(session.install), "settings": settings, "files": files}
    return f"{digest_of(made_from)[:32]}:{digest_of(installed_from)[:32]}"
