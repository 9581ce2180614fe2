"""A pipeline written by hand of other projects' pipelines: what a fault in one of their configs does."""

from __future__ import annotations

import shutil

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

START = ("start", "nightly", "--project", "top")


@pytest.fixture
def projects(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A pipeline ``nightly`` of ``top`` that is the pipelines ``smoke`` of ``a`` and ``b``; ``c`` is not reached."""
    stages: dict[str, dict[str, object]] = {
        name: {"pipeline": "smoke", "project": name, "needs": []} for name in ("a", "b")
    }
    workspace.project("top", dict(stages), pipeline="nightly")
    for name in ("a", "b", "c"):
        workspace.project(name, pipeline="smoke")
    return workspace


def test_a_fault_in_a_config_that_is_reached_refuses_all(projects: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Exit code 2 with file and key, and nothing is written; a selection has an entry that fails instead."""
    config = projects.root / "project_configs" / "b.toml"
    whole = config.read_text()
    config.write_text(whole + "nonsense = 1\n")
    refused = orchestrate(*START, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "config")
    assert "project_configs/b.toml: pipelines.smoke.stages[test].nonsense" in refused.document["error"]["message"]
    assert not (projects.root / ".runs").exists()
    fleet = orchestrate("start", "smoke", "--projects", "a,b", "--format", "json")
    assert (fleet.code, fleet.document["fleet"]["totals"]["succeeded"]) == (3, 1)
    config.unlink()
    assert orchestrate(*START).code == 2
    config.write_text(whole)
    (projects.root / "project_configs" / "c.toml").write_text("[broken")
    assert orchestrate(*START).code == 0


def test_a_missing_folder_fails_its_stage_only(projects: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The others run; a resume reads the configs again, and is refused for a fault, or a plan that has changed."""
    folder, config = projects.root / "packages" / "b", projects.root / "project_configs" / "b.toml"
    whole = config.read_text()
    shutil.rmtree(folder)
    done = orchestrate(*START, "--format", "json")
    assert (done.code, [entry["stage"] for entry in done.document["failed"]]) == (3, ["b"])
    assert len(projects.runs("1-a")) == 1
    folder.mkdir()
    for text, code in ((whole + "nonsense = 1\n", 2), (whole.replace("true", "true && true"), 5), (whole, 0)):
        config.write_text(text)
        assert orchestrate("resume", done.document["run_id"]).code == code
    assert len(projects.runs("1-a")) == 1
