"""Examples in the documents hold."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder, clean_environ

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def _console(document: Path) -> list[tuple[str, str]]:
    """Return the commands of a document's console blocks, each with the output that it shows."""
    blocks = re.findall(r"^```console\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)
    entries = [entry for block in blocks for entry in block.split("$ ") if entry]
    return [(command, output) for command, _, output in (entry.partition("\n") for entry in entries)]


def test_hello_python_does_what_its_readme_shows(home: Path) -> None:
    """The example of hello-python's README gives the output that stands there."""
    folder = REPOSITORY / "packages/hello-python"
    ((command, output),) = _console(folder / "README.md")
    program = f"{shlex.quote(sys.executable)} -m hello_python"
    environ = {**clean_environ(home), "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert _shell(command.replace("hello-words", program), folder, environ) == output


@pytest.mark.usefixtures("node")
def test_hello_node_does_what_its_readme_shows(home: Path) -> None:
    """The example of hello-node's README gives the output that stands there."""
    folder = REPOSITORY / "packages/hello-node"
    ((command, output),) = _console(folder / "README.md")
    assert _shell(command.replace("dist/", "src/"), folder, clean_environ(home)) == output


def test_the_readmes_onboarding_is_a_valid_config(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The five lines of the README make a project that can be planned."""
    found = re.search(r"<<'END'\n(.*?)^END$", README, re.M | re.S)
    assert found is not None
    name = tomllib.loads(found[1])["project"]["name"]
    workspace.config(name, found[1])
    (workspace.root / "packages" / name).mkdir(parents=True)
    planned = orchestrate("plan", "--project", name)
    assert planned.code == 0, planned.stderr


def test_the_readme_leads_from_a_codebase_to_a_reviewed_run(tmp_path: Path, orchestrate: Orchestrator) -> None:
    """The lines of the README, typed one after the other, end in a run that is ready."""
    section = README.split("## From an existing codebase to a reviewed run")[1]
    found = re.search(r"```console\n(.*?)```", section, re.S)
    assert found is not None
    codebase = tmp_path / "my-lib"
    codebase.mkdir()
    (codebase / "Makefile").write_text("build lint test:\n\t@echo $@\n")
    called = " ".join(orchestrate.command())
    identity = "export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t\n"
    lines = [line.removeprefix("$ ") for line in found[1].splitlines()]
    typed = (
        "\n".join(lines).replace("onboard my-lib", "onboard my-lib --yes").replace("codex-orchestrator ", f"{called} ")
    )
    done = subprocess.run(
        ["sh", "-ec", identity + typed],
        cwd=tmp_path,
        env=dict(orchestrate.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["ready"]["ready"] is True


def test_the_readmes_commands_exist(orchestrate: Orchestrator) -> None:
    """Each ``codex-orchestrator <command>`` and each script that the README names is there."""
    listed = orchestrate("--list").stdout
    for command in set(re.findall(r"codex-orchestrator ([a-z-]+)", README)):
        assert re.search(rf"^\s*{command}\b", listed, re.M), command
    for script in set(re.findall(r"\bscripts/[a-z-]+(?:\.py)?", README)):
        assert os.access(REPOSITORY / script, os.R_OK if script.endswith(".py") else os.X_OK), script


def _shell(line: str, folder: Path, environ: dict[str, str]) -> str:
    return subprocess.run(["sh", "-c", line], cwd=folder, env=environ, check=True, stdout=-1).stdout.decode()


def _guardrail_examples() -> list[str]:
    """Return the configs of docs/guardrails.md that have a canary."""
    text = (REPOSITORY / "docs/guardrails.md").read_text(encoding="utf-8")
    return [block for block in re.findall(r"```toml\n(.*?)```", text, re.S) if "canary" in block]


@pytest.mark.parametrize("example", _guardrail_examples(), ids=["linter", "licences", "tests"])
def test_the_canaries_of_the_documents_are_proved(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, example: str
) -> None:
    """Each example of docs/guardrails.md rejects its canaries, and passes a small codebase that is right."""
    workspace.project("app", extra=example.partition("[[pipelines")[0])
    config = workspace.root / "project_configs/app.toml"
    config.write_text(config.read_text() + "\n[[pipelines" + example.partition("[[pipelines")[2])
    header = "# SPDX-License-Identifier: MIT\n"
    workspace.write("packages/app/src/prices.py", f"{header}def total(prices):\n    return sum(prices)\n")
    test = f"{header}from prices import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n"
    workspace.write("packages/app/tests/test_prices.py", test)
    workspace.commit()
    # A session has these of its own; the orchestrator's own environment is none of a stage's PATH.
    for name, command in {"python": [sys.executable], "ruff": [sys.executable, "-m", "ruff"]}.items():
        workspace.write(f".tools/{name}", f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n').chmod(0o755)
    done = orchestrate("prove", "--format", "json", env={"PATH": f"{workspace.root}/.tools:{os.environ['PATH']}"})
    assert done.code == 0, done.stderr
    assert [entry["proved"] for entry in done.document["canaries"]] == [True]
