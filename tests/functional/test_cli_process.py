"""The edge as a process: doors, closed and full streams, and what is imported for which answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import Done, Orchestrator, WorkspaceFolder

FAKE = """
import sys
from orchestrator.cli.console import run
from orchestrator.cli.options import Command, table
from orchestrator.commands.context import Answer

def answer(context):
    {body}

sys.exit(run(["go"], table(Command("go", "Go.", lambda: answer))))
"""


def shell(orchestrate: Orchestrator, line: str) -> Done:
    """Run a shell line in which ``$CALL`` calls the program."""
    call = " ".join([sys.executable, "-m", "orchestrator"])
    finished = subprocess.run(
        ["bash", "-c", line.replace("$CALL", call)],
        cwd=orchestrate.cwd,
        env=dict(orchestrate.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Done(finished.returncode, finished.stdout, finished.stderr, None)


def fake(orchestrate: Orchestrator, body: str, redirect: str = "") -> Done:
    """Run a table of one command ``go``, whose function has ``body``, in a process of its own."""
    script = orchestrate.cwd / "fake.py"
    script.write_text(FAKE.format(body=body))
    return shell(orchestrate, f"{sys.executable} {script} {redirect}")


def test_version(orchestrate: Orchestrator) -> None:
    """--version is one line on stdout."""
    done = orchestrate("--version")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("codex-orchestrator 0.")


def test_json_error_of_a_line_that_cannot_be_parsed(orchestrate: Orchestrator) -> None:
    """A parse error with --format json is an error document on stdout, and stderr is empty."""
    done = orchestrate("start", "--projct", "x", "--format", "json")
    assert (done.code, done.stderr) == (2, "")
    assert done.document["error"]["hint"] == "did you mean '--project'?"


def test_no_workspace(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """Outside of a workspace a command ends with exit code 2, one message, and nothing written."""
    folder = tmp_path / "empty"
    folder.mkdir()
    done = orchestrate("status", cwd=folder)
    assert done.code == 2
    assert done.stderr.startswith("codex-orchestrator: error: no workspace here")
    assert list(folder.iterdir()) == []


def test_current_folder_is_gone(orchestrate: Orchestrator) -> None:
    """A current folder that was removed is told as such, with exit code 2."""
    # Not by `python -m`, which looks into the current folder before any code of ours.
    program = "'import sys; from orchestrator.__main__ import main; sys.exit(main())'"
    done = shell(orchestrate, f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -c {program} status")
    assert done.code == 2
    assert "error: the current folder does not exist any more" in done.stderr


@pytest.mark.parametrize("words", ["--help", "--version", "start --help", "--list"])
@pytest.mark.parametrize("redirect", ["| true", ">&-", ">&- 2>&-"])
def test_closed_stdout(orchestrate: Orchestrator, words: str, redirect: str) -> None:
    """A reader that is gone, or a stdout that was closed from the start, is neither error nor traceback."""
    done = shell(orchestrate, f"$CALL {words} {redirect}; exit ${{PIPESTATUS[0]}}")
    assert (done.code, done.stderr) == (0, "")


@pytest.mark.parametrize("code", [0, 3])
def test_exit_code_stands_when_nobody_reads(orchestrate: Orchestrator, code: int) -> None:
    """The exit code of a command whose answer nobody reads is the command's."""
    body = f"return Answer({code}, None, 'x' * 1_000_000)"
    done = fake(orchestrate, body, "| true; exit ${PIPESTATUS[0]}")
    assert (done.code, done.stderr) == (code, "")


def test_command_that_streams_to_a_closed_pipe(orchestrate: Orchestrator) -> None:
    """A command that is cut off while it writes to stdout ends quietly."""
    body = "[context.stdout.write('x' * 1_000_000) for _ in range(100)]; return Answer(0, None, '')"
    done = fake(orchestrate, body, "| true; exit ${PIPESTATUS[0]}")
    assert (done.code, done.stderr) == (0, "")


