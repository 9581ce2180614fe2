"""Checkpoints: a remote witnesses each machine's chain, and a chain that was cut or replaced is found."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder


@pytest.fixture
def remote(workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path) -> Path:
    """A bare repository beside a workspace with two runs."""
    bare = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    workspace.project("app")
    workspace.commit()
    assert orchestrate("start").code == 0
    assert orchestrate("start").code == 0
    return bare


def chain_of(workspace: WorkspaceFolder) -> Path:
    """Return the chain's file."""
    return workspace.root / ".runs" / "1-app" / "chain.jsonl"


def cut(workspace: WorkspaceFolder, lines: int) -> None:
    """Leave the first lines of the chain only."""
    kept = chain_of(workspace).read_bytes().splitlines(keepends=True)[:lines]
    chain_of(workspace).write_bytes(b"".join(kept))


def codes(orchestrate: Orchestrator, remote: Path) -> list[str]:
    """Return what the witness finds."""
    done = orchestrate("verify", "--witness", str(remote), "--format", "json")
    found = [finding["code"] for finding in done.document["findings"]]
    assert done.code == (4 if found else 0)
    return found


def test_a_remote_witnesses_a_chain(workspace: WorkspaceFolder, orchestrate: Orchestrator, remote: Path) -> None:
    """Each run's checkpoint goes forward; a chain that goes on is well, one that lost its last line is not."""
    done = orchestrate("checkpoint", "--push", str(remote), "--format", "json")
    assert done.code == 0, done.stderr
    (one,) = done.document["checkpoints"]
    assert (one["task"], one["line"], one["new"]) == ("1-app", 2, True)
    assert (
        orchestrate("checkpoint", "--push", str(remote), "--format", "json").document["checkpoints"][0]["new"] is False
    )
    assert codes(orchestrate, remote) == []
    assert orchestrate("start").code == 0
    assert codes(orchestrate, remote) == []
    assert orchestrate("checkpoint", "--push", str(remote)).code == 0
    cut(workspace, 2)
    assert codes(orchestrate, remote) == ["chain-rewound"]
    refused = orchestrate("checkpoint", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "chain-rewound")


def test_a_witness_keeps_what_the_own_ref_lost(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, remote: Path
) -> None:
    """Who cuts chain and ref can't push over the remote's checkpoint, which goes forward only."""
    assert orchestrate("checkpoint", "--push", str(remote)).code == 0
    cut(workspace, 1)
    for ref in workspace.git("for-each-ref", "--format=%(refname)", "refs/codex-orchestrator").split():
        workspace.git("update-ref", "-d", ref)
    assert orchestrate("checkpoint").code == 0
    refused = orchestrate("checkpoint", "--push", str(remote), "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "chain-rewound")
    assert codes(orchestrate, remote) == ["chain-rewound"]


def test_a_chain_that_is_gone_is_found(workspace: WorkspaceFolder, orchestrate: Orchestrator, remote: Path) -> None:
    """Records that were removed, or replaced by others, of this host and folder are missed."""
    assert orchestrate("checkpoint", "--push", str(remote)).code == 0
    shutil.rmtree(workspace.root / ".runs")
    assert codes(orchestrate, remote) == ["chain-gone"]
    assert orchestrate("start").code == 0
    assert codes(orchestrate, remote) == ["chain-gone"]


def test_each_machine_has_a_chain_of_its_own(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, remote: Path, tmp_path: Path
) -> None:
    """Two clones push to one remote, one after the other, and neither finds the other's chain missing."""
    assert orchestrate("checkpoint", "--push", str(remote)).code == 0
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", str(workspace.root), str(other)], check=True)
    there = Orchestrator(other, orchestrate.environ)
    assert there("start").code == 0
    assert there("checkpoint", "--push", str(remote)).code == 0
    refs = subprocess.run(["git", "-C", str(remote), "for-each-ref"], capture_output=True, text=True, check=True).stdout
    assert refs.count("refs/codex-orchestrator/checkpoints/1-app/") == 2
    assert codes(orchestrate, remote) == []
    assert codes(there, remote) == []


def test_a_remote_that_is_away_or_refuses_is_an_error(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, remote: Path, tmp_path: Path
) -> None:
    """No remote, a hook that refuses, an option in its place, and no repository end with 2 and the reason."""
    for words in (("checkpoint", "--push"), ("verify", "--witness")):
        for name in (str(tmp_path / "nowhere"), "--upload-pack=x", ""):
            refused = orchestrate(*words, name, "--format", "json")
            assert refused.code == 2
        refused = orchestrate(*words, "origin", "--format", "json")
        assert "'origin' does not appear to be a git repository" in refused.document["error"]["message"]
        assert refused.document["error"]["hint"] == "git remote -v"
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    refused = orchestrate("checkpoint", "--push", str(remote), "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "remote-failed")
    assert "pre-receive hook declined" in refused.document["error"]["message"]
    shutil.rmtree(workspace.root / ".git")
    refused = orchestrate("checkpoint", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "no-repository")
