"""The histories that benchmarks clone are what the program itself would have written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.history import spread, write_history
from benchmarks.scenes import TASK, workspace
from tests.harness import Orchestrator, WorkspaceFolder, clean_environ


def test_a_cloned_history_is_verified_and_goes_on(tmp_path: Path) -> None:
    """``verify`` finds nothing in it, the chain and the totals go on with the next start, and times are as asked."""
    home = tmp_path / "home"
    home.mkdir()
    scene = workspace(tmp_path / "scene")
    call = Orchestrator(scene, clean_environ(home))
    assert call("start", "--project", "noop").code == 0
    end = datetime.now(UTC) - timedelta(minutes=5)
    ids = write_history(scene, TASK, spread(12, end, timedelta(seconds=30)), whole=True)
    assert call("start", "--project", "noop").code == 0
    folder = WorkspaceFolder(scene)
    assert [run.name for run in folder.runs(TASK)[:-1]] == ids
    assert ids == sorted(set(ids))
    found = call("verify", "--all", "--state", "--format", "json")
    assert found.code == 0, found.stdout
    assert folder.state(TASK)["totals"]["runs"] == 13
    newest = call("status", ids[-1], "--format", "json").document
    assert newest["started_at"][:19] == end.strftime("%Y-%m-%dT%H:%M:%S")
    assert call("metrics", "--format", "json").document["projects"][0]["runs"] == 13
