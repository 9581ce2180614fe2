"""A run of mode cloud whose keeper is gone: shown as it is, and left alone by every command but ``attach``."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.clock import stamp
from orchestrator.base.redaction import Redactor
from orchestrator.commands.run.ancestry import Ancestry
from orchestrator.commands.run.create_run import begin_run
from orchestrator.config.plan_cache import PlanCache
from orchestrator.model.manifest.transitions import begun, stage_started
from orchestrator.runner.first_record import RunTerms
from orchestrator.store.keys import HeldKey, key_name
from orchestrator.store.layout import Location
from orchestrator.store.take_over import reopen, take_over
from tests.attacks.test_records import edit, snapshot
from tests.functional.test_fleet import ALL, fleet_of
from tests.functional.test_schema import check
from tests.harness import Orchestrator, WorkspaceFolder
from tests.records import FakeClock, make_engine, make_store

JSON = ("--format", "json")
TASK = "1-x"
AWAY = 'scheduler = "tcp://127.0.0.1:1"\ninsecure = true\n'


@pytest.fixture
def unattended(workspace: WorkspaceFolder) -> Path:
    """The folder of a run of project ``x`` that a worker had begun, started with the key ``k``; its keeper is gone.

    The engine can't be reached: nothing listens on its port.
    """
    workspace.project("x")
    workspace.write("workspace.toml", f"schema_version = 1\n[cloud]\n{AWAY}")
    store = make_store(workspace.root)
    plan = PlanCache(store.workspace).plan("x", "diagnostics", today=date(2026, 11, 22))
    held = HeldKey.take(store, key_name("x", "diagnostics", "k"))
    terms = RunTerms(TASK, "ann", mode="cloud", engine=make_engine(), dedup_key="0" * 64)
    run = begin_run(store, plan, terms, Ancestry(None), Redactor(()), FakeClock(), before_claim=held.note)
    held.release()
    at = run.manifest.started_at
    running = stage_started(begun(run.manifest, at, 0.0), "build", at, f"{run.manifest.artifact_root}/commands/01.log")
    run.save(running._replace(engine=make_engine()._replace(state="running")))
    run.close()
    return Path(run.folder.path)


def test_it_is_shown_as_it_is(unattended: Path, workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Every reader says that it goes on, that nobody attends it and what to do; the documents are as their schemas."""
    run_id = unattended.name
    before = snapshot(workspace.root)
    for words, name in ((("status", run_id), "status"), (("status", run_id, "--brief"), "brief")):
        shown = orchestrate(*words, *JSON).document
        check(orchestrate, name, shown)
        assert (shown["status"], shown["outcome"], shown["alive"], shown["attended"]) == (
            *("in_progress", None, None, False),
        )
        assert shown["next_command"] == f"codex-orchestrator attach {run_id}"
        assert shown["ready"]["reasons"][0]["code"] == "run-in-progress"
        text = orchestrate(*words).stdout
        assert "unattended" in text
        assert f"codex-orchestrator attach {run_id}" in text
    shown = orchestrate("status", run_id, *JSON).document
    assert (shown["engine"]["attended"], shown["commands"][0]["status"]) == (False, "running")
    listed = orchestrate("runs", *JSON).document
    check(orchestrate, "runs", listed)
    assert [(row["status"], row["alive"], row["attended"], row["died"]) for row in listed["runs"]] == [
        ("in_progress", None, False, False)
    ]
    assert "unattended" in orchestrate("runs").stdout
    projects = orchestrate("projects", *JSON).document
    assert projects["projects"][0]["last_run"] is None
    check(orchestrate, "lineage", orchestrate("lineage", run_id, *JSON).document)
    assert orchestrate("metrics", *JSON).document["projects"][0]["runs"] == 0
    followed = orchestrate("logs", run_id, "--follow")
    assert (followed.code, f"attach {run_id}" in followed.stderr) == (0, True)
    assert snapshot(workspace.root) == before


def test_a_watcher_goes_on(unattended: Path, orchestrate: Orchestrator) -> None:
    """``status --watch`` shows it until its own end, since the run may be attached to meanwhile."""
    watcher = orchestrate.popen("status", unattended.name, "--watch", "--interval", "0.1", stderr=subprocess.DEVNULL)
    assert watcher.stdout is not None
    assert b"in progress" in watcher.stdout.readline()
    time.sleep(0.3)
    assert watcher.poll() is None
    watcher.terminate()
    rest, _ = watcher.communicate(timeout=20)
    assert b"attach" in rest


