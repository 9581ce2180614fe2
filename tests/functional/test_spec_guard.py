"""The spec guard with the real git."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from orchestrator.spec_guard import Question, Report, run
from orchestrator.spec_guard.repository import system_git
from tests.harness import WorkspaceFolder, clean_environ

TODAY = date(2026, 11, 22)
Git = Callable[..., str]


@pytest.fixture
def git(workspace: WorkspaceFolder, home: Path) -> Git:
    """Run git in the workspace; its repository has one commit on ``main`` and stands on ``topic``."""
    program = shutil.which("git") or pytest.fail("git is needed")

    def call(*args: str, cwd: Path = workspace.root) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run([program, *identity, *args], cwd=cwd, env=clean_environ(home), check=True, stdout=-1)
        return done.stdout.decode().strip()

    workspace.write("packages/a/a.py", "one\n")
    workspace.write("tasks/specs/1-a.md", "---\nlast_review: 2026-11-22\n---\n")
    call("init", "-q", "-b", "main")
    call("add", ".")
    call("commit", "-qm", "one")
    call("switch", "-qc", "topic")
    return call


def _guard(root: Path, home: Path, base: str = "", path: str = "packages/a") -> Report:
    environ = {**clean_environ(home), "GIT_DIR": "/nowhere", "GIT_LITERAL_PATHSPECS": "1"}
    return run(Question(str(root), path, "1-a", TODAY, base), system_git(environ))


def _rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def test_commits_uncommitted_and_untracked_changes_count(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """Each kind of change of code is seen, and a change of the spec answers it."""
    root = workspace.root
    assert _guard(root, home).passed
    untracked = workspace.write("packages/a/ümlaut.py", "x\n")
    assert _rules(_guard(root, home)) == ["code-without-spec"]
    git("add", ".")
    assert _rules(_guard(root, home)) == ["code-without-spec"]
    git("commit", "-qm", "two")
    assert _rules(_guard(root, home)) == ["code-without-spec"]
    assert untracked.name in _guard(root, home).findings[0].message
    workspace.write("tasks/specs/1-a.md", "---\nlast_review: 2026-11-22\n---\nmore\n")
    assert _guard(root, home).passed


def test_only_this_sides_changes_count(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """What went into the default branch since we left it is neither our code nor our spec."""
    git("switch", "-q", "main")
    workspace.write("tasks/specs/1-a.md", "---\nlast_review: 2026-11-22\n---\ntheirs\n")
    git("commit", "-qam", "theirs")
    theirs = git("rev-parse", "HEAD")
    git("switch", "-q", "topic")
    workspace.write("packages/a/a.py", "ours\n")
    assert _rules(_guard(workspace.root, home)) == ["code-without-spec"]
    assert _rules(_guard(workspace.root, home, base=theirs)) == ["code-without-spec"]


def test_an_unknown_base_and_a_shallow_clone_are_loud(
    workspace: WorkspaceFolder, git: Git, home: Path, tmp_path: Path
) -> None:
    """A base that is not there is a finding; a shallow clone that stands on it says so."""
    assert _rules(_guard(workspace.root, home, base="f" * 40)) == ["base-unknown"]
    workspace.write("packages/a/a.py", "two\n")
    git("commit", "-qam", "two")
    git("clone", "-q", "--depth=1", workspace.root.as_uri(), "clone", cwd=tmp_path)
    report = _guard(tmp_path / "clone", home)
    assert _rules(report) == ["history-shallow"]
    assert "fetch-depth" in report.findings[0].message
    report = _guard(tmp_path / "clone", home, base=git("rev-parse", "main"))
    assert _rules(report) == ["base-unknown"]
    assert "shallow" in report.findings[0].message


def test_no_repository_and_no_commit_are_notes(workspace: WorkspaceFolder, home: Path) -> None:
    """Where there is nothing to compare with, the real git's answers are told apart."""
    workspace.write("tasks/specs/1-a.md", "---\nlast_review: 2026-11-22\n---\n")
    workspace.write("packages/a/a.py", "one\n")
    assert "not a git repository" in _guard(workspace.root, home).notes[0]
    subprocess.run(["git", "init", "-q"], cwd=workspace.root, env=clean_environ(home), check=True)
    assert "no commit yet" in _guard(workspace.root, home).notes[0]


def test_a_repository_without_git_on_path_is_a_finding(workspace: WorkspaceFolder, home: Path, git: Git) -> None:
    """Where git itself is missing, a repository is not passed over."""
    assert git("status", "--short") == ""
    question = Question(str(workspace.root), "packages/a", "1-a", TODAY)
    report = run(question, system_git({**clean_environ(home), "PATH": str(home)}))
    assert _rules(report) == ["git-failed"]
