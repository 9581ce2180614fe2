"""A virtual environment's folder: where it is, whether it is whole, what it is made of."""

from __future__ import annotations

import os

from orchestrator.base import json_codec
from orchestrator.base.files import Folder, Seam
from orchestrator.base.workspace import NOX_FOLDER
from orchestrator.model.plan import SessionPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARKER = ".codex-environment.json"
"""In the environment's folder: written last, so that a half-made environment has none."""

_SHEBANG_LIMIT = 100 - len("bin/pythonX.Y")
"""nox hashes the name of an environment whose path is longer (``nox.sessions._normalize_path``)."""


def environment_folder(environments_dir: str, session: SessionPlan) -> str | None:
    """Return the absolute folder of the session's environment, None for the backend ``none``.

    It is the folder that nox itself would take for a session of that name (``--envdir`` is ``environments_dir``;
    ``nox.sessions._normalize_path``; session names are ASCII, see ``identifiers``).
    """
    if session.backend == "none":
        return None
    words = "".join(char if char.isalnum() or char == "_" else " " for char in session.name.lower()).split()
    name = "-".join(words)
    if len(os.path.join(NOX_FOLDER, name)) > _SHEBANG_LIMIT:
        import hashlib

        name = hashlib.sha1(name.encode("ascii"), usedforsecurity=False).hexdigest()[:8]
    return os.path.join(environments_dir, name)


def bin_paths(env_dir: str | None) -> tuple[str, ...]:
    """Return the folders that an environment puts first on PATH; none for the backend ``none``."""
    return () if env_dir is None else (os.path.join(env_dir, "bin"),)


def needs_making(env_dir: str | None, key: str) -> bool:
    """Tell whether the environment in ``env_dir`` is missing, half made, or made for another ``key``.

    None stands for the backend ``none``, which never needs anything. Costs a file read and a stat.
    """
    if env_dir is None:
        return False
    if _marker(env_dir).get("key") != key:
        return True
    return not os.access(os.path.join(env_dir, "bin", "python"), os.X_OK)


def can_keep(env_dir: str, key: str) -> bool:
    """Tell whether an environment that needs making is whole and only has to be installed into again."""
    kept = _marker(env_dir).get("key")
    return isinstance(kept, str) and kept.partition(":")[0] == key.partition(":")[0] and not needs_making(env_dir, kept)


def mark_made(env_dir: str, key: str, *, seam: Seam | None = None) -> None:
    """Record that the environment in ``env_dir`` was made and installed into for ``key``.

    Call it with the environment's lock held. Raises StorageError when it can't be written.
    """
    document = {"key": key, **_made_of(env_dir)}
    with Folder.at(env_dir, seam or Seam()) as folder:
        folder.write(MARKER, json_codec.dumps(document, indent=2).encode() + b"\n")


def describe(env_dir: str | None) -> dict[str, str | None]:
    """Return ``{"backend", "python"}`` of an environment: nox's word and a version; None where it can't be known."""
    if env_dir is None:
        return {"backend": "none", "python": None}
    marker = _marker(env_dir)
    found = marker if "backend" in marker else _made_of(env_dir)
    return {"backend": found.get("backend"), "python": found.get("python")}


def _marker(env_dir: str) -> dict[str, Any]:
    try:
        with open(os.path.join(env_dir, MARKER), "rb") as file:
            document = json_codec.loads(file.read())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _made_of(env_dir: str) -> dict[str, str | None]:
    config = _pyvenv_cfg(env_dir)
    if config:
        # The same signs that nox goes by (``VirtualEnv._check_reused_environment_type``).
        backend = "uv" if "uv" in config else "virtualenv" if "virtualenv" in config else "venv"
        version = config.get("version_info") or config.get("version")
        return {"backend": backend, "python": None if version is None else ".".join(version.split(".")[:3])}
    return _conda_made_of(env_dir)


def _pyvenv_cfg(env_dir: str) -> dict[str, str]:
    try:
        with open(os.path.join(env_dir, "pyvenv.cfg"), encoding="utf-8", errors="replace") as file:
            parts = [line.partition("=") for line in file if "=" in line]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in parts}


def _conda_made_of(env_dir: str) -> dict[str, str | None]:
    try:
        records = os.listdir(os.path.join(env_dir, "conda-meta"))
    except OSError:
        return {"backend": None, "python": None}
    versions = [name.split("-")[1] for name in records if name.startswith("python-") and name[7:8].isdigit()]
    return {"backend": "conda", "python": versions[0] if versions else None}
