"""git as a process: what it says, how it ends, and what becomes of it when nobody waits."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orchestrator.git.process import GitProcess


def fake_git(folder: Path, body: str) -> dict[str, str]:
    """Return an environment in which ``git`` is a shell script."""
    script = folder / "bin" / "git"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}/missing:{script.parent}:{os.environ['PATH']}"}


def test_what_it_says_is_read_whole(tmp_path: Path) -> None:
    """Both outputs come back whole, however large, with the exit code."""
    environ = fake_git(tmp_path, "head -c 3000000 /dev/zero; head -c 200000 /dev/zero >&2; exit 3")
    answer = GitProcess.start(str(tmp_path), ["status"], environ).answer(30)
    assert (answer.code, len(answer.output), len(answer.complaint)) == (3, 3_000_000, 200_000)


def test_one_that_is_killed_has_a_negative_code(tmp_path: Path) -> None:
    """A signal is told from an exit code."""
    answer = GitProcess.start(str(tmp_path), ["status"], fake_git(tmp_path, "kill -TERM $$")).answer(30)
    assert answer.code == -15


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """After the timeout it is gone, is told as late, and can be ended once more."""
    environ = fake_git(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    process = GitProcess.start(str(tmp_path), ["status"], environ)
    deadline = time.monotonic() + 10
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(TimeoutError):
        process.answer(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    process.end()
    with pytest.raises(TimeoutError):
        process.answer(1)


def test_none_there_is_refused_and_leaves_nothing_open(tmp_path: Path) -> None:
    """Without git on the PATH, starting raises FileNotFoundError, and no descriptor stays open."""
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(FileNotFoundError):
        GitProcess.start(str(tmp_path), ["status"], {"PATH": str(tmp_path)})
    assert sorted(os.listdir("/dev/fd")) == before


def test_its_environment_is_the_users_without_what_redirects_it(tmp_path: Path) -> None:
    """Variables that point git elsewhere do not reach it; others do, and it asks nobody."""
    environ = {**fake_git(tmp_path, "env"), "GIT_DIR": "/elsewhere", "GIT_TRACE": "1", "GIT_CONFIG_COUNT": "0"}
    output = GitProcess.start(str(tmp_path), ["status"], environ).answer(30).output.decode()
    names = {line.partition("=")[0] for line in output.splitlines()}
    assert not names & {"GIT_DIR", "GIT_TRACE"}
    assert {"GIT_CONFIG_COUNT", "GIT_TERMINAL_PROMPT", "GIT_OPTIONAL_LOCKS"} <= names


def test_a_closed_pipe_ends_what_it_starts(tmp_path: Path) -> None:
    """Signals that Python ignores are as usual for it: a filter in a pipe ends when its reader has."""
    environ = fake_git(tmp_path, "trap - PIPE; (yes; echo $? >&2) | head -n 1")
    answer = GitProcess.start(str(tmp_path), ["status"], environ).answer(30)
    assert answer.output == b"y\n"
    assert answer.complaint in (b"", b"141\n")