def test_broken_pipe_that_is_not_stdout_is_a_bug(orchestrate: Orchestrator) -> None:
    """A broken pipe inside the program is not taken for a reader who left."""
    done = fake(orchestrate, "raise BrokenPipeError(32, 'inner')", "| cat; exit ${PIPESTATUS[0]}")
    assert done.code == 1
    assert "this is a bug in codex-orchestrator (BrokenPipeError)" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_full_disk_below_stdout(orchestrate: Orchestrator) -> None:
    """An answer that can't be written for want of space is exit code 8."""
    done = fake(orchestrate, "return Answer(0, None, 'x')", "> /dev/full")
    assert done.code == 8
    assert done.stderr == ("codex-orchestrator: error: the answer could not be written: No space left on device\n")


def test_files_do_not_become_stdout(orchestrate: Orchestrator) -> None:
    """With stdout closed, a file that is opened doesn't get its descriptor, nor what is printed."""
    body = "kept = open('kept', 'w'); print('lost'); assert kept.fileno() > 2; return Answer(0, None, 'lost')"
    done = fake(orchestrate, body, ">&- 2>&-")
    assert done.code == 0
    assert (orchestrate.cwd / "kept").read_text() == ""


def test_ascii_terminal(orchestrate: Orchestrator) -> None:
    """An encoding that lacks a character shows an escape and no traceback."""
    done = fake(orchestrate, "return Answer(0, None, '\\u2026\\udc80')", "")
    assert done.code == 0
    script = orchestrate.cwd / "fake.py"
    done = shell(orchestrate, f"PYTHONIOENCODING=ascii {sys.executable} {script}")
    assert (done.code, done.stdout) == (0, "\\u2026\\udc80\n")


def test_interrupt(orchestrate: Orchestrator) -> None:
    """An interrupt outside a run is exit code 130 without a word."""
    done = fake(orchestrate, "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)")
    assert (done.code, done.stdout, done.stderr) == (130, "", "")


def invoke(orchestrate: Orchestrator, workspace: WorkspaceFolder, *words: str) -> Done:
    """Call ``invoke`` in a folder below a workspace whose ``tasks.py`` is ours."""
    workspace.write("tasks.py", "from orchestrator.cli import namespace as ns\n")
    below = workspace.root / "packages" / "deep"
    below.mkdir(parents=True, exist_ok=True)
    finished = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=below,
        env=dict(orchestrate.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Done(finished.returncode, finished.stdout, finished.stderr, None)


def test_invoke_lists_every_command(orchestrate: Orchestrator, workspace: WorkspaceFolder) -> None:
    """``invoke --list`` below the workspace shows the commands that the console script lists."""
    name = re.compile(r"^  (\S+)", re.MULTILINE)
    listed = name.findall(invoke(orchestrate, workspace, "--list").stdout)
    assert sorted(listed) == sorted(name.findall(orchestrate("--list").stdout))


def test_invoke_ends_with_our_exit_codes(orchestrate: Orchestrator, workspace: WorkspaceFolder) -> None:
    """Below ``invoke`` a refusal has our exit code and message, text or JSON, and no traceback."""
    done = invoke(orchestrate, workspace, "status", "--run", "../x")
    assert done.code == 2
    assert done.stderr.startswith("codex-orchestrator: error: '../x' is neither a run id")
    done = invoke(orchestrate, workspace, "status", "--format", "json")
    assert (done.code, done.stderr) == (6, "")
    assert json.loads(done.stdout)["error"]["code"] == "not-found"


def test_invoke_writes_no_bytecode_on_demand(orchestrate: Orchestrator, workspace: WorkspaceFolder) -> None:
    """Python's own switch against bytecode is kept."""
    program = (
        "import sys; sys.dont_write_bytecode = True; from orchestrator.cli import namespace; "
        "print(sys.dont_write_bytecode)"
    )
    for flags, expected in ([], "False"), (["-B"], "True"):
        finished = subprocess.run(
            [sys.executable, *flags, "-c", program],
            env=dict(orchestrate.environ),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert finished.stdout.strip() == expected
