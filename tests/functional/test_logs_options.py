"""``logs --tail``, ``--attempt`` and ``--format json``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.files import Folder, Seam
from orchestrator.commands.look.log_lines import last_lines, tail_offset
from tests.harness import Orchestrator, WorkspaceFolder

FLAKY = {"shell": "echo try >> ../tries; cat ../tries; test $(wc -l < ../tries) -ge 2", "retries": 1}


def test_the_document_of_the_contract(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Each stage has its attempt, log, size and last 200 lines, free of colours and of what steers a terminal."""
    count = "seq 1 500; printf '\\033[31mred\\033[0m\\033[2J\\ttab\\n'"
    workspace.project("x", {"build": count, "lint": {"skip": "none"}, "test": FLAKY})
    assert orchestrate("start", "--project", "x").code == 0
    done = orchestrate("logs", "latest", "--format", "json")
    assert (done.code, done.stderr) == (0, "")
    by_stage = {entry["stage"]: entry for entry in done.document["stages"]}
    build, lint, test = (by_stage[stage] for stage in ("build", "lint", "test"))
    assert build["lines"] == [*map(str, range(302, 501)), "red\ttab"]
    assert (workspace.root / build["log_path"]).stat().st_size == build["bytes"]
    assert (build["attempt"], build["bytes_left_out"]) == (1, 0)
    assert (lint["attempt"], lint["log_path"], lint["lines"]) == (None, None, [])
    assert (test["attempt"], test["lines"]) == (2, ["try", "try"])
    assert set(build) >= {"stage", "attempt", "log_path", "bytes", "bytes_left_out", "lines"}


def test_tail_and_attempt(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """--tail takes the last lines, in text and JSON, --attempt the log of an earlier attempt."""
    workspace.project("x", {"build": "seq 1 50; printf end", "test": FLAKY})
    assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("logs", "latest", "--stage", "build", "--tail", "2").stdout == "50\nend"
    assert orchestrate("logs", "latest", "--stage", "build", "--tail", "0").stdout == ""
    (entry,) = orchestrate("logs", "latest", "--stage", "build", "--tail", "3", "--format", "json").document["stages"]
    assert entry["lines"] == ["49", "50", "end"]
    assert orchestrate("logs", "latest", "--stage", "test", "--attempt", "1").stdout == "try\n"
    (entry,) = orchestrate("logs", "latest", "--stage", "test", "--attempt", "1", "--format", "json").document["stages"]
    assert (entry["attempt"], entry["lines"]) == (1, ["try"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--attempt", "9"), "unknown-attempt"),
        (("--attempt", "0"), "usage"),
        (("--tail", "-1"), "usage"),
        (("--follow", "--format", "json"), "bad-options"),
        (("--follow", "--attempt", "1"), "bad-options"),
    ],
)
def test_what_makes_no_sense_is_refused(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...], code: str
) -> None:
    """An attempt that is not there, and options that exclude each other, end with exit code 2 and a hint."""
    workspace.project("x")
    assert orchestrate("start", "--project", "x").code == 0
    last = words if "json" in words else (*words, "--format", "json")
    if "--follow" in words and "json" not in words:
        done = orchestrate("logs", "latest", *words)
        assert (done.code, "hint: " in done.stderr) == (2, True)
        return
    done = orchestrate("logs", "latest", *last)
    assert (done.code, done.document["error"]["code"]) == (2, code)
    assert done.document["error"]["hint"]


@given(data=st.binary(max_size=300).map(lambda raw: raw.replace(b"\r", b"")), lines=st.integers(0, 9))
def test_the_tail_of_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes, lines: int) -> None:
    """The last lines of any file begin where counting from its front says, and are at most so many."""
    root = tmp_path_factory.mktemp("logs")
    (root / "a.log").write_bytes(data)
    with Folder.at(os.fspath(root), Seam()) as folder:
        ends = [at + 1 for at in range(len(data)) if data[at : at + 1] == b"\n" and at + 1 < len(data)]
        beginnings = [0, *ends]
        expected = len(data) if lines == 0 else beginnings[max(0, len(beginnings) - lines)]
        assert tail_offset(folder, "a.log", lines) == expected
        assert len(last_lines(folder, "a.log", lines)) <= lines


def test_a_log_of_one_endless_line(tmp_path: Path) -> None:
    """A line that is longer than what is searched is cut, and reading stays bounded."""
    (tmp_path / "a.log").write_bytes(b"x" * (20 << 20))
    with Folder.at(os.fspath(tmp_path), Seam()) as folder:
        (line,) = last_lines(folder, "a.log", 5)
    assert (len(line), line[-1]) == (4001, "…")
