"""``init``: a folder becomes a workspace, and nothing that was there is lost."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.harness import REPOSITORY, Orchestrator

FILES = ["noxfile.py", "project_configs/README.md", "tasks.py", "tasks/index.json", "tasks/specs/README.md"]


def files_below(root: Path) -> list[str]:
    """Return the files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_new_workspace_works_at_once(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """The files are written, the next command is named, and a project in it can be planned, by nox too."""
    root = tmp_path / "new" / "place"
    made = orchestrate("init", "--path", str(root), "--yes", cwd=tmp_path)
    assert made.code == 0, made.stderr
    assert "codex-orchestrator onboard" in made.stdout
    assert files_below(root) == [".gitignore", *FILES]
    ignored = (root / ".gitignore").read_text().splitlines()
    assert ignored[-3:] == ["/.runs/", "/out/", "/.nox/"]
    assert {"dist/", "__pycache__/", "node_modules/"} <= set(ignored)
    (root / "project_configs/a.toml").write_text(
        'schema_version = 1\nproject = { name = "a", path = ".", task_id = "1-a" }\nsession = { backend = "none" }\n'
        'pipelines.p.stages = [{ id = "s", run = "true" }]\n'
    )
    assert orchestrate("plan", "p", cwd=root).code == 0
    environ = {**orchestrate.environ, "PYTHONPATH": str(REPOSITORY)}
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list"], cwd=root, env=environ, check=True, capture_output=True, text=True
    )
    assert "p-a" in listed.stdout


def test_twice_is_as_once(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """A second call changes nothing and says so, without being agreed to."""
    assert orchestrate("init", "--yes", cwd=tmp_path).code == 0
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files_below(tmp_path)}
    again = orchestrate("init", cwd=tmp_path)
    assert (again.code, "Nothing to do" in again.stdout) == (0, True)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in files_below(tmp_path)} == before


def test_nothing_is_overwritten(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """Files that are there stay, and what they lack is told; .gitignore keeps its lines and gets the missing ones."""
    (tmp_path / "tasks.py").write_text("mine = 1\n")
    (tmp_path / ".gitignore").write_text("*.log\n.runs")
    (tmp_path / "noxfile.py").symlink_to(tmp_path / "elsewhere.py")
    made = orchestrate("init", "--yes", "--format", "json", cwd=tmp_path)
    assert made.code == 0, made.stderr
    assert (tmp_path / "tasks.py").read_text() == "mine = 1\n"
    assert (tmp_path / ".gitignore").read_text() == "*.log\n.runs\njunit.xml\n/out/\n/.nox/\n"
    assert not (tmp_path / "elsewhere.py").exists()
    notes = " ".join(made.document["notes"])
    assert "from orchestrator.cli import namespace as ns" in notes
    assert "noxfile.py was left as it is" in notes


def test_without_consent_nothing_is_written(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """Where nobody can be asked the difference is shown, the flag is named and the exit code is 2; --dry-run is 0."""
    refused = orchestrate("init", cwd=tmp_path)
    assert (refused.code, "+++ b/tasks.py" in refused.stdout, "--yes" in refused.stdout) == (2, True, True)
    document = orchestrate("init", "--format", "json", cwd=tmp_path)
    assert (document.code, document.document["error"]["code"]) == (2, "unasked")
    assert orchestrate("init", "--dry-run", cwd=tmp_path).code == 0
    assert files_below(tmp_path) == []


def test_a_terminal_is_asked(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """In a terminal the difference is shown and asked about: no writes nothing, yes writes."""
    for answer, code, expected in ((b"\n", 2, False), (b"y\n", 0, True)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            orchestrate.command("init"),
            cwd=tmp_path,
            env=dict(orchestrate.environ),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, answer)
        stdout = process.communicate(timeout=60)[0].decode()
        os.close(ours)
        assert b"+++ b/tasks.py" in shown
        assert (process.returncode, (tmp_path / "tasks.py").exists()) == (code, expected), stdout


def test_a_file_is_no_place_for_a_workspace(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """A path that is a file is refused."""
    (tmp_path / "file").touch()
    refused = orchestrate("init", "--path", "file", "--yes", "--format", "json", cwd=tmp_path)
    assert (refused.code, json.loads(refused.stdout)["error"]["code"]) == (2, "no-folder")
