"""Checkpoints at a remote: who may push, and so go forward, hides nothing of what was there before."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.harness import Orchestrator, WorkspaceFolder


def found(orchestrate: Orchestrator, remote: Path) -> list[str]:
    """Return what the witness finds."""
    done = orchestrate("verify", "--witness", str(remote), "--format", "json")
    return [finding["code"] for finding in done.document["findings"]]


def pushed_on_top(workspace: WorkspaceFolder, remote: Path, ref: str, name: str, content: str) -> None:
    """Push a commit that holds one file, with the ref's own as its parent."""
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=workspace.root,
        input=content.encode(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    tree = subprocess.run(
        ["git", "mktree"],
        cwd=workspace.root,
        input=f"100644 blob {blob.strip()}\t{name}\n".encode(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    commit = workspace.git("commit-tree", tree.strip(), "-p", ref, "-m", "x").strip()
    workspace.git("push", "-q", str(remote), f"{commit}:{ref}")


def test_a_forged_checkpoint_hides_nothing(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """A commit on top that is no checkpoint, of another chain, or of fewer lines: found, and so is the chain's loss."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    workspace.project("app")
    workspace.commit()
    for _ in range(2):
        assert orchestrate("start").code == 0
    assert orchestrate("checkpoint", "--push", str(remote)).code == 0
    (ref,) = workspace.git("for-each-ref", "--format=%(refname)", "refs/codex-orchestrator/checkpoints").split()
    honest = json.loads(workspace.git("cat-file", "blob", f"{ref}:checkpoint.json"))
    chain = workspace.root / ".runs/1-app/chain.jsonl"
    whole = chain.read_bytes()
    fewer = {**honest, "number": 1, "digest": honest["chain"]}
    forged = {
        "no JSON": ("checkpoint.json", "nonsense", ["checkpoint-unreadable"]),
        "no such file": ("other", "{}", ["checkpoint-unreadable"]),
        "another chain": ("checkpoint.json", json.dumps({**honest, "chain": "0" * 64}), ["checkpoint-unreadable"]),
        "no line": ("checkpoint.json", json.dumps({**honest, "number": 0}), ["chain-rewound"]),
        "a line to come": ("checkpoint.json", json.dumps({**honest, "number": 10**9}), ["chain-rewound"]),
        "fewer lines": ("checkpoint.json", json.dumps(fewer), []),
    }
    for name, content, codes in forged.values():
        pushed_on_top(workspace, remote, ref, name, content)
        assert found(orchestrate, remote) == codes
        chain.write_bytes(whole.splitlines(keepends=True)[0])
        assert "chain-rewound" in found(orchestrate, remote)
        chain.write_bytes(whole)
        workspace.git("push", "-q", "--force", str(remote), f"{ref}:{ref}")


def test_no_checkpoint_is_put_on_a_ref_that_holds_none(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A ref of another content is named, and stays as it is."""
    workspace.project("app")
    workspace.commit()
    assert orchestrate("start").code == 0
    assert orchestrate("checkpoint").code == 0
    (ref,) = workspace.git("for-each-ref", "--format=%(refname)", "refs/codex-orchestrator/checkpoints").split()
    workspace.git("update-ref", ref, "HEAD")
    done = orchestrate("checkpoint", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (4, "checkpoint-unreadable")
    assert workspace.git("rev-parse", ref) == workspace.git("rev-parse", "HEAD")
