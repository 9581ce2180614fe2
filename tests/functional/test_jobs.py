"""``--jobs`` and ``--no-cache`` hold for the whole tree of runs: sub-pipelines and starts inside stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

MARKED = 'echo + >> "$CODEX_ORCHESTRATOR_ROOT/marks"; sleep 0.4; echo - >> "$CODEX_ORCHESTRATOR_ROOT/marks"'


def most_at_once(workspace: WorkspaceFolder) -> int:
    """Return how many marked stages ran at the same time, at most, and forget them."""
    marks = workspace.root / "marks"
    running = most = 0
    for line in marks.read_text().split():
        running += 1 if line == "+" else -1
        most = max(most, running)
    assert running == 0
    marks.unlink()
    return most


@pytest.fixture
def tree(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """Pipeline ``all`` of ``top`` runs ``work`` of ``a`` and ``b``, side by side, of three marked stages each."""
    for name in ("a", "b"):
        stages: dict[str, str | Mapping[str, object]] = {
            f"s{number}": {"shell": MARKED, "needs": []} for number in range(3)
        }
        workspace.project(name, stages, pipeline="work")
    both: dict[str, str | Mapping[str, object]] = {
        name: {"pipeline": "work", "project": name, "needs": []} for name in ("a", "b")
    }
    workspace.project("top", both, pipeline="all")
    return workspace


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_sub_pipelines_share_the_jobs(tree: WorkspaceFolder, orchestrate: Orchestrator, jobs: int) -> None:
    """As many stages run at once as were asked for, over all runs together, and one is enough to come to an end."""
    done = orchestrate("start", "all", "--project", "top", "--jobs", str(jobs))
    assert done.code == 0, done.stderr
    assert most_at_once(tree) == jobs


def test_a_start_inside_a_stage_runs_in_its_slot(tree: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """With one job, too, and a resume has its own limit."""
    inside = "codex-orchestrator start work --project a"
    tree.project("outer", {"one": {"shell": inside, "needs": []}, "two": {"shell": inside, "needs": []}}, pipeline="x")
    done = orchestrate("start", "x", "--project", "outer", "--jobs", "1", "--format", "json")
    assert done.code == 0, done.stderr
    assert most_at_once(tree) == 1


def test_no_cache_reaches_sub_pipelines(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A stage below that could be reused runs again, as one of the pipeline that was named does."""
    folder = workspace.project("a", {"s": {"shell": "echo x >> ../../ran", "inputs": ["in"]}}, pipeline="work")
    (folder / "in").write_text("x")
    workspace.project("top", {"a": {"pipeline": "work", "project": "a"}}, pipeline="all")
    ran: Path = workspace.root / "ran"
    for options, times in (((), 1), ((), 1), (("--no-cache",), 2)):
        done = orchestrate("start", "all", "--project", "top", *options)
        assert done.code == 0, done.stderr
        assert len(ran.read_text().split()) == times
