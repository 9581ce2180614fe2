"""Which workspace a command below a stage is in: the stage's own run names one, the current folder may be another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.base.workspace import find_workspace


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder with the workspaces ``outer`` and ``other``, and a run of the outer one."""
    for name in ("outer", "other"):
        (tmp_path / name / "project_configs").mkdir(parents=True)
    (tmp_path / "other/packages/x").mkdir(parents=True)
    (tmp_path / "outer/.runs/1-x/cli/r").mkdir(parents=True)
    return tmp_path


def inherited(two: Path) -> dict[str, str]:
    """Return what a stage of the outer workspace's run hands on."""
    return {
        "CODEX_ORCHESTRATOR_ROOT": str(two / "outer"),
        "CODEX_ORCHESTRATOR_RUNS_DIR": str(two / "outer/.runs"),
        "CODEX_ORCHESTRATOR_OUT_DIR": str(two / "outer/out"),
        "CODEX_ORCHESTRATOR_RUN_ID": "r",
        "CODEX_ORCHESTRATOR_RUN_DIR": str(two / "outer/.runs/1-x/cli/r"),
    }


def test_another_workspace_wins_over_an_inherited_one(two: Path) -> None:
    """A stage that works in another workspace starts that one's runs, in that one's folders."""
    found = find_workspace(str(two / "other/packages/x"), inherited(two))
    assert (found.root, found.runs_dir, found.out_dir) == tuple(
        str(two / place) for place in ("other", "other/.runs", "other/out")
    )


def test_an_inherited_workspace_holds_elsewhere(two: Path) -> None:
    """In no workspace, in the outer one, or where the stage named one itself, the variable counts."""
    for cwd in (two, two / "outer"):
        assert find_workspace(str(cwd), inherited(two)).root == str(two / "outer")
    said = {**inherited(two), "CODEX_ORCHESTRATOR_ROOT": str(two / "other")}
    assert find_workspace(str(two / "outer"), said).root == str(two / "other")
    alone = {"CODEX_ORCHESTRATOR_ROOT": str(two / "outer")}
    assert find_workspace(str(two / "other"), alone).root == str(two / "outer")


def test_an_emptied_variable_does_not_lead_into_the_outer_runs(two: Path) -> None:
    """Without the variable, too, another workspace's runs lie in that one's folders, and the outer one's in its own."""
    for said in ({}, {"CODEX_ORCHESTRATOR_ROOT": ""}):
        left = {key: value for key, value in inherited(two).items() if key != "CODEX_ORCHESTRATOR_ROOT"} | said
        assert find_workspace(str(two / "other"), left).runs_dir == str(two / "other/.runs")
        moved = left | {"CODEX_ORCHESTRATOR_RUNS_DIR": str(two / "elsewhere")}
        assert find_workspace(str(two / "outer"), moved).runs_dir == str(two / "elsewhere")
