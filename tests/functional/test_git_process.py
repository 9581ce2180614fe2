"""git as a process: what it says, how it ends, and what becomes of it when nobody waits."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.git.process import ASKED_BYTES, GitProcess


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


def test_it_reads_what_it_is_asked(tmp_path: Path) -> None:
    """That, and no more, stands on its input; nothing where it is asked nothing; no more than any pipe holds."""
    environ = fake_git(tmp_path, "wc -c")
    for asked in (b"", b"HEAD\n", b"x" * ASKED_BYTES):
        answer = GitProcess.start(str(tmp_path), ["status"], environ, asked=asked).answer(30)
        assert int(answer.output) == len(asked)
    before = os.listdir("/dev/fd")
    with pytest.raises(ValueError, match="4097 bytes"):
        GitProcess.start(str(tmp_path), ["status"], environ, asked=b"x" * (ASKED_BYTES + 1))
    assert os.listdir("/dev/fd") == before


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


def test_its_environment_is_the_callers_without_what_redirects_it(tmp_path: Path) -> None:
    """Of git's variables only those reach it that say where it and the user's settings are, and safe.directory."""
    given = {
        "GIT_DIR": "/elsewhere",
        "GIT_TRACE": "1",
        "GIT_CONFIG_PARAMETERS": "'core.bare=true'",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": "core.worktree",
        "GIT_CONFIG_VALUE_0": "/",
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
        "GIT_CONFIG_KEY_2": "core.sshCommand",
        "GIT_CONFIG_VALUE_2": "evil",
    }
    environ = {**fake_git(tmp_path, "env"), **given}
    output = GitProcess.start(str(tmp_path), ["status"], environ).answer(30).output.decode()
    seen = {line.partition("=")[0]: line.partition("=")[2] for line in output.splitlines() if line.startswith("GIT_")}
    assert {name: seen.get(name) for name in given} == {
        **dict.fromkeys(given),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    assert (seen["GIT_TERMINAL_PROMPT"], seen["GIT_OPTIONAL_LOCKS"], seen["GIT_NO_REPLACE_OBJECTS"]) == ("0", "0", "1")


@pytest.mark.parametrize(
    ("key", "theirs", "ours"),
    [
        ("log.showSignature", "true", "false"),
        ("i18n.logOutputEncoding", "utf-16", "UTF-8"),
        ("core.trustctime", "false", "true"),
        ("core.checkStat", "minimal", "default"),
        ("core.ignoreStat", "true", "false"),
        ("diff.ignoreSubmodules", "all", "none"),
        ("core.fsmonitor", "evil", "false"),
        ("core.hooksPath", "evil", "/dev/null"),
    ],
)
def test_settings_that_would_change_an_answer_are_ours(tmp_path: Path, key: str, theirs: str, ours: str) -> None:
    """Neither the user's settings nor the repository's decide what git reports of a tree, or what it runs."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (("init", "-q"), ("config", key, theirs), ("config", "--global", key, theirs)):
        subprocess.run(["git", "-C", str(tmp_path), *words], env=environ, check=True)
    answer = GitProcess.start(str(tmp_path), ["config", "--get", key], environ, paths=None).answer(30)
    assert answer.output == f"{ours}\n".encode()


def test_a_closed_pipe_ends_what_it_starts(tmp_path: Path) -> None:
    """Signals that Python ignores are as usual for it: a filter in a pipe ends when its reader has."""
    environ = fake_git(tmp_path, "trap - PIPE; (yes; echo $? >&2) | head -n 1")
    answer = GitProcess.start(str(tmp_path), ["status"], environ).answer(30)
    assert answer.output == b"y\n"
    assert answer.complaint in (b"", b"141\n")
