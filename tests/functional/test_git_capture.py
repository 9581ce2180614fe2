"""Provenance of real repositories."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.workspace import Workspace
from orchestrator.git import Capture
from orchestrator.git.scope import CodePatterns

ENVIRON = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in ``folder`` and return what it prints."""
    command = ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *arguments]
    return subprocess.run(command, env=ENVIRON, check=True, capture_output=True, text=True).stdout.strip()


def state(repository: Path, project: Path | None = None, environ: Mapping[str, str] = ENVIRON) -> dict[str, Any]:
    """Return the tree's state of ``project`` in the workspace ``repository``."""
    return Capture.begin(str(project or repository), str(repository), environ).finish_tree()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A workspace under git with one commit and a project in ``packages/a``."""
    root = tmp_path / "repository"
    project = root / "packages" / "a"
    project.mkdir(parents=True)
    (project / "code.py").write_text("1\n")
    (project / "tool").write_text("#!/bin/sh\n")
    (project / "tool").chmod(0o755)
    (project / "link").symlink_to("code.py")
    (root / "README").write_text("outside\n")
    (root / ".gitignore").write_text("*.log\n")
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    return root


def test_a_clean_tree(repository: Path) -> None:
    """Commit and branch are git's; nothing is dirty; the rest of the record names this machine and its tools."""
    record = Capture.begin(str(repository / "packages/a"), str(repository), ENVIRON).finish()
    assert record["commit"] == git(repository, "rev-parse", "HEAD")
    assert (record["branch"], record["dirty"], record["note"]) == ("main", False, None)
    assert len(record["tree_digest"]) == 64
    assert record["host"] == os.uname().nodename
    assert record["tools"]["nox"]


@pytest.mark.parametrize(
    "change",
    [
        "echo 2 > code.py",
        "rm code.py",
        "chmod -x tool",
        "rm link; echo 1 > link",
        "ln -sfn tool link",
        "echo 1 > 'new file'",
        "mkdir inner; echo 1 > inner/file",
        "mv code.py moved.py",
    ],
)
def test_the_digest_does_not_care_what_is_committed(repository: Path, change: str) -> None:
    """A change gives one new digest: in the worktree, in the index, in a commit, and without git at all."""
    project = repository / "packages/a"
    before = state(repository, project)
    subprocess.run(["sh", "-c", change], cwd=project, check=True)
    states = [state(repository, project)]
    git(repository, "add", "-A")
    states.append(state(repository, project))
    git(repository, "commit", "-q", "-m", "two")
    states.append(state(repository, project))
    (repository / ".git").rename(repository.parent / "aside")
    states.append(state(repository, project))
    assert {one["tree_digest"] for one in states} == {states[0]["tree_digest"]}
    assert states[0]["tree_digest"] != before["tree_digest"]
    assert [one["dirty"] for one in states] == [True, True, False, None]
    assert (states[-1]["commit"], states[-1]["note"]) == (None, None)


def test_only_the_projects_folder_counts(repository: Path) -> None:
    """Changes elsewhere, ignored files, caches and what builds leave behind change nothing."""
    project = repository / "packages/a"
    before = state(repository, project)
    (repository / "README").write_text("changed\n")
    (project / "x.log").write_text("ignored\n")
    for name in ("dist", "__pycache__", "node_modules", "a.egg-info"):
        (project / name).mkdir()
        (project / name / "file").write_text("x")
    assert state(repository, project) == before
    assert state(repository)["dirty"] is True


def test_declared_outputs_are_left_out_unless_they_are_code(repository: Path) -> None:
    """An untracked output counts when it is code that git does not ignore; a tracked one always does."""
    project = repository / "packages/a"
    code = CodePatterns(exclude=("*.md",))
    outputs = ("made/*", "code.py")

    def now() -> dict[str, Any]:
        return Capture.begin(str(project), str(repository), ENVIRON, ignored=outputs, code=code).finish_tree()

    before = now()
    (project / "made").mkdir()
    (project / "made" / "report.md").write_text("x")
    (project / "made" / "page.log").write_text("x")
    assert now() == before
    (project / "made" / "new.py").write_text("x")
    assert now()["dirty"]
    (project / "made" / "new.py").unlink()
    (project / "code.py").write_text("2")
    assert now()["dirty"]


