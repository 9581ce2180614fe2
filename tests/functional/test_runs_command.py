"""``runs`` on real folders: all tasks, died, damaged and old runs, filters, and what it costs."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.errors import NotFound, UsageError
from orchestrator.commands.context import Context
from orchestrator.commands.look.runs import runs
from orchestrator.store.claim import claim
from tests.functional.test_status import ended, files_of
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder
from tests.records import TASK, FakeClock, make_manifest, make_run_id, make_store, make_workspace

SAMPLES = REPOSITORY / "tests" / "samples" / "version-1"


def listed(root: Path, **asked: Any) -> dict[str, Any]:
    """Return the document of ``runs``."""
    context = Context(str(root), {}, io.StringIO(), io.StringIO(), FakeClock())
    answer = runs(context, **asked)
    assert answer.exit_code == 0
    assert answer.document is not None
    return dict(answer.document)


def ids(document: dict[str, Any]) -> list[str]:
    """Return the ids of the runs that are listed."""
    return [row["run_id"] for row in document["runs"]]


def make_runs(root: Path, count: int) -> None:
    """Make runs that succeeded."""
    store = make_store(root)
    for number in range(1, count + 1):
        run = claim(store, make_manifest(number), "token")
        run.save(ended(run.manifest))
        run.close()


def manifest_of(root: Path, number: int) -> Path:
    """Return the path of a run's record."""
    return root / ".runs" / TASK / "cli" / make_run_id(number) / "manifest.json"


def test_a_pipe_gets_the_lines_whole(tmp_path: Path) -> None:
    """What goes to a file or to grep is cut at no column but those that `COLUMNS` asks for."""
    make_runs(tmp_path, 1)
    for environ, whole in (({}, True), ({"COLUMNS": "100"}, False)):
        context = Context(str(tmp_path), environ, io.StringIO(), io.StringIO(), FakeClock())
        text = runs(context).text
        assert (f" task {TASK}\n" in text, "…" in text) == (whole, not whole), text


def test_newest_first_and_no_more_records_read_than_shown(tmp_path: Path) -> None:
    """With a limit and no filter only the newest records are opened: a damaged older one is not even noticed."""
    make_runs(tmp_path, 5)
    manifest_of(tmp_path, 1).write_text("{")
    document = listed(tmp_path, limit=2)
    assert ids(document) == [make_run_id(5), make_run_id(4)]
    assert (document["known"], document["looked_at"], document["damaged"]) == (5, 2, 0)
    assert listed(tmp_path, limit=0)["damaged"] == 1


def test_damaged_runs_are_listed_as_damaged(tmp_path: Path) -> None:
    """Cut off, another run's, without a record, a link, a task's folder that is one: listed with the reason, exit 0."""
    make_runs(tmp_path, 5)
    manifest_of(tmp_path, 1).write_text('{"version": 2')
    shutil.copy(manifest_of(tmp_path, 3), manifest_of(tmp_path, 2))
    manifest_of(tmp_path, 3).unlink()
    shutil.rmtree(manifest_of(tmp_path, 4).parent)
    manifest_of(tmp_path, 4).parent.symlink_to(manifest_of(tmp_path, 5).parent)
    (tmp_path / ".runs" / "stray").mkdir()
    (tmp_path / ".runs" / "stray" / "cli").symlink_to(manifest_of(tmp_path, 5).parents[1])
    document = listed(tmp_path)
    assert [row["status"] for row in document["runs"]] == ["succeeded", *["damaged"] * 4]
    assert all(row["damage"] for row in document["runs"][1:])
    assert [entry["task_id"] for entry in document["unreadable"]] == ["stray"]
    assert ids(listed(tmp_path, status="damaged")) == [make_run_id(number) for number in (4, 3, 2, 1)]
    filtered = listed(tmp_path, project="hello")
    assert (ids(filtered), filtered["damaged"]) == ([make_run_id(5)], 4)


