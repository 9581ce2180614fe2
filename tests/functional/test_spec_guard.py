"""The spec guard with the real git."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from orchestrator.checks.spec_guard.forms import render_text
from orchestrator.checks.spec_guard.guard import run
from orchestrator.checks.spec_guard.repository import system_git
from orchestrator.checks.spec_guard.values import Question, Report
from tests.harness import WorkspaceFolder, clean_environ

TODAY = date(2026, 11, 22)
Git = Callable[..., str]


@pytest.fixture
def git(workspace: WorkspaceFolder, home: Path) -> Git:
    """Run git in the workspace; its repository has one commit on ``main`` and stands on ``topic``."""
    program = shutil.which("git") or pytest.fail("git is needed")

    def call(*args: str, cwd: Path = workspace.root, when: str = "") -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        environ = clean_environ(home) | ({"GIT_COMMITTER_DATE": when} if when else {})
        done = subprocess.run([program, *identity, *args], cwd=cwd, env=environ, check=True, stdout=-1)
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
    return [finding.code for finding in report.findings]


def test_commits_uncommitted_and_untracked_changes_count(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """Each kind of change of code is seen, and a change of the spec answers it."""
    root = workspace.root
    assert _guard(root, home).passed
    untracked = workspace.write("packages/a/ümlaut.py", "x\n")
    assert _rules(_guard(root, home)) == ["code-without-spec"]
    assert "not tracked by git: ümlaut.py" in _guard(root, home).findings[0].hint
    git("add", ".")
    assert _rules(_guard(root, home)) == ["code-without-spec"]
    assert "not tracked" not in _guard(root, home).findings[0].hint
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


def test_a_new_branchs_zeros_and_a_detached_head(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """All zeros mean the default branch, said in a note; a detached HEAD is compared like any other."""
    workspace.write("packages/a/a.py", "two\n")
    git("commit", "-qam", "two")
    report = _guard(workspace.root, home, base="0" * 40)
    assert _rules(report) == ["code-without-spec"]
    assert "all zeros" in report.notes[0]
    git("switch", "-q", "--detach")
    assert _rules(_guard(workspace.root, home)) == ["code-without-spec"]
    git("switch", "-q", "--detach", "main")
    assert "root commit" in _guard(workspace.root, home).notes[0]


def test_without_a_default_branch_nothing_passes(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """Where nobody can tell the default branch, nothing is compared, until a base is named."""
    git("branch", "-m", "main", "trunk")
    git("commit", "-q", "--allow-empty", "-m", "two")
    report = _guard(workspace.root, home)
    assert (report.findings, report.passed) == ((), False)
    assert "no default branch" in report.nothing_compared
    assert _guard(workspace.root, home, base="trunk").passed


def test_a_pull_request_as_ci_fetches_it(workspace: WorkspaceFolder, git: Git, home: Path, tmp_path: Path) -> None:
    """One fetched reference, detached and shallow, is not taken for its own default branch."""
    workspace.write("packages/a/a.py", "two\n")
    git("commit", "-qam", "two")
    clone = tmp_path / "clone"
    git("init", "-q", str(clone))
    git("fetch", "-q", "--depth=1", workspace.root.as_uri(), "topic:refs/remotes/pull/5/merge", cwd=clone)
    git("checkout", "-q", "refs/remotes/pull/5/merge", cwd=clone)
    report = _guard(clone, home)
    assert _rules(report) == ["base-unknown"]
    assert "fetch-depth" in report.findings[0].message


@pytest.mark.parametrize("change", ["mode", "blank line", "line ends"])
def test_a_spec_that_says_the_same_did_not_change(
    workspace: WorkspaceFolder, git: Git, home: Path, change: str
) -> None:
    """Neither a spec's mode nor its blanks answer for code that changed; its words do."""
    workspace.write("packages/a/a.py", "two\n")
    spec = workspace.root / "tasks/specs/1-a.md"
    text = spec.read_text()
    if change == "mode":
        spec.chmod(0o755)
    else:
        spec.write_bytes((text + "\n" if change == "blank line" else text.replace("\n", "\r\n")).encode())
    git("commit", "-qam", "two")
    assert _rules(_guard(workspace.root, home)) == ["code-without-spec"]
    spec.write_text(text.replace("2026-11-22", "2026-11-21"))
    assert _guard(workspace.root, home).passed


