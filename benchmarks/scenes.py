"""Scenes: folders that commands are measured in, all doing the same work."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STAGES = ("build", "lint", "test", "spec-guard")

_CONFIG = """schema_version = 1
[project]
name = "noop"
path = "packages/noop"
task_id = "1-noop"
[session]
backend = "none"
"""

_NOXFILE = """import nox

@nox.session(venv_backend="none")
def noop(session):
    for _ in range(4):
        session.run("true", external=True)
"""


def workspace(folder: Path) -> Path:
    """Make a workspace whose pipeline runs four stages that do nothing, and return it."""
    (folder / "project_configs").mkdir(parents=True)
    (folder / "packages" / "noop").mkdir(parents=True)
    stages = "".join(f'[[pipelines.diagnostics.stages]]\nid = "{name}"\nrun = "true"\n' for name in STAGES)
    (folder / "project_configs" / "noop.toml").write_text(_CONFIG + stages)
    (folder / "tasks.py").write_text("from orchestrator.cli import namespace  # noqa: F401\n")
    return folder


def nox_folder(folder: Path) -> Path:
    """Make a folder whose noxfile runs the same four commands, and return it."""
    folder.mkdir(parents=True)
    (folder / "noxfile.py").write_text(_NOXFILE)
    return folder


def environ() -> dict[str, str]:
    """Return the environment of what is measured: no settings of this shell's, bytecode written."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ}
    return {**kept, "PYTHONDONTWRITEBYTECODE": ""}


def module(name: str, *arguments: str) -> list[str]:
    """Return the command line of a module of this interpreter's environment."""
    return [sys.executable, "-m", name, *arguments]
