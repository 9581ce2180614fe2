"""A run's config is found in the workspace's history, also where the project has a repository of its own."""

from __future__ import annotations

import subprocess
from hashlib import sha256

import pytest

from orchestrator.config.committed import ConfigHistory, HeadCommit, head_commit
from tests.harness import Orchestrator, WorkspaceFolder


def test_every_committed_version_is_found(workspace: WorkspaceFolder) -> None:
    """By its sha256, on any branch, of that project only; below the repository's top as well; a draft is not."""
    texts = [f"schema_version = 1\n# {number}\n" for number in range(3)]
    root = workspace.root / "nested"
    for number, text in enumerate(texts):
        workspace.write("nested/project_configs/x.toml", text)
        workspace.write("nested/project_configs/y.toml", f"{text}# y\n")
        if number == 2:
            workspace.git("checkout", "-q", "-b", "side")
        workspace.commit(str(number))
    workspace.git("checkout", "-q", "main")
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(workspace.root)}
    history = ConfigHistory(str(root), environ)
    for text in texts:
        assert history.find("x", sha256(text.encode()).hexdigest()) == text.encode()
        assert history.find("y", sha256(text.encode()).hexdigest()) is None
    assert history.find("x", sha256(b"draft").hexdigest()) is None
    assert ConfigHistory("/", environ).find("x", "0") is None


def test_head_and_its_config_are_read_at_once(workspace: WorkspaceFolder) -> None:
    """Commit and parents are git's own; the config is the commit's and its first parent's, whatever text it has."""
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(workspace.root)}
    root = str(workspace.root / "nested")

    def parents() -> tuple[str, ...]:
        return tuple(workspace.git("rev-list", "--parents", "--max-count=1", "HEAD").split())

    first = b"# HEAD missing\n0123 blob 3\nabc"
    workspace.write("nested/project_configs/x.toml", first.decode())
    assert head_commit(root, "x", environ) == HeadCommit()
    workspace.commit("first")
    [commit] = parents()
    assert head_commit(root, "x", environ) == HeadCommit(commit, (), first, None)
    workspace.write("nested/project_configs/x.toml", "")
    workspace.write("nested/project_configs/y.toml/z", "a folder")
    workspace.commit("second\n\nparent of nothing")
    commit, before = parents()
    assert head_commit(root, "x", environ) == HeadCommit(commit, (before,), b"", first)
    assert head_commit(root, "y", environ) == HeadCommit(commit, (before,), None, None)
    workspace.git("checkout", "-q", "-b", "side", "HEAD^")
    workspace.write("other", "1")
    workspace.commit("third")
    workspace.git("merge", "-q", "--no-edit", "main")
    commit, *both = parents()
    assert len(both) == 2
    assert head_commit(root, "x", environ) == HeadCommit(commit, tuple(both), b"", first)
    assert head_commit("/", "x", environ) == HeadCommit()
    with pytest.raises(FileNotFoundError, match="git is not on PATH"):
        head_commit(root, "x", {"PATH": "/gone"})


def test_plans_of_a_project_with_its_own_repository_are_compared(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The run's commit holds no config; the workspace's history does, so that an old run's plan is still compared."""
    folder = workspace.project("x")
    (folder / "main.py").write_text("print(1)\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], cwd=folder, check=True)
    workspace.write(".gitignore", "/.runs/\n/out/\n/.nox/\n/packages/\n")
    workspace.commit("config")
    assert orchestrate("start", "--project", "x").code == 0
    config = workspace.root / "project_configs/x.toml"
    config.write_text(config.read_text().replace('path = "packages/x"', 'path = "packages/x"\nowners = ["a"]'))
    workspace.commit("owners")
    verified = orchestrate("verify", "--all", "--format", "json")
    assert verified.code == 0, verified.stdout
    assert [note["code"] for note in verified.document["records"]["notes"]] == []