def test_renamed_files_are_one_that_went_and_one_that_came(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """Moving code needs a spec, also into the project or out of it; a moved spec is one that changed."""
    git("mv", "packages/a/a.py", "packages/a/b.py")
    (finding,) = _guard(workspace.root, home).findings
    assert finding.files == ("packages/a/a.py", "packages/a/b.py")
    git("mv", "packages/a/b.py", "b.py")
    (finding,) = _guard(workspace.root, home).findings
    assert finding.files == ("packages/a/a.py",)
    git("mv", "tasks/specs/1-a.md", "tasks/specs/1-a-more.md")
    assert _guard(workspace.root, home).passed


def test_file_names_of_every_kind(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """Quotes, newlines, blanks and names that are no UTF-8 are told apart and can be printed."""
    folder = os.fsencode(workspace.root / "packages/a")
    names = [b'"quoted".py', b"new\nline.py", b" blank .py", b"back\\slash.py", b"latin\xe9.py"]
    for name in names:
        with open(os.path.join(folder, name), "wb"):
            pass
    git("add", 'packages/a/"quoted".py')
    (finding,) = _guard(workspace.root, home).findings
    assert {os.fsencode(path) for path in finding.files} == {b"packages/a/" + name for name in names}
    assert finding.message.encode("utf-8").decode().isprintable()
    text = render_text(Report((finding,), (), None))
    assert "new\\nline.py" in text
    assert "latin\\udce9.py" in text


def test_products_that_nothing_ignores_are_no_code(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """What a build leaves needs no spec in a repository without a .gitignore; what git tracks does."""
    for name in ("dist/a.whl", "a.egg-info/PKG-INFO", "node_modules/x/y.js", "src/__pycache__/a.pyc", "target/a"):
        workspace.write(f"packages/a/{name}", "x")
    assert _guard(workspace.root, home).passed
    git("add", "packages/a/dist")
    assert [finding.files for finding in _guard(workspace.root, home).findings] == [("packages/a/dist/a.whl",)]


def test_a_submodule_of_the_project_counts_when_it_moves(
    workspace: WorkspaceFolder, git: Git, home: Path, tmp_path: Path
) -> None:
    """Another commit in a submodule is a change of code, whatever git's settings say; files nobody tracks are none."""
    library = repository(git, tmp_path / "library")
    git("switch", "-q", "main")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "packages/a/vendor")
    git("config", "-f", ".gitmodules", "submodule.packages/a/vendor.ignore", "all")
    git("commit", "-qam", "submodule")
    git("switch", "-qC", "topic")
    git("commit", "-q", "--allow-empty", "-m", "next")
    inner = workspace.root / "packages/a/vendor"
    (inner / "untracked").touch()
    assert _guard(workspace.root, home).passed
    git("commit", "-q", "--allow-empty", "-m", "on", cwd=inner)
    (finding,) = _guard(workspace.root, home).findings
    assert finding.files == ("packages/a/vendor",)


def repository(git: Git, folder: Path) -> Path:
    """Make a repository with one commit, on ``main``."""
    folder.mkdir()
    (folder / "lib.py").write_text("one\n")
    git("init", "-q", "-b", "main", cwd=folder)
    git("add", ".", cwd=folder)
    git("commit", "-qm", "one", cwd=folder)
    return folder


def test_a_project_that_is_a_submodule(workspace: WorkspaceFolder, git: Git, home: Path, tmp_path: Path) -> None:
    """Its code is compared with the commit that the workspace's base records; a new one has changed altogether."""
    library = repository(git, tmp_path / "library")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "packages/lib")
    inner = workspace.root / "packages/lib"
    report = _guard(workspace.root, home, path="packages/lib")
    assert [finding.files for finding in report.findings] == [("packages/lib/lib.py",)]
    git("commit", "-qam", "submodule")
    base = git("rev-parse", "HEAD")
    git("commit", "-q", "--allow-empty", "-m", "next")
    assert _guard(workspace.root, home, base, "packages/lib").passed
    (inner / "lib.py").write_text("two\n")
    assert _rules(_guard(workspace.root, home, base, "packages/lib")) == ["code-without-spec"]
    git("commit", "-qam", "two", cwd=inner)
    report = _guard(workspace.root, home, base, "packages/lib")
    assert _rules(report) == ["code-without-spec"]
    assert "repository of its own" in report.notes[0]
    workspace.write("tasks/specs/1-a.md", "---\nlast_review: 2026-11-22\n---\nmore\n")
    assert _guard(workspace.root, home, base, "packages/lib").passed


def test_a_submodule_without_the_bases_commit_does_not_pass(
    workspace: WorkspaceFolder, git: Git, home: Path, tmp_path: Path
) -> None:
    """What the workspace's base records of it is not in its shallow clone: that is a finding."""
    library = repository(git, tmp_path / "library")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "packages/lib")
    git("commit", "-qam", "submodule")
    base = git("rev-parse", "HEAD")
    git("commit", "-q", "--allow-empty", "-m", "next")
    git("commit", "-q", "--allow-empty", "-m", "two", cwd=library)
    shutil.rmtree(workspace.root / "packages/lib")
    git("clone", "-q", "--depth=1", library.as_uri(), "packages/lib")
    report = _guard(workspace.root, home, base, "packages/lib")
    assert _rules(report) == ["base-unknown"]
    assert "lacks" in report.findings[0].message


