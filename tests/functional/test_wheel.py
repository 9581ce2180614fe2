"""The built wheel, in an environment that holds nothing else, in a workspace that is elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import REPOSITORY, WorkspaceFolder, clean_environ


@pytest.mark.network
@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(workspace: WorkspaceFolder, home: Path, tmp_path: Path) -> None:
    """Installed from its wheel, the program runs a project of a workspace that has nothing but configs."""
    environ = clean_environ(home)
    environ.pop("PYTHONPATH", None)

    def call(*words: str, cwd: Path = workspace.root) -> str:
        done = subprocess.run(words, cwd=cwd, env=environ, check=True, capture_output=True, timeout=300)
        return done.stdout.decode()

    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), cwd=REPOSITORY)
    (wheel,) = tmp_path.glob("*.whl")
    call(sys.executable, "-m", "venv", str(tmp_path / "empty"))
    call(str(tmp_path / "empty/bin/pip"), "install", "--quiet", str(wheel))
    program = str(tmp_path / "empty/bin/codex-orchestrator")

    workspace.project("a", {"build": "codex-orchestrator --version"}, guard=None)
    folder = workspace.root / "packages/a"
    assert '"status":"succeeded"' in call(program, "start", "--format", "json", cwd=folder).replace(" ", "")
    (run,) = workspace.runs("1-a")
    assert workspace.manifest(run)["status"] == "succeeded"
    assert "succeeded" in call(program, "status", cwd=folder)
