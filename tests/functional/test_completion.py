"""``completion``: what a shell offers, and what it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.completion import candidates
from tests.harness import Orchestrator, WorkspaceFolder
from tests.import_budget import HEAVY, imported

OWN = "[[pipelines.nightly.stages]]\nid = 'deep'\nrun = 'true'\n"


def offered(orchestrate: Orchestrator, line: str) -> list[str]:
    """Return what the program offers at the end of ``line``."""
    environ = {"COMP_LINE": f"codex-orchestrator {line} and more", "COMP_POINT": str(len(line) + 19)}
    done = orchestrate("completion", "candidates", env=environ)
    assert (done.code, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_what_is_offered(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Commands, options, choices, projects, tasks, pipelines, run ids and a run's stages are completed."""
    workspace.project("alpha", {"extra": "true"})
    workspace.config(
        "beta", (workspace.project("beta"), (workspace.root / "project_configs/beta.toml"))[1].read_text() + OWN
    )
    run_id = orchestrate("start", "--project", "alpha", "--format", "json").document["run_id"]
    assert offered(orchestrate, "sta") == ["start", "status"]
    assert set(offered(orchestrate, "")) == set(COMMANDS)
    assert offered(orchestrate, "start --proj") == ["--project", "--projects"]
    assert offered(orchestrate, "start --projects ") == ["alpha", "beta"]
    assert "--project" not in offered(orchestrate, "start --project alpha --")
    assert offered(orchestrate, "start --project ") == ["alpha", "beta"]
    assert offered(orchestrate, "start --project=b") == ["beta"]
    assert offered(orchestrate, "start --format ") == ["text", "json", "ndjson"]
    assert offered(orchestrate, "start n") == ["nightly"]
    assert offered(orchestrate, "start --project alpha ") == ["diagnostics", "smoke"]
    assert offered(orchestrate, "runs --task ") == ["1-alpha", "1-beta"]
    assert offered(orchestrate, "status ") == ["latest", run_id]
    assert offered(orchestrate, f"logs {run_id} --stage e") == ["environment", "extra"]
    assert offered(orchestrate, f"status {run_id} ") == []
    assert offered(orchestrate, "start --actor ") == []


def test_a_selection_is_offered(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Owners, tags and parts are completed; of a list of projects its last name, which is none of those before."""
    for name, words in (
        ("alpha", "owners = ['ann', 'bob']\ntags = ['web']"),
        ("beta", "owners = ['ann']"),
        ("gamma", ""),
    ):
        workspace.project(name)
        path = workspace.root / f"project_configs/{name}.toml"
        path.write_text(path.read_text().replace("[session]", f"{words}\n[session]", 1))
    workspace.config("sick", "[")
    assert offered(orchestrate, "start --owner ") == ["ann", "bob"]
    assert offered(orchestrate, "plan --all --tag w") == ["web"]
    assert offered(orchestrate, "start --owner ann --ow") == ["--owner"]
    assert offered(orchestrate, "start --all --shard 1") == ["1/2", "1/3", "1/4"]
    assert offered(orchestrate, "start --projects beta,") == ["beta,alpha", "beta,gamma", "beta,sick"]
    assert offered(orchestrate, "start --exclude=alpha,gamma,b") == ["alpha,gamma,beta"]
    assert offered(orchestrate, "start --projects alp") == ["alpha"]


def test_outside_of_a_workspace(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """Where there is no workspace, commands and options are completed, values are none, and nothing is an error."""
    done = orchestrate(
        "completion", "candidates", cwd=tmp_path, env={"COMP_LINE": "x start --project ", "COMP_POINT": ""}
    )
    assert (done.code, done.stdout, done.stderr) == (0, "", "")


def test_bash_completes(workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path) -> None:
    """The script works in a real bash: a completion of a line is what the program offers."""
    workspace.project("alpha")
    script = orchestrate("completion", "bash").stdout
    program = tmp_path / "codex-orchestrator"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
    program.chmod(0o755)
    line = "codex-orchestrator start --project "
    ask = (
        f"{script}\nCOMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({line} '') COMP_CWORD=3\n"
        '_codex_orchestrator; printf "%s," "${COMPREPLY[@]}"; complete -p codex-orchestrator'
    )
    done = subprocess.run(
        ["bash", "-c", ask],
        cwd=orchestrate.cwd,
        env={**orchestrate.environ, "PATH": f"{tmp_path}{os.pathsep}{orchestrate.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "alpha,complete -F _codex_orchestrator codex-orchestrator\n"


def test_a_shell_that_is_not_known(orchestrate: Orchestrator) -> None:
    """Another shell is refused with those that there are; zsh has a script of its own."""
    done = orchestrate("completion", "fish", "--format", "json")
    assert done.code == 2
    assert orchestrate("completion", "zsh").stdout.startswith("#compdef codex-orchestrator\n")
    assert "'bash' or 'zsh'" in orchestrate("completion", "fish").stderr


@pytest.mark.parametrize("line", ["codex-orchestrator st", "codex-orchestrator status "])
def test_a_key_loads_little(workspace: WorkspaceFolder, orchestrate: Orchestrator, line: str) -> None:
    """A key loads neither Invoke nor anything else that is slow: it costs a third of ``invoke --list``."""
    workspace.project("alpha")
    environ = {**orchestrate.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))}
    assert not imported(Orchestrator(orchestrate.cwd, environ), "completion", "candidates") & HEAVY


@given(st.text(alphabet="-= stapronj\t", max_size=60))
def test_any_line_is_answered(line: str) -> None:
    """Whatever is typed, every candidate begins as the last word, or its value, does."""
    last = "" if line[-1:].isspace() else (line.split() or [""])[-1]
    found = candidates(line, COMMANDS, lambda option, given: ("start", "json"))
    value = last.partition("=")[2] if last.startswith("--") and "=" in last else last
    assert all(word.startswith(value) for word in found)
