"""Resuming a run whose sub-pipeline failed."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.harness import Orchestrator, WorkspaceFolder

JSON = ("--format", "json")


def nested(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> tuple[str, str]:
    """Start a run whose sub-pipeline fails once it has built; return its id and the child's."""
    workspace.project("y", {"build": "echo b >> built", "test": f"test -e {workspace.root}/good"})
    workspace.project("x", {})
    with (workspace.root / "project_configs/x.toml").open("a") as config:
        config.write("[[pipelines.diagnostics.stages]]\nid = 'below'\npipeline = 'diagnostics'\nproject = 'y'\n")
    parent = orchestrate("start", "--project", "x", *JSON)
    assert parent.code == 3
    child = parent.document["failed"][0]["cause"]["run_id"]
    return parent.document["run_id"], child


def child_of(workspace: WorkspaceFolder, answer: dict[str, str]) -> tuple[str, list[str]]:
    """Return the child that the stage names in the record, and all children."""
    record = json.loads(Path(workspace.root, answer["manifest"]).read_text())
    stage = next(command for command in record["commands"] if command["id"] == "below")
    return stage["sub_run_id"], [entry["run_id"] for entry in record["child_runs"]]


def test_a_failed_child_is_resumed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The child of the failed stage is resumed: what it has built is not built again, and its cause is named again."""
    parent, child = nested(workspace, orchestrate)
    again = orchestrate("resume", parent, *JSON)
    assert again.code == 3
    assert again.document["failed"][0]["cause"]["run_id"] == child
    workspace.write("good", "")
    done = orchestrate("resume", parent, *JSON)
    assert done.code == 0, done.stderr
    assert child_of(workspace, done.document) == (child, [child])
    assert (workspace.root / "packages/y/built").read_text() == "b\n"
    resumed = orchestrate("status", child, *JSON).document
    assert (resumed["attempt"], resumed["status"]) == (3, "succeeded")
    assert parent in resumed["resume_events"][-1]["reason"]


def test_a_child_that_succeeded_meanwhile_is_taken(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A child that its own resume repaired is taken as it is; nothing of it runs again."""
    parent, child = nested(workspace, orchestrate)
    workspace.write("good", "")
    assert orchestrate("resume", child).code == 0
    done = orchestrate("resume", parent, *JSON)
    assert done.code == 0, done.stderr
    assert child_of(workspace, done.document) == (child, [child])
    assert orchestrate("status", child, *JSON).document["attempt"] == 2


def test_a_child_that_is_gone_is_started_anew(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Where the child can't be resumed, as its token is gone, the stage starts a new one."""
    parent, child = nested(workspace, orchestrate)
    workspace.write("good", "")
    next((workspace.root / ".runs").glob(f"*/cli/{child}/.resume-token")).unlink()
    done = orchestrate("resume", parent, *JSON)
    assert done.code == 0, done.stderr
    named, every = child_of(workspace, done.document)
    assert named != child
    assert every == sorted([child, named])


def test_a_link_is_adopted_when_it_is_left(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A live run's record names its child within a second or two, and not at the next heartbeat."""
    workspace.project("y", {"build": f"until test -e {workspace.root}/go; do sleep 0.05; done"})
    workspace.project("x", {"build": "sleep 0.2"})
    with (workspace.root / "project_configs/x.toml").open("a") as config:
        config.write("[[pipelines.diagnostics.stages]]\nid = 'below'\npipeline = 'diagnostics'\nproject = 'y'\n")
    parent = orchestrate("start", "--project", "x", "--detach", *JSON).document
    folder = workspace.root / parent["artifact_root"]
    deadline = time.monotonic() + 60
    while not list(folder.glob("children/*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    left_at = time.monotonic()
    while not json.loads((folder / "manifest.json").read_text())["child_runs"]:
        assert time.monotonic() < left_at + 4
        time.sleep(0.02)
    workspace.write("go", "")
    assert orchestrate("wait", parent["run_id"], "--timeout", "60s").code == 0


def test_a_config_edited_meanwhile_is_drift(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A sub-pipeline that is another one than its parent's plan holds is refused, until that drift is accepted."""
    workspace.project("y", {"test": "false"})
    config = workspace.root / "project_configs/y.toml"
    workspace.project("x", {"build": f"sed -i s/false/true/ {config}"})
    with (workspace.root / "project_configs/x.toml").open("a") as file:
        file.write("[[pipelines.diagnostics.stages]]\nid = 'below'\npipeline = 'diagnostics'\nproject = 'y'\n")
        file.write("needs = ['build']\n")
    parent = orchestrate("start", "--project", "x", *JSON)
    assert parent.code == 3
    (failed,) = parent.document["failed"]
    assert (failed["stage"], failed["exit_code"]) == ("below", 5)
    said = "\n".join(failed["last_lines"])
    assert "the plan has changed since its parent run began" in said
    assert "sub-pipeline 'diagnostics' of 'y': stage 'test': 'shell' changed" in said
    assert not list((workspace.root / ".runs/1-y").glob("cli/*"))
    assert orchestrate("resume", "latest").code == 5
    done = orchestrate("resume", "latest", "--accept-drift", *JSON)
    assert done.code == 0, done.stderr