def test_what_git_is_set_not_to_read_is_read(repository: Path) -> None:
    """assume-unchanged and skip-worktree hide no edit; a missing file of a sparse checkout is as in the commit."""
    before = state(repository)
    for flag in ("assume-unchanged", "skip-worktree"):
        git(repository, "update-index", f"--{flag}", "packages/a/code.py")
        assert state(repository) == before
        (repository / "packages/a/code.py").write_text("evil()\n")
        after = state(repository)
        assert after["dirty"]
        assert after["tree_digest"] != before["tree_digest"]
        (repository / "packages/a/code.py").unlink()
        assert state(repository)["dirty"] is (flag == "assume-unchanged")
        (repository / "packages/a/code.py").write_text("1\n")
        git(repository, "update-index", f"--no-{flag}", "packages/a/code.py")


@pytest.mark.parametrize(
    "setting",
    [
        "core.worktree={elsewhere}",
        "core.bare=true",
        "core.fileMode=false",
        "core.ignoreStat=true",
        "core.checkStat=minimal",
        "core.trustctime=false",
        "diff.ignoreSubmodules=all",
        "status.showUntrackedFiles=no",
        "status.branch=false",
        "core.quotePath=true",
        "diff.orderFile=/nowhere",
        "diff.noprefix=true",
        "core.fsmonitor=touch {elsewhere}/ran; false",
        "core.hooksPath={elsewhere}",
    ],
)
def test_settings_change_nothing(repository: Path, tmp_path: Path, setting: str) -> None:
    """Whatever the repository's config says, the same tree has the same state, clean and changed."""
    project, elsewhere = repository / "packages/a", tmp_path / "elsewhere"
    shutil.copytree(repository, elsewhere, symlinks=True)
    clean = state(repository, project)
    (project / "code.py").write_text("2\n")
    (project / "tool").chmod(0o644)
    (project / "new.py").write_text("1\n")
    changed = state(repository, project)
    name, _, value = setting.format(elsewhere=elsewhere).partition("=")
    git(repository, "config", name, value)
    assert state(repository, project) == changed
    (project / "code.py").write_text("1\n")
    (project / "tool").chmod(0o755)
    (project / "new.py").unlink()
    assert state(repository, project) == clean
    assert not (elsewhere / "ran").exists()


def test_replaced_commits_are_themselves(repository: Path) -> None:
    """A replaced commit or blob does not stand for the one that is named."""
    before = state(repository)
    (repository / "packages/a/code.py").write_text("2\n")
    git(repository, "commit", "-qam", "two")
    after = state(repository)
    git(repository, "replace", after["commit"], before["commit"])
    assert state(repository) == after


def test_an_empty_git_folder_hides_nothing(repository: Path) -> None:
    """An empty .git folder in the project is passed over, as git does."""
    project = repository / "packages/a"
    before = state(repository, project)
    (project / ".git").mkdir()
    assert state(repository, project) == before
    (project / "code.py").write_text("2\n")
    assert state(repository, project)["tree_digest"] != before["tree_digest"]


def test_an_embedded_bare_repository_runs_nothing(repository: Path, tmp_path: Path) -> None:
    """A project's folder that looks like a bare repository is a folder of files: its config's filter never runs."""
    project = repository / "packages/a"
    for folder in ("objects", "refs/heads"):
        (project / folder).mkdir(parents=True)
        (project / folder / ".keep").touch()
    (project / "HEAD").write_text("ref: refs/heads/main\n")
    (project / "config").write_text(
        "[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\n"
        f'[filter "x"]\nclean = "sh -c \'echo ran >> {tmp_path}/ran; cat\'"\nrequired = true\n'
    )
    (project / ".gitattributes").write_text("*.py filter=x\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "bare")
    (project / "code.py").write_text("2\n")
    assert state(repository, project)["dirty"]
    assert not (tmp_path / "ran").exists()


def test_filters_are_not_run_and_their_files_are_unknown(repository: Path, tmp_path: Path) -> None:
    """A filtered file is named, is not dirty, and another content is another digest; no filter runs."""
    (repository / ".gitattributes").write_text("code.py filter=x.y\n")
    git(repository, "config", "filter.x.y.clean", "tr 0-9 a-j")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "filtered")
    git(repository, "config", "filter.x.y.clean", f"touch {tmp_path}/ran; cat")
    git(repository, "config", "filter.x.y.required", "true")
    before = state(repository)
    assert (before["dirty"], "code.py" in before["note"]) == (False, True)
    os.utime(repository / "packages/a/code.py", (1, 1))
    assert state(repository) == before
    (repository / "packages/a/code.py").write_text("9\n")
    after = state(repository)
    assert (after["dirty"], after["tree_digest"] != before["tree_digest"]) == (False, True)
    assert not (tmp_path / "ran").exists()


