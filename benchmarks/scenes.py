"""Scenes: folders that commands are measured in, each peer's doing the same work as ours."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STAGES = ("build", "lint", "test", "spec-guard")
TASK = "1-noop"

_CONFIG = """schema_version = 1
[project]
name = "noop"
path = "packages/noop"
task_id = "1-noop"
[session]
backend = "{backend}"
"""

_NOXFILE = """import nox

@nox.session(venv_backend="none")
def noop(session):
    for _ in range(4):
        session.run("true", external=True)
"""

_TASKS = """from invoke import task
"""

_TASK = """
@task
def {name}(c):
    "Run {name}."
    c.run("true")
"""

_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost")


def workspace(
    folder: Path,
    commands: Mapping[str, str] | None = None,
    *,
    pipeline: str = "diagnostics",
    keys: str = "",
    session: str = "",
    backend: str = "none",
) -> Path:
    """Make a workspace of ours, committed to git as a real one is, and return it.

    ``commands`` are shell words by stage, four that do nothing unless given. ``keys`` is TOML that each stage gets
    besides, ``session`` TOML of the table of that name.
    """
    (folder / "project_configs").mkdir(parents=True)
    (folder / "packages" / "noop").mkdir(parents=True)
    (folder / "packages" / "noop" / "README.md").write_text("noop\n")
    stages = "".join(
        f'[[pipelines.{pipeline}.stages]]\nid = "{name}"\nrun = {json.dumps(command)}\n{keys}\n'
        for name, command in (commands or dict.fromkeys(STAGES, "true")).items()
    )
    text = _CONFIG.format(backend=backend) + session + "\n" + stages
    (folder / "project_configs" / "noop.toml").write_text(text)
    (folder / "tasks.py").write_text("from orchestrator.cli import namespace as ns  # noqa: F401\n")
    (folder / ".gitignore").write_text(".runs/\nout/\n.nox/\n__pycache__/\n")
    return committed(folder)


def committed(folder: Path) -> Path:
    """Put all of a folder into a new git repository with one commit, and return the folder.

    Its index is written a second after its files, as real ones are: git reads a file that was written in the
    same second as the index again at every look (Documentation/technical/racy-git).
    """
    time.sleep(1.0 - time.time() % 1.0)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "scene")):
        subprocess.run([*_GIT, *words], cwd=folder, check=True, capture_output=True)
    return folder


def nox_folder(folder: Path) -> Path:
    """Make a folder whose noxfile runs the same four commands in one session, and return it."""
    folder.mkdir(parents=True)
    (folder / "noxfile.py").write_text(_NOXFILE)
    return folder


def invoke_folder(folder: Path) -> Path:
    """Make a folder with four plain Invoke tasks, and return it."""
    folder.mkdir(parents=True)
    (folder / "tasks.py").write_text(_TASKS + "".join(_TASK.format(name=name.replace("-", "_")) for name in STAGES))
    return folder


def npm_folder(folder: Path, commands: Mapping[str, str] | None = None) -> Path:
    """Make a folder that the npm release runs the same stages in, committed to git, and return it."""
    folder.mkdir(parents=True)
    stages = [
        {"kind": "command", "id": name, "title": name, "command": command}
        for name, command in (commands or dict.fromkeys(STAGES, "true")).items()
    ]
    pipeline = {"id": "diagnostics", "title": "Diagnostics", "stages": stages}
    config = {"defaultPipeline": "diagnostics", "pipelines": [pipeline]}
    (folder / "codex.orchestrator.json").write_text(json.dumps(config, indent=2))
    (folder / ".gitignore").write_text(".runs/\nout/\n")
    return committed(folder)


def npm_start(command: Sequence[str]) -> list[str]:
    """Return the command line of the npm release's start: neither its display nor its look for a Codex server."""
    return [*command, "start", "diagnostics", "--format", "json", "--no-interactive", "--runtime-mode", "cli"]


def run_ids(folder: Path, task: str = TASK) -> list[str]:
    """Return the ids of a task's runs, oldest first; ours and the npm release's lie in the same place."""
    inside = folder / ".runs" / task / "cli"
    return sorted(entry.name for entry in inside.iterdir()) if inside.is_dir() else []


def many_sources(folder: Path, count: int) -> None:
    """Write ``count`` small files below ``src/``, in folders of a hundred."""
    for number in range(count):
        path = folder / "src" / f"part{number // 100:02d}" / f"file{number:04d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"source {number}\n" * 20)
