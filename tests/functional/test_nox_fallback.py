"""Where nox's private names have moved, every command runs its session in a process of nox's own."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runner.environment.nox import noxfile_for
from tests.harness import Orchestrator, WorkspaceFolder


def moved(workspace: WorkspaceFolder, orchestrate: Orchestrator, *words: str) -> tuple[int, Any, str]:
    """Call the program with a nox whose private names have moved; return its exit code, document and stderr."""
    program = workspace.write(
        "moved_names.py",
        "import sys\n"
        "sys.modules['nox._decorators'] = None\n"
        "from orchestrator.__main__ import main\n"
        "sys.argv[0] = 'codex-orchestrator'\n"
        "raise SystemExit(main())\n",
    )
    done = subprocess.run(
        [orchestrate.command()[0], str(program), *words, "--format", "json"],
        cwd=workspace.root,
        env=dict(orchestrate.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def test_start_and_resume_in_a_nox_process(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that failed is resumed, and its document is the answer both times."""
    workspace.project("x", {"test": "[ -e ../../done ] || { touch ../../done; exit 1; }"})
    code, first, stderr = moved(workspace, orchestrate, "start", "--project", "x")
    assert (code, first["status"]) == (3, "failed"), stderr
    code, again, stderr = moved(workspace, orchestrate, "resume", "latest")
    assert (code, again["status"], again["run_id"], again["attempt"]) == (0, "succeeded", first["run_id"], 2), stderr


def test_detached_in_a_nox_process(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The id is printed when the run is on disk, while it goes on."""
    workspace.project("x", {"test": "while [ ! -e ../../go ]; do sleep 0.05; done"})
    code, document, stderr = moved(workspace, orchestrate, "start", "--project", "x", "--detach")
    assert code == 0, stderr
    (run,) = workspace.runs("1-x")
    assert document["run_id"] == run.name
    assert workspace.manifest(run)["status"] == "in_progress"
    workspace.write("go", "")
    until = time.monotonic() + 20
    while workspace.manifest(run)["status"] == "in_progress":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert workspace.manifest(run)["status"] == "succeeded"


def test_a_refusal_in_a_nox_process(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What the nox process refuses is this command's refusal: a detached start of a run whose record can't be made."""
    workspace.project("x")
    (workspace.root / ".runs").write_text("no folder")
    for more in ((), ("--detach",)):
        code, document, stderr = moved(workspace, orchestrate, "start", "--project", "x", *more)
        assert code == 8, stderr
        assert ".runs" in document["error"]["message"]


@pytest.mark.parametrize(
    ("text", "is_own"),
    [
        ("from orchestrator.nox_session import register\nregister()\n", True),
        ("import orchestrator.nox_session as sessions\nsessions.register()\n", True),
        ("from orchestrator import nox_session\nnox_session.register()\n", True),
        ("def load():\n    from orchestrator.nox_session import register\n    register()\nload()\n", True),
        ("# see orchestrator.nox_session, from orchestrator.nox_session import register\nimport nox\n", False),
        ("import nox\nWORDS = 'import orchestrator.nox_session'\n", False),
        ("from mine.nox_session import register\n", False),
        ("import nox_session\n", False),
        ("from orchestrator.nox_session import (\n", False),
        ("", False),
    ],
)
def test_a_workspace_s_noxfile_is_known_by_its_import(tmp_path: Path, text: str, is_own: bool) -> None:
    """A noxfile registers the projects' sessions when it imports orchestrator.nox_session, not when it names it."""
    own = tmp_path / "noxfile.py"
    own.write_text(text)
    assert (noxfile_for(str(tmp_path)) == str(own)) == is_own


def test_a_noxfile_that_only_names_the_module_in_a_comment(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The packaged noxfile has the session then, and the run is recorded."""
    workspace.project("x")
    workspace.write("noxfile.py", "# orchestrator.nox_session is not used here\nimport nox\n")
    code, document, stderr = moved(workspace, orchestrate, "start", "--project", "x")
    assert (code, document["status"]) == (0, "succeeded"), stderr


def test_a_user_without_a_home_folder(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Without HOME and without an entry among the system's users a run is recorded, in both ways to nox."""
    workspace.project("x")
    for more in ("", "sys.modules['nox._decorators'] = None\n"):
        program = workspace.write(
            "no_home.py",
            "import os, sys\n"
            "os.environ.pop('HOME')\n"
            "os.path.expanduser = lambda path: os.environ.get('HOME') or path\n"
            f"{more}from orchestrator.__main__ import main\n"
            "sys.argv[0] = 'codex-orchestrator'\n"
            "raise SystemExit(main())\n",
        )
        done = subprocess.run(
            [orchestrate.command()[0], str(program), "start", "--project", "x"],
            cwd=workspace.root,
            env=dict(orchestrate.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