def test_lfs_files_are_what_their_pointer_says(repository: Path) -> None:
    """A file of Git LFS is unchanged when its sha256 is the pointer's, and dirty when it is not; nothing runs."""
    content = b"large\n"
    oid = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
    (repository / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (repository / "packages/a/data.bin").write_text(pointer)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "lfs")
    before = state(repository)
    (repository / "packages/a/data.bin").write_bytes(content)
    for configured in (False, True):
        if configured:
            git(repository, "config", "filter.lfs.clean", "false")
            git(repository, "config", "filter.lfs.required", "true")
        assert state(repository) == before
    (repository / "packages/a/data.bin").write_bytes(b"other\n")
    assert state(repository)["dirty"]


def test_personal_rules_hide_no_code(repository: Path, tmp_path: Path) -> None:
    """What only the user's own rules ignore stays out, unless it is code; a tool's hidden folder is none."""
    before = state(repository)
    config = tmp_path / "config"
    config.write_text(f"[core]\nexcludesFile = {tmp_path}/mine\n")
    (tmp_path / "mine").write_text(".idea/\nmine.py\nnotes.md\n")
    (repository / ".git/info/exclude").write_text("other.py\n")
    environ = {**ENVIRON, "GIT_CONFIG_GLOBAL": str(config)}
    code = CodePatterns(exclude=("*.md",))

    def now() -> dict[str, Any]:
        return Capture.begin(str(repository), str(repository), environ, code=code).finish_tree()

    (repository / ".idea").mkdir()
    (repository / ".idea/w.xml").touch()
    (repository / "notes.md").touch()
    assert now() == before
    for name in ("mine.py", "other.py"):
        (repository / name).touch()
        assert now()["dirty"], name
        (repository / name).unlink()
    assert now() == before


def test_runs_and_checklists_do_not_count(repository: Path) -> None:
    """Where the workspace itself is the project, its records and ticked-off tasks change nothing."""
    for name in ("tasks", ".agent", "out"):
        (repository / name).mkdir()
        (repository / name / "file").write_text("1")
    git(repository, "add", "-A", "-f")
    git(repository, "commit", "-q", "-m", "two")
    before = state(repository)
    for name in ("tasks", ".agent", "out"):
        (repository / name / "file").write_text("2")
    (repository / ".runs").mkdir()
    (repository / ".runs" / "file").write_text("2")
    assert state(repository) == before


def test_no_branch_and_no_commit(repository: Path, tmp_path: Path) -> None:
    """A detached HEAD has no branch, a new repository no commit; both have a digest."""
    git(repository, "checkout", "-q", "--detach")
    assert state(repository)["branch"] is None
    assert state(repository)["commit"] is not None
    fresh = tmp_path / "fresh"
    git(tmp_path, "init", "-q", "-b", "main", str(fresh))
    (fresh / "file").write_text("x")
    unborn = state(fresh)
    assert (unborn["commit"], unborn["branch"], unborn["dirty"]) == (None, "main", True)
    assert unborn["tree_digest"] is not None


def test_a_conflict_is_read(repository: Path) -> None:
    """In the middle of a merge the files as they stand count."""
    code = repository / "packages/a/code.py"
    git(repository, "checkout", "-q", "-b", "other")
    code.write_text("2\n")
    git(repository, "commit", "-q", "-a", "-m", "other")
    git(repository, "checkout", "-q", "main")
    code.write_text("3\n")
    git(repository, "commit", "-q", "-a", "-m", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "other")
    during = state(repository)
    assert during["dirty"] is True
    code.write_text("resolved\n")
    resolved = state(repository)
    assert resolved["tree_digest"] != during["tree_digest"]
    git(repository, "commit", "-q", "-a", "-m", "merged")
    assert state(repository)["tree_digest"] == resolved["tree_digest"]


