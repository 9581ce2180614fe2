"""docs/agents.md: its loop runs, and its tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from orchestrator.cli.help_text import EXIT_CODES
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder

PAGE = (REPOSITORY / "docs" / "agents.md").read_text(encoding="utf-8")


def test_the_loop(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The commands of the page run as they stand there, on a run that fails and after it was resumed."""
    workspace.project("hello", {"test": "echo broken; test -e good"})
    block = re.search(r"```console\n(.*?)```", PAGE, re.S)
    assert block is not None
    lines = [shlex.split(line.removeprefix("$ codex-orchestrator ")) for line in block[1].splitlines()]
    assert [line[0] for line in lines] == ["start", "wait", "status", "logs", "compare"]
    start, wait, brief, logs, compare = lines
    started = orchestrate(*start)
    assert started.code == 0
    waited = orchestrate(*wait)
    assert (waited.code, waited.document["run_id"]) == (3, started.document["run_id"])
    short = orchestrate(*brief).document
    assert "broken" in short["failed"][0]["cause"]
    assert orchestrate(*logs).document["stages"][0]["lines"] == ["broken"]
    assert orchestrate(*compare).code == 6
    (workspace.root / "packages/hello/good").write_text("")
    assert short["next_argv"][:2] == ["codex-orchestrator", "resume"]
    assert orchestrate(*short["next_argv"][1:]).code == 0
    again = orchestrate(*start)
    assert (again.document["deduplicated"], again.document["status"]) == (True, "succeeded")


def test_an_empty_folder(tmp_path: Path, orchestrate: Orchestrator) -> None:
    """The first steps of the page lead from a folder with nothing but a codebase to the plan of its stages."""
    codebase = tmp_path / "packages/hello"
    codebase.mkdir(parents=True)
    (codebase / "Makefile").write_text("build:\n\ttrue\nlint:\n\ttrue\ntest:\n\ttrue\n")
    refused = orchestrate("start", "--project", "hello", "--format", "json", cwd=tmp_path)
    assert refused.document["error"]["code"] == "no-workspace"
    (block,) = (text for text in re.findall(r"```console\n(.*?)```", PAGE, re.S) if "onboard" in text)
    lines = [shlex.split(line.removeprefix("$ codex-orchestrator ")) for line in block.splitlines()]
    assert [line[0] for line in lines] == ["init", "onboard", "plan"]
    answers = [orchestrate(*line, cwd=tmp_path) for line in lines]
    assert [answer.code for answer in answers] == [0, 0, 0], [answer.stderr for answer in answers]
    assert "notes" in answers[1].document
    assert [stage["id"] for stage in answers[2].document["stages"]] == ["build", "lint", "test", "spec-guard"]


def test_every_exit_code_is_named() -> None:
    """The table of exit codes has each one that the program uses, and no other."""
    rows = re.findall(r"^\| ([0-9, ]+) \|", PAGE, re.M)
    told = {int(code) for row in rows for code in row.split(",")}
    used = {int(code) for codes, _ in EXIT_CODES for code in re.findall(r"[0-9]+", str(codes))}
    assert told == used
