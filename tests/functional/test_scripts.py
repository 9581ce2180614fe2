"""The scripts behind README's two commands, on a machine that lacks what they need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import REPOSITORY


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts, and a PATH (``bin/``) of a machine whose only Python is too old."""
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    (tmp_path / "bin").mkdir()
    for tool in ("cat", "cksum", "dirname", "sh"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is needed"))
    old = tmp_path / "bin" / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("script", ["setup", "try", "test"])
def test_an_old_python_is_named_and_nothing_is_made(clone: Path, script: str) -> None:
    """Without Python 3.11 the scripts end with 2, say what is there and what to do, and leave no .venv."""
    done = _run(clone, script)
    assert done.returncode == 2
    assert "no Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert "PYTHON=/path/to/python" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_failed_installation_is_not_taken_for_done(clone: Path) -> None:
    """When installing fails the script fails, and tries again the next time."""
    python = clone / "bin" / "python3"
    python.write_text(
        '#!/bin/sh\n[ "$1" = -m ] || exit 0\n[ "$2" = venv ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python\n'
        '[ "$2" = pip ] && echo "no network" >&2 && exit 9\nexit 0\n'
    )
    for tool in ("mkdir", "cp"):
        (clone / "bin" / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is needed"))
    for _ in range(2):
        done = _run(clone, "setup")
        assert done.returncode == 9
        assert "no network" in done.stderr
    assert not (clone / ".venv" / "made-from").exists()


@pytest.mark.parametrize("is_known", [False, True])
def test_who_has_no_home_gets_one_for_the_sessions(clone: Path, is_known: bool) -> None:
    """Without HOME and an entry among the users nox can't be loaded; whose entry names a home keeps that one."""
    programs = clone / ".venv/bin"
    programs.mkdir(parents=True)
    knows = "exit 0" if is_known else 'case "$2" in *home*) exit 1;; esac'
    for name, line in (("python", knows), ("nox", 'echo "home=$HOME $*"'), ("codex-orchestrator", "exit 0")):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    (clone / "bin/mkdir").symlink_to(shutil.which("mkdir") or pytest.fail("mkdir is needed"))
    sums = subprocess.run(["cksum", "pyproject.toml"], cwd=clone, capture_output=True, text=True, check=True).stdout
    (clone / ".venv/made-from").write_text(f"{sums.strip()} {clone}\n")
    done = _run(clone, "test", has_home=False)
    assert done.returncode == 0, done.stderr
    home = "" if is_known else clone / ".venv/home"
    assert done.stdout.startswith(f"home={home} -s lint")


def _run(clone: Path, script: str, *, has_home: bool = True) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": str(clone / "bin"), **({"HOME": str(clone)} if has_home else {})}
    command = [clone / "scripts" / script]
    return subprocess.run(command, env=environ, check=False, capture_output=True, text=True, timeout=60)