def test_submodules_count(repository: Path, tmp_path: Path) -> None:
    """Another commit in a submodule, and a change in its files, change the digest of the tree around it."""
    inner = tmp_path / "inner"
    git(tmp_path, "init", "-q", "-b", "main", str(inner))
    (inner / "file").write_text("1")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "one")
    git(repository, "submodule", "--quiet", "add", str(inner), "packages/a/sub")
    git(repository, "commit", "-q", "-a", "-m", "two")
    clean = state(repository)
    (repository / "packages/a/sub/file").write_text("2")
    changed = state(repository)
    git(repository / "packages/a/sub", "commit", "-q", "-a", "-m", "inside")
    assert clean["dirty"] is False
    assert changed["dirty"] is True
    assert len({clean["tree_digest"], changed["tree_digest"]}) == 2
    assert state(repository)["tree_digest"] != clean["tree_digest"]


def test_an_untracked_repository_counts(repository: Path) -> None:
    """A repository inside the tree that git shows as one untracked name counts with its files."""
    inner = repository / "packages/a/inner"
    git(repository, "init", "-q", str(inner))
    (inner / "file").write_text("1")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "one")
    before = state(repository)
    (inner / "file").write_text("2")
    assert state(repository)["tree_digest"] != before["tree_digest"]


def test_modes_are_gits_where_the_disk_has_none(repository: Path) -> None:
    """Where git is told not to trust the executable bit, that bit changes no digest."""
    tool = repository / "packages/a/tool"
    git(repository, "config", "core.fileMode", "false")
    tool.chmod(0o644)
    tool.write_text("changed\n")
    before = state(repository)
    git(repository, "commit", "-q", "-a", "-m", "two")
    assert state(repository)["tree_digest"] == before["tree_digest"]


def test_a_clone_inside_a_workspace_counts(repository: Path) -> None:
    """A project that the repository around it ignores is hashed by itself, and says so."""
    project = repository / "packages" / "clone"
    project.mkdir()
    (repository / ".gitignore").write_text("packages/clone\n")
    (project / "file").write_text("1")
    before = state(repository, project)
    (project / "file").write_text("2")
    after = state(repository, project)
    assert before["tree_digest"] != after["tree_digest"]
    assert (after["commit"], after["note"]) == (None, "the repository around this folder does not track it")


def test_odd_names_are_read(repository: Path) -> None:
    """Names with newlines, quotes and bytes that are no UTF-8 give the same digest before and after a commit."""
    for name in (b"new\nline", b'"quoted"', b"\xff\xfe", b" space ", "ü".encode()):
        Path(os.fsdecode(os.path.join(os.fsencode(repository), name))).write_text("x")
    before = state(repository)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "two")
    assert state(repository)["tree_digest"] == before["tree_digest"]


def test_sha256_repositories_are_read(tmp_path: Path) -> None:
    """In a repository with the newer object format too, committing changes no digest."""
    root = tmp_path / "new"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(root))
    (root / "file").write_text("1")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    (root / "file").write_text("2")
    before = state(root)
    git(root, "commit", "-q", "-a", "-m", "two")
    assert state(root)["tree_digest"] == before["tree_digest"]


def test_the_users_git_variables_lead_nowhere_else(repository: Path, tmp_path: Path) -> None:
    """GIT_DIR and its like, as a git hook sets them, don't point at another repository."""
    expected = state(repository)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_LITERAL_PATHSPECS"):
        assert state(repository, environ={**ENVIRON, name: str(tmp_path)}) == expected


