"""No run is greener than a run that it started."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

NIGHTLY = '[[pipelines.nightly.stages]]\nid = "below"\npipeline = "diagnostics"\nproject = "q"\n'
SKIPPED = {name: {"skip": "later"} for name in ("build", "lint", "test")}


def reasons(orchestrate: Orchestrator, run: str = "latest") -> list[str]:
    """Return the codes of why a run is not ready."""
    return [reason["code"] for reason in orchestrate("status", run, "--format", "json").document["ready"]["reasons"]]


@pytest.mark.parametrize("is_honest", [True, False])
def test_a_child_that_proves_nothing_keeps_the_runs_above_from_ready(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, is_honest: bool
) -> None:
    """A guard of another project that was replaced, and a pipeline that checks nothing: also two runs further up."""
    workspace.project("top", {"far": {"pipeline": "nightly", "project": "p"}}, pipeline="all")
    workspace.project("p", pipeline="smoke", extra=NIGHTLY)
    workspace.project("q", {} if is_honest else SKIPPED, guard=None if is_honest else "true")
    workspace.write("tasks/specs/1-q.md", f"---\nlast_review: {datetime.now(UTC).date()}\n---\n# q\n")
    workspace.commit()
    started = orchestrate("start", "all", "--project", "top", "--format", "json")
    assert started.code == 0, started.stderr
    assert (started.document["next_command"] is None) == is_honest
    expected = set() if is_honest else {"guardrail-advisory", "guardrail-replaced", "nothing-checked"}
    assert set(reasons(orchestrate)) == expected
    assert orchestrate("review", "latest", "--decision", "approve", "--actor", "bob").code == (0 if is_honest else 4)


def test_a_child_whose_record_was_edited_keeps_the_run_above_from_ready(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A failed child that is made a success by hand, under a stage that took no notice, makes no green above it."""
    workspace.project("p", {"test": "codex-orchestrator start smoke --project q || true"}, pipeline="smoke")
    workspace.project("q", {"test": "false"}, pipeline="smoke")
    workspace.commit()
    assert orchestrate("start", "smoke", "--project", "p").code == 0
    assert reasons(orchestrate) == ["child-not-succeeded"]
    (run,) = workspace.runs("1-q")
    record = json.loads((run / "manifest.json").read_text())
    record.update(status="succeeded", outcome="success")
    (run / "manifest.json").write_text(json.dumps(record))
    assert reasons(orchestrate) == ["record-altered"]


def whiten(run: Path) -> None:
    """Make the record of a failed run say that it succeeded."""
    record = json.loads((run / "manifest.json").read_text())
    record.update(status="succeeded", outcome="success", status_detail=None)
    for command in record["commands"]:
        command.update(status="succeeded", outcome="success", exit_code=0, error_file=None)
    (run / "manifest.json").write_text(json.dumps(record))


@pytest.mark.parametrize("is_fleet", [True, False])
def test_a_resume_takes_no_child_whose_record_was_edited(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, is_fleet: bool
) -> None:
    """A child that is a success by hand only is run anew, by a fleet and below a sub-pipeline, and fails again."""
    workspace.project("p", {"below": {"pipeline": "smoke", "project": "q"}}, pipeline="all")
    workspace.project("q", {"test": "false"}, pipeline="smoke")
    workspace.commit()
    words = ("smoke", "--projects", "q") if is_fleet else ("all", "--project", "p")
    started = orchestrate("start", *words, "--format", "json")
    assert started.code == 3
    [child] = workspace.runs("1-q")
    whiten(child)
    done = orchestrate("resume", started.document["run_id"], "--format", "json")
    assert (done.code, done.document["status"]) == (3, "failed")
    assert len(workspace.runs("1-q")) == 2


@pytest.mark.parametrize("how", ["removed", "other-stage"])
def test_a_child_that_was_taken_out_of_the_record_is_missed(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, how: str
) -> None:
    """A failed child is not hidden by hand: the events of the run above link it, and its stage."""
    workspace.project("p", {"test": "codex-orchestrator start smoke --project q || true"}, pipeline="smoke")
    workspace.project("q", {"test": "false"}, pipeline="smoke")
    workspace.commit()
    assert orchestrate("start", "smoke", "--project", "p").code == 0
    [run] = workspace.runs("1-p")
    record = json.loads((run / "manifest.json").read_text())
    children = [] if how == "removed" else [{**child, "stage_id": "build"} for child in record["child_runs"]]
    (run / "manifest.json").write_text(json.dumps({**record, "child_runs": children}))
    for note in run.glob("children/*"):
        note.unlink()
    assert "record-altered" in reasons(orchestrate)
    found = orchestrate("verify", "--all", "--format", "json")
    assert (found.code, {one["code"] for one in found.document["findings"]}) == (4, {"record-contradicts-events"})


@pytest.mark.parametrize("is_acknowledged", [False, True])
def test_a_child_that_is_gone_keeps_the_run_above_from_ready(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, is_acknowledged: bool
) -> None:
    """Who removes a child that proves nothing takes the reason away and no doubt, also when he says that he lost it."""
    workspace.project("p", {"below": {"pipeline": "smoke", "project": "q"}}, pipeline="all")
    workspace.project("q", {"build": {"skip": "later"}, "test": {"skip": "later"}}, pipeline="smoke")
    workspace.commit()
    started = orchestrate("start", "all", "--project", "p", "--format", "json")
    assert (started.code, reasons(orchestrate)) == (0, ["nothing-checked"])
    [child] = workspace.runs("1-q")
    shutil.rmtree(child)
    if is_acknowledged:
        words = ("--acknowledge", child.name, "--reason", "disk", "--actor", "ann", "--yes")
        assert orchestrate("prune", *words).code == 0
    shown = orchestrate("status", started.document["run_id"], "--format", "json").document
    assert [reason["code"] for reason in shown["ready"]["reasons"]] == ["child-not-succeeded"]
    assert child.name in shown["ready"]["reasons"][0]["message"]
    assert shown["next_argv"][1] == "start"
    assert orchestrate("review", "latest", "--decision", "approve", "--actor", "bob").code == 4


@pytest.mark.parametrize("how", ["honest", "skipped", "removed"])
def test_no_item_is_ticked_by_a_run_whose_child_proves_nothing(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, how: str
) -> None:
    """A pipeline is not whole by its own stages where one of them is a run that checked nothing, or is gone."""
    workspace.project("p", {"below": {"pipeline": "smoke", "project": "q"}}, pipeline="all")
    stages = {"build": {"skip": "later"}, "test": {"skip": "later"}} if how == "skipped" else {"test": "true"}
    workspace.project("q", stages, pipeline="smoke")
    workspace.write("tasks/tasks-1-p.md", "- [ ] **t**: x (needs: all)\n")
    workspace.commit()
    assert orchestrate("start", "all", "--project", "p").code == 0
    if how == "removed":
        shutil.rmtree(workspace.runs("1-q")[0])
    done = orchestrate("checklist", "tick", "t", "--run", "latest", "--yes", "--format", "json")
    assert done.code == (0 if how == "honest" else 4), done.stderr
    assert how == "honest" or done.document["error"]["code"] in ("nothing-checked", "child-not-succeeded")
    assert (workspace.root / "tasks" / "evidence").exists() == (how == "honest")
