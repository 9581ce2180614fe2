"""Sessions that a noxfile registers: options behind --, sessions at once, and configs with an error."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.harness import Done, Orchestrator, WorkspaceFolder

NOXFILE = "from orchestrator.nox_session import register\n\nregister()\n"


def nox(workspace: WorkspaceFolder, orchestrate: Orchestrator, *words: str) -> Done:
    """Call nox in a workspace with a root noxfile and return what came out."""
    workspace.write("noxfile.py", NOXFILE)
    done = subprocess.run(
        [sys.executable, "-m", "nox", *words],
        cwd=workspace.root,
        env=dict(orchestrate.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr, None)


def test_options_of_start_stand_behind_the_dashes(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """They do what they do for start: the record has the actor, and the document is printed."""
    workspace.project("x")
    done = nox(workspace, orchestrate, "-s", "diagnostics-x", "--", "--jobs", "1", "--actor", "ann", "--format=json")
    assert done.code == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    (run,) = workspace.runs("1-x")
    assert document["run_id"] == run.name
    assert workspace.manifest(run)["mode"]["actor"] == "ann"


@pytest.mark.parametrize(
    "words",
    [
        ("--project", "y"),
        ("--pipeline", "smoke"),
        ("smoke",),
        ("--detach",),
        ("--jobs", "0"),
        ("--unknown",),
        ("--help",),
    ],
)
def test_options_that_make_no_sense_in_a_session(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...]
) -> None:
    """They are refused with their name, and nothing is recorded."""
    workspace.project("x")
    done = nox(workspace, orchestrate, "-s", "diagnostics-x", "--", *words)
    assert done.code == 1
    named = "--pipeline" if words == ("smoke",) else words[0]
    assert named in done.stderr, done.stderr
    assert workspace.runs("1-x") == []


def test_sessions_run_at_once(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Under nox's -j two projects' stages are alive at the same time, each in a record of its own without a parent."""
    meet = "touch ../../here-{0}; for _ in $(seq 300); do [ -e ../../here-{1} ] && exit 0; sleep 0.1; done; exit 1"
    workspace.project("x", {"build": meet.format("x", "y")})
    workspace.project("y", {"build": meet.format("y", "x")})
    assert nox(workspace, orchestrate, "-j", "2", "-t", "diagnostics").code == 0
    records = [workspace.manifest(run) for run in (*workspace.runs("1-x"), *workspace.runs("1-y"))]
    assert [(record["project"], record["status"], record["parent_run_id"]) for record in records] == [
        ("x", "succeeded", None),
        ("y", "succeeded", None),
    ]
    assert workspace.runs("fleet") == []


@pytest.mark.parametrize(
    "text",
    [
        "schema_version = 1\n[project]\nname = 'bad'\n[[pipelines.diagnostics.stages]]\nid = 'build'\nrun = 3\n",
        "this is = no toml [\n",
    ],
)
def test_a_config_with_an_error_keeps_its_sessions(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, text: str
) -> None:
    """They are listed and tagged by the file's name, and every selection that holds one fails with the error."""
    workspace.project("good")
    workspace.config("bad", text)
    listed = nox(workspace, orchestrate, "--list", "--json", "-t", "diagnostics")
    assert listed.code == 0, listed.stderr
    assert {entry["session"] for entry in json.loads(listed.stdout)} == {"diagnostics-good", "diagnostics-bad"}
    done = nox(workspace, orchestrate, "-t", "diagnostics")
    assert done.code == 1
    assert "project_configs/bad.toml" in done.stderr
    assert [workspace.manifest(run)["status"] for run in workspace.runs("1-good")] == ["succeeded"]
    assert nox(workspace, orchestrate, "-s", "diagnostics-good").code == 0