def test_nothing_is_written_and_no_hook_runs(repository: Path) -> None:
    """Looking at a tree leaves git's index as it is and starts no program that the repository names."""
    hook = repository.parent / "hook"
    hook.write_text(f"#!/bin/sh\ntouch '{repository.parent}/ran'\n")
    hook.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(hook))
    (repository.parent / "ran").unlink(missing_ok=True)
    index = repository / ".git" / "index"
    before = index.stat().st_mtime_ns
    os.utime(repository / "README", ns=(1, 1))
    state(repository)
    assert not (repository.parent / "ran").exists()
    assert index.stat().st_mtime_ns == before


def test_a_missing_git_is_noted(repository: Path, tmp_path: Path) -> None:
    """Without git there is still a digest, the same one, and a note."""
    expected = state(repository)["tree_digest"]
    result = state(repository, environ={**ENVIRON, "PATH": str(tmp_path)})
    assert (result["commit"], result["tree_digest"]) == (None, expected)
    assert result["note"] == "git is not on PATH"


def test_a_broken_repository_is_noted(repository: Path) -> None:
    """A repository that git refuses costs the commit, not the digest."""
    (repository / ".git" / "HEAD").write_text("nonsense")
    result = state(repository)
    assert result["commit"] is None
    assert result["tree_digest"] is not None
    assert result["note"].startswith("git could not read this folder: fatal: not a git repository")


@pytest.fixture
def hanging(tmp_path: Path) -> dict[str, str]:
    """Variables with which git never answers; each notes its process id in ``pids``."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ >> '{tmp_path}/pids'\nexec sleep 60\n")
    slow.chmod(0o755)
    return {**ENVIRON, "PATH": f"{slow.parent}:{ENVIRON['PATH']}"}


def test_a_git_that_hangs_is_left_behind(repository: Path, tmp_path: Path, hanging: dict[str, str]) -> None:
    """After the timeout the run goes on without knowing its tree, and no git process is left."""
    began = time.monotonic()
    record = Capture.begin(str(repository), str(repository), hanging, timeout_seconds=0.5).finish()
    assert time.monotonic() - began < 10
    assert (record["commit"], record["dirty"], record["tree_digest"]) == (None, None, None)
    assert record["note"] == "git did not answer within 0.5 s"
    pids = tmp_path / "pids"
    for pid in pids.read_text().split() if pids.exists() else ():  # one that was ended before it noted its own is gone
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_an_abandoned_capture_leaves_nothing(repository: Path, tmp_path: Path, hanging: dict[str, str]) -> None:
    """A capture that nobody finishes can be given up, any number of times; its processes are gone then."""
    capture = Capture.begin(str(repository), str(repository), hanging)
    pids = tmp_path / "pids"
    while not pids.exists() or len(pids.read_text().split()) < 2:
        time.sleep(0.01)
    capture.abandon()
    capture.abandon()
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def remembered(root: Path, environ: Mapping[str, str] = ENVIRON) -> dict[str, Any]:
    """Return the tree's state of the project as a run of the workspace ``root`` records it."""
    workspace = Workspace(str(root), str(root / ".runs"), str(root / "out"), state_dir=str(root / ".runs" / "account"))
    os.makedirs(workspace.runs_dir, exist_ok=True)
    return Capture.begin(str(root / "packages/a"), str(root), environ, workspace=workspace).finish_tree()


@pytest.mark.parametrize(
    "change",
    [
        "true",
        "echo 2 > packages/a/code.py",
        "echo 2 > packages/a/code.py; git commit -qam two",
        "echo 2 > packages/a/code.py; git add -A",
        "echo 1 > packages/a/new; git add -A; git commit -qm new; git reset -q --hard HEAD~1",
        "git checkout -q -b other; echo 3 > packages/a/code.py; git commit -qam three",
        "git update-index --assume-unchanged packages/a/code.py; echo 4 > packages/a/code.py",
        "git rm -q --cached packages/a/tool",
        "git checkout -q --orphan none",
        "echo 5 > packages/a/code.py; git commit -qam five; git replace HEAD~1 HEAD; git reset -q --hard HEAD~1",
        "for file in .runs/.cache/*; do echo 7 > $file; done",
        "for file in .runs/.cache/*; do sed -i 's/[0-9a-f]\\{64\\}/x/' $file; done",
        "for file in .runs/.cache/*; do echo '{\"commit\": []}' > $file; done",
        'sed -i \'s/"digest": *"[0-9a-f]*/"digest":"\'$(printf %064d 0)/ .runs/.cache/tree-*',
        "touch .git/index",
    ],
)
def test_what_is_kept_of_a_tree_changes_nothing(repository: Path, change: str) -> None:
    """Whatever happens after a run kept the digest of a commit's tree, the next one tells what a fresh look tells."""
    assert remembered(repository) == remembered(repository) == state(repository, repository / "packages/a")
    subprocess.run(["sh", "-ec", change], cwd=repository, env=ENVIRON, check=True)
    fresh = state(repository, repository / "packages/a")
    assert remembered(repository) == fresh
    assert remembered(repository) == fresh


