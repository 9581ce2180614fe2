"""What is kept of fleets decides nothing."""

from __future__ import annotations

from typing import Any

from tests.cache_seals import edit_cached, state_of
from tests.harness import Orchestrator, WorkspaceFolder


def test_a_poisoned_digest_makes_no_green(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An edited digest is not read, one sealed again starts nothing; ``plan`` changes nothing that is cached."""
    workspace.project("a", pipeline="smoke")
    workspace.project("b", pipeline="smoke")
    assert orchestrate("start", "smoke", "--projects", "a").code == 0
    [file] = (workspace.root / ".runs/.cache").glob("fleet-[0-9a-f]*.json")
    before = {path: path.read_bytes() for path in file.parent.iterdir() if path.name.startswith("plan-")}
    assert orchestrate("plan", "smoke", "--all").code == 0
    assert {path: path.read_bytes() for path in before} == before

    def change(document: dict[str, Any]) -> None:
        document["entries"]["a"]["digest"] = "0" * 64

    edit_cached(file, change)
    assert orchestrate("start", "smoke", "--all").code == 0
    edit_cached(file, change, state_of(orchestrate.environ))
    done = orchestrate("start", "smoke", "--all", "--format", "json")
    assert done.code == 3
    entries = {one["project"]: one for one in orchestrate("status", "--format", "json").document["fleet"]["projects"]}
    assert entries["a"]["status"] == "failed"
    assert "has changed since its fleet began" in entries["a"]["cause"]
    assert entries["b"]["status"] == "succeeded"


def test_a_config_that_is_edited_meanwhile_is_drift(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A project that would run another plan than the fleet was made of does not start."""
    softer = f"sed -i.bak s/false/true/ {workspace.root}/project_configs/z.toml"
    workspace.project("a", {"test": softer}, pipeline="smoke")
    workspace.project("z", {"test": "false"}, pipeline="smoke")
    path = workspace.root / "project_configs/z.toml"
    path.write_text(path.read_text().replace("[session]", 'depends_on = ["a"]\n[session]', 1))
    done = orchestrate("start", "smoke", "--all", "--format", "json")
    assert done.code == 3
    assert done.document["fleet"]["totals"]["failed"] == 1
    assert workspace.runs("1-z") == []