@pytest.mark.parametrize("where", ["packages/own", "../own"])
def test_a_project_in_a_repository_of_its_own(workspace: WorkspaceFolder, git: Git, home: Path, where: str) -> None:
    """Below the workspace or outside of it: its code is compared with its own base, specs with the workspace's."""
    own = repository(git, workspace.root / where)
    assert _guard(workspace.root, home, path=where).passed
    git("switch", "-qc", "topic", cwd=own)
    (own / "lib.py").write_text("two\n")
    git("commit", "-qam", "two", cwd=own)
    report = _guard(workspace.root, home, path=where)
    assert [finding.files for finding in report.findings] == [(f"{where}/lib.py",)]
    assert _rules(_guard(workspace.root, home, git("rev-parse", "main", cwd=own), where)) == ["code-without-spec"]
    assert _rules(_guard(workspace.root, home, git("rev-parse", "main"), where)) == ["code-without-spec"]
    assert _rules(_guard(workspace.root, home, "f" * 40, where)) == ["base-unknown"]
    workspace.write("tasks/specs/1-a.md", "---\nlast_review: 2026-11-22\n---\nmore\n")
    assert _guard(workspace.root, home, path=where).passed


@pytest.mark.parametrize("first", [True, False])
def test_a_spec_that_changed_after_the_last_commit_of_a_codebase_answers_for_it(
    workspace: WorkspaceFolder, git: Git, home: Path, first: bool
) -> None:
    """A codebase that is brought in as it stands is no change of code; its next commit asks for a spec again.

    So does one that is dated before the commit that it follows.
    """
    own = repository(git, workspace.root.parent / "own")

    def commit(text: str, when: str, folder: Path) -> None:
        (folder / "lib.py").write_text(text)
        git("add", "lib.py", cwd=folder)
        git("commit", "-qm", text, cwd=folder, when=when)

    git("commit", "-q", "--amend", "--no-edit", cwd=own, when="2019-01-01T00:00:00Z")
    commit("two\n", "2020-01-01T00:00:00Z", own)
    git("switch", "-q", "main")
    git("commit", "-q", "--amend", "--no-edit", when="2020-06-01T00:00:00Z")
    if not first:
        commit("other\n", "2021-01-01T00:00:00Z", workspace.root)
    assert _guard(workspace.root, home, path="../own").passed
    commit("three\n", "2022-01-01T00:00:00Z", own)
    assert _rules(_guard(workspace.root, home, path="../own")) == ["code-without-spec"]
    commit("four\n", "2020-01-01T00:00:00Z", own)
    assert _rules(_guard(workspace.root, home, path="../own")) == ["code-without-spec"]
    assert _rules(_guard(workspace.root, home, git("rev-parse", "HEAD^", cwd=own), "../own")) == ["code-without-spec"]
    (own / "lib.py").write_text("uncommitted\n")
    assert _rules(_guard(workspace.root, home, path="../own")) == ["code-without-spec"]


def test_a_project_outside_of_any_repository_is_a_note(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """Where the codebase is in no repository, or only the codebase is, nothing can be compared, and that is said."""
    (workspace.root.parent / "plain").mkdir()
    assert "'../plain' is not a git repository" in _guard(workspace.root, home, path="../plain").nothing_compared
    repository(git, workspace.root.parent / "own")
    shutil.rmtree(workspace.root / ".git")
    assert "the workspace is not" in _guard(workspace.root, home, path="../own").nothing_compared


def test_what_git_does_not_look_at_does_not_pass(workspace: WorkspaceFolder, git: Git, home: Path) -> None:
    """A project that git ignores is not compared; a repository in it that nobody tracks is code that changed."""
    repository(git, workspace.root / "packages/a/vendor")
    assert _rules(_guard(workspace.root, home)) == ["code-without-spec"]
    workspace.write(".gitignore", "/packages/b/\n")
    workspace.write("packages/b/b.py", "x")
    assert "git ignores 'packages/b'" in _guard(workspace.root, home, path="packages/b").nothing_compared


def test_no_repository_and_no_commit_are_notes(workspace: WorkspaceFolder, home: Path) -> None:
    """Where there is nothing to compare with, the real git's answers are told apart."""
    workspace.write("tasks/specs/1-a.md", "---\nlast_review: 2026-11-22\n---\n")
    workspace.write("packages/a/a.py", "one\n")
    assert "not a git repository" in _guard(workspace.root, home).nothing_compared
    subprocess.run(["git", "init", "-q"], cwd=workspace.root, env=clean_environ(home), check=True)
    assert "no commit yet" in _guard(workspace.root, home).nothing_compared


def test_a_repository_without_git_on_path_is_a_finding(workspace: WorkspaceFolder, home: Path, git: Git) -> None:
    """Where git itself is missing, a repository is not passed over."""
    assert git("status", "--short") == ""
    question = Question(str(workspace.root), "packages/a", "1-a", TODAY)
    report = run(question, system_git({**clean_environ(home), "PATH": str(home)}))
    assert _rules(report) == ["git-failed"]