def test_a_kept_tree_is_not_listed_again(repository: Path, tmp_path: Path) -> None:
    """While nothing changes, the second look asks git for its status only."""
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\nexec {shutil.which("git")} "$@"\n')
    script.chmod(0o755)
    environ = {**ENVIRON, "PATH": f"{script.parent}:{ENVIRON['PATH']}"}
    first = remembered(repository, environ)
    assert (tmp_path / "asked").read_text().count("ls-files") == 1
    assert remembered(repository, environ) == first
    assert (tmp_path / "asked").read_text().count("ls-files") == 1
    assert (tmp_path / "asked").read_text().count(" status ") == 2


def rule(repository: Path, where: str, text: str) -> None:
    """Write a rule of attributes, of the repository's own or of a file in the tree."""
    path = repository / (".git/info/attributes" if where == "own" else f"{where}/.gitattributes")
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{text}\n")
    if where != "own":
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "rules")


@pytest.mark.parametrize("where", ["own", ".", "packages", "packages/a"])
def test_ident_hides_no_change(repository: Path, where: str) -> None:
    """Git takes what stands between `$Id:` and the next dollar sign for nothing; only a blob's name is nothing here."""
    from orchestrator.git.tree_on_disk import differences_unseen
    from orchestrator.git.work_tree import WorkTree

    project = repository / "packages/a"
    (project / "code.py").write_text('s = """$Id$"""\n')
    (repository / ".gitignore").write_text("*.log\n.runs/\n")
    git(repository, "commit", "-q", "-am", "two")
    rule(repository, where, "code.py ident" if where == "packages/a" else "*.py ident")
    account = str(repository / ".runs" / "account")
    workspace = Workspace(str(repository), str(repository / ".runs"), str(repository / "out"), state_dir=account)
    clean = Capture.begin(str(project), str(repository), ENVIRON, workspace=workspace).finish_tree()
    blob = git(repository, "rev-parse", "HEAD:packages/a/code.py")
    (project / "code.py").write_text(f's = """$Id: {blob} $"""\n')
    git(repository, "add", "-A")
    expanded = Capture.begin(str(project), str(repository), ENVIRON, workspace=workspace).finish_tree()
    assert (clean["dirty"], expanded["dirty"]) == (False, False)
    (project / "code.py").write_text('s = """$Id: """; print("evil"); """ $"""\n')
    git(repository, "add", "-A")
    assert git(repository, "status", "--porcelain") == ""
    for _ in range(2):
        found = Capture.begin(str(project), str(repository), ENVIRON, workspace=workspace).finish_tree()
        assert found["dirty"] is True
        assert found["tree_digest"] not in (clean["tree_digest"], expanded["tree_digest"])
    work = WorkTree.around(str(project), ENVIRON)
    assert work is not None
    assert differences_unseen(work, str(project), frozenset()).hidden == {b"packages/a/code.py"}


def test_what_git_encodes_anew_is_not_known(repository: Path) -> None:
    """A file that git stores in another encoding is judged by its bytes on disk, and named: nobody can compare them."""
    project = repository / "packages/a"
    (project / "code.py").write_text("print(1)\n")
    git(repository, "commit", "-q", "-am", "two")
    before = state(repository, project)
    rule(repository, "own", "code.py working-tree-encoding=UTF-7")
    (project / "code.py").write_text("print(+ADE-)\n")
    git(repository, "add", "-A")
    found = state(repository, project)
    assert found["tree_digest"] != before["tree_digest"]
    assert "code.py" in found["note"]