def test_live_and_died_runs_stand_as_status_says(tmp_path: Path) -> None:
    """A held lock is a run in progress, a free one beside an open record a died run; nothing is written."""
    run = claim(make_store(tmp_path), make_manifest(1), "token")
    try:
        (row,) = listed(tmp_path)["runs"]
        assert (row["status"], row["alive"], row["died"]) == ("in_progress", True, False)
    finally:
        run.close()
    before = files_of(tmp_path)
    (row,) = listed(tmp_path, status="failed", outcome="error")["runs"]
    assert (row["alive"], row["died"]) == (False, True)
    assert files_of(tmp_path) == before


def test_version_1_is_listed_under_its_tasks_owner(workspace: WorkspaceFolder) -> None:
    """Old runs are listed, the killed one as died, and belong to the project that owns their task."""
    shutil.copytree(SAMPLES / "runs", workspace.root / ".runs", symlinks=True)
    workspace.project("billing", task_id="0101-billing")
    document = listed(workspace.root, project="billing")
    assert len(document["runs"]) == 5
    assert [row["died"] for row in document["runs"]] == [True, False, False, False, False]
    nightly = next(row for row in document["runs"] if row["pipeline_id"] == "nightly")
    children = listed(workspace.root, parent=nightly["run_id"])["runs"]
    assert [row["pipeline_id"] for row in children] == ["diagnostics"]
    workspace.config("broken", "= 1")
    workspace.write("tasks/index.json", "{")
    assert len(listed(workspace.root, project="billing")["runs"]) == 5
    assert listed(workspace.root, project="biling")["hint"] == "did you mean 'billing'?"
    assert listed(workspace.root, parent=nightly["run_id"][:30])["runs"] == children
    workspace.write("tasks/index.json", json.dumps({"items": [{"id": "0101-billing", "project": "invoices"}]}))
    assert len(listed(workspace.root, project="invoices")["runs"]) == 5


def test_since_and_task(tmp_path: Path) -> None:
    """Since goes by the run's name, so that older records are not opened; a task without runs has a near match."""
    make_runs(tmp_path, 2)
    manifest_of(tmp_path, 1).write_text("{")
    assert listed(tmp_path, since="2026-11-22T08:43:00.002Z")["known"] == 1
    assert listed(tmp_path, since="2026-11-23")["known"] == 0
    assert listed(tmp_path, task="1001-helo")["hint"] == f"did you mean '{TASK}'?"


def test_what_can_not_be_asked(tmp_path: Path) -> None:
    """Bad ids and times are refused, and so is a parent of which there is no run; a whole id needs none."""
    make_workspace(tmp_path)
    for asked in ({"project": "../x"}, {"task": ""}, {"pipeline": "A"}, {"since": "soon"}, {"parent": "x y"}):
        with pytest.raises(UsageError):
            listed(tmp_path, **asked)
    with pytest.raises(NotFound):
        listed(tmp_path, parent="2026")
    assert listed(tmp_path, parent=make_run_id(1))["runs"] == []


def test_the_real_program_over_two_projects(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Runs of two projects come in one list, each with its stages counted, as text and as JSON."""
    workspace.project("good")
    workspace.project("bad", {"lint": "false"})
    assert orchestrate("start", "--project", "good").code == 0
    assert orchestrate("start", "--project", "bad").code == 3
    document = orchestrate("runs", "--format", "json").document
    assert [(row["project"], row["status"]) for row in document["runs"]] == [("bad", "failed"), ("good", "succeeded")]
    assert document["runs"][0]["stages"]["failed"] == 1
    failed = orchestrate("runs", "--outcome", "failure", "--limit", "0", "--sort", "duration")
    assert failed.code == 0
    assert "bad diagnostics" in failed.stdout
    assert "good" not in failed.stdout
    assert orchestrate("runs", "--status", "done").code == 2
    assert orchestrate("runs", "--limit", "-1").code == 2
