"""A program that the project's own environment lacks and the machine has: the run goes on, and says so."""

from __future__ import annotations

from pathlib import Path

from tests.functional.test_schema import check
from tests.harness import Orchestrator, WorkspaceFolder

CONFIG = """\
schema_version = 1
[project]
name = "x"
path = "packages/x"
task_id = "1-x"
[session]
backend = "virtualenv"
[guardrails]
required = []
[[pipelines.smoke.stages]]
id = "build"
run = "python -c pass"
[[pipelines.smoke.stages]]
id = "test"
shell = "pytest -q && git --version"
"""


def test_a_stage_that_runs_the_machines_pytest_says_so(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """Screen, record and ``status`` name the program; the run is what its stages made it."""
    workspace.config("x", CONFIG)
    workspace.write("packages/x/main.py", "")
    pytest = tmp_path / "bin/pytest"
    pytest.parent.mkdir()
    pytest.write_text("#!/bin/sh\necho 3 passed\n")
    pytest.chmod(0o755)
    path = {"PATH": f"{pytest.parent}:{orchestrate.environ['PATH']}"}

    done = orchestrate("start", "smoke", env=path)
    assert done.code == 0, done.stderr
    assert f"; not of the session's environment: {pytest}\n" in done.stdout + done.stderr

    document = orchestrate("status", "--format", "json").document
    check(orchestrate, "status", document)
    external = {command["id"]: command["attempts"][-1].get("external") for command in document["commands"]}
    assert external == {"build": [], "test": [str(pytest)]}
    (note,) = document["notes"]
    assert note["code"] == "external-program"
    assert note["message"].startswith(f"stage 'test' ran {pytest}, which the session's environment does not have")
    assert "external-program" not in {reason["code"] for reason in document["ready"]["reasons"]}
    for shown in (done.stdout + done.stderr, orchestrate("status").stdout):
        assert f"Note {note['message']}" in " ".join(shown.split())