def test_others_leave_it_alone(unattended: Path, workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What writes on its task, or would wait for it, refuses or passes it over; not a byte of the run is changed."""
    run_id = unattended.name
    manifest, before = (unattended / "manifest.json").read_bytes(), snapshot(unattended)
    doctor = orchestrate("doctor", *JSON)
    assert not [item for item in doctor.document["findings"] if run_id in json.dumps(item)]
    for words, code, error in (
        (("resume", run_id), 5, "unattended"),
        (("wait", run_id), 5, "unattended"),
        (("start", "--project", "x", "--key", "k"), 5, "key-conflict"),
        (("review", run_id, "--decision", "comment", "--reason", "x", "--actor", "q"), 5, "unattended"),
        (("cancel", run_id), 2, "engine-unreachable"),
    ):
        done = orchestrate(*words, *JSON)
        assert (done.code, done.document["error"]["code"]) == (code, error), words
        assert error != "unattended" or f"attach {run_id}" in done.document["error"]["hint"], words
    assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("doctor", "--repair").code in (0, 4)
    assert orchestrate("prune", "--all", "--yes", "--keep-within", "1s").code in (0, 2)
    verified = orchestrate("verify", "--all", "--state", *JSON)
    assert (verified.code, verified.document["findings"]) == (0, [])
    assert [note["code"] for note in verified.document["records"]["notes"]] == ["unattended"]
    assert (unattended / "manifest.json").read_bytes() == manifest
    assert snapshot(unattended) == before
    assert orchestrate("status", run_id, *JSON).document["status"] == "in_progress"


def test_a_fleet_is_not_resumed_over_it(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``resume`` of a fleet refuses while a child goes on in the cloud, and the fleet's next command leads to it."""
    fleet_of(workspace, "a", test="false")
    fleet = orchestrate(*ALL, *JSON).document["run_id"]
    store = make_store(workspace.root)
    child = workspace.runs("1-a")[-1]
    run = take_over(store, Location("1-a", child.name))
    with closing(run):
        reopen(store, run)
        again = run.manifest._replace(attempt=2, status="in_progress", completed_at=None, outcome=None)
        run.save(again._replace(engine=make_engine(), mode=again.mode._replace(name="cloud"), metrics_recorded=False))
    done = orchestrate("resume", fleet, *JSON)
    assert (done.code, done.document["error"]["code"]) == (5, "unattended")
    shown = orchestrate("status", fleet, *JSON).document
    check(orchestrate, "status", shown)
    assert [(entry["status"], entry["attended"]) for entry in shown["fleet"]["projects"]] == [("in_progress", False)]
    assert shown["next_command"] == f"codex-orchestrator attach {child.name}"
    assert [(entry["alive"], entry["attended"]) for entry in shown["child_runs"]] == [(None, False)]


def test_a_workspace_without_an_engine_gives_it_up_too(
    unattended: Path, workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Without [cloud] the scheduler is named, and nothing is changed; after a week attach closes the run as lost."""
    (workspace.root / "workspace.toml").unlink()

    def heard(at: datetime) -> None:
        edit(unattended, lambda document: document["engine"].update(last_contact_at=stamp(at)))

    heard(datetime.now(UTC))
    before = snapshot(unattended)
    for words in (("attach", unattended.name), ("cancel", unattended.name)):
        done = orchestrate(*words, *JSON)
        assert (done.code, done.document["error"]["code"]) == (2, "no-engine")
        assert workspace.manifest(unattended)["engine"]["scheduler"] in done.document["error"]["hint"]
    assert snapshot(unattended) == before
    heard(datetime.now(UTC) - timedelta(days=8))
    assert orchestrate("cancel", unattended.name).code == 2
    assert orchestrate("attach", unattended.name).code == 3
    record = workspace.manifest(unattended)
    assert (record["outcome"], record["engine"]["state"]) == ("error", "lost")


def in_cloud(document: dict[str, Any]) -> None:
    """Make a record say that its run is open in the cloud."""
    engine = {"name": "dask.distributed", "scheduler": "tls://h:1", "state": "running"}
    document.update(status="in_progress", outcome=None, completed_at=None, engine=engine)
    document["mode"]["name"] = "cloud"


def test_an_engine_wins_an_interrupted_run_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Who writes an engine into the record of a local run that died has it left open: never ready, and noted."""
    workspace.project("x")
    store = make_store(workspace.root)
    plan = PlanCache(store.workspace).plan("x", "diagnostics", today=date(2026, 11, 22))
    run = begin_run(store, plan, RunTerms(TASK, "ann"), Ancestry(None), Redactor(()), FakeClock())
    run.close()
    edit(Path(run.folder.path), in_cloud)
    run_id = run.where.run_id
    verified = orchestrate("verify", run_id, *JSON).document
    assert [(note["code"], note["path"].split("/")[3]) for note in verified["records"]["notes"]] == [
        ("unattended", run_id)
    ]
    approval = orchestrate("review", run_id, "--decision", "approve", "--reason", "x", "--actor", "q", *JSON)
    assert (approval.code, approval.document["error"]["code"]) == (5, "unattended")
    edit(Path(run.folder.path), lambda document: document.update(engine=None))
    assert orchestrate("doctor", "--repair").code in (0, 4)
    assert workspace.manifest(Path(run.folder.path))["status_detail"] == "interrupted"


def test_an_engine_hides_no_end(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A failed run that somebody sets back to open in the cloud is altered, by every reader; nobody goes on with it."""
    workspace.project("x", {"test": "false"})
    assert orchestrate("start", "--project", "x").code == 3
    run = workspace.runs(TASK)[-1]

    edit(run, in_cloud)
    (run.parents[1] / ".open" / run.name).touch()
    shown = orchestrate("status", run.name, *JSON).document
    assert "record-altered" in {reason["code"] for reason in shown["ready"]["reasons"]}
    assert orchestrate("runs", *JSON).document["runs"][0]["altered"] is not None
    for words in (("resume", run.name), ("review", run.name, "--decision", "comment", "--reason", "x", "--actor", "q")):
        assert orchestrate(*words).code == 7
    verified = orchestrate("verify", run.name, *JSON)
    assert (verified.code, {finding["code"] for finding in verified.document["findings"]}) == (4, {"manifest-edited"})
