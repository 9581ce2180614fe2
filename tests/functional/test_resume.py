"""``resume``: what runs again, what is refused, and what the record says of it."""

from __future__ import annotations

import json
import time
from datetime import datetime

import pytest

from tests.functional.test_start import processes_with, run_of, stage, wait_for
from tests.harness import Orchestrator, WorkspaceFolder

TASK = "1-x"
FLAKY = {"build": "echo b >> ran", "test": "echo t >> ran; test -e mended"}


def failed_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> str:
    """Start a run whose test stage fails until ``mended`` exists, and return its id."""
    workspace.project("x", dict(FLAKY))
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 3, done.stderr
    run_id: str = done.document["run_id"]
    return run_id


def test_only_what_has_not_succeeded_runs_again(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Build keeps its success, test is run anew; attempts, events and lines tell both attempts."""
    run_id = failed_run(workspace, orchestrate)
    folder = workspace.root / "packages" / "x"
    (folder / "mended").touch()
    time.sleep(1.1)
    done = orchestrate("resume", run_id, "--actor", "ada", "--reason", "mended it", "--format", "json")
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    assert (manifest["run_id"], manifest["attempt"], manifest["status"]) == (run_id, 2, "succeeded")
    assert (folder / "ran").read_text().split() == ["b", "t", "t"]
    assert [attempt["run_attempt"] for attempt in stage(manifest, "test")["attempts"]] == [1, 2]
    assert len(stage(manifest, "build")["attempts"]) == 1
    (event,) = manifest["resume_events"]
    assert (event["actor"], event["reason"], event["outcome"]) == ("ada", "mended it", "accepted")
    assert event["idle_seconds"] >= 1
    assert [(line["attempt"], line["status"]) for line in workspace.metrics(TASK)] == [(1, "failed"), (2, "succeeded")]
    assert workspace.state(TASK)["totals"] == {"runs": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert [item["attempt"] for item in manifest["provenance"]] == [1, 2]


def test_idle_time_is_not_counted(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The time between the attempts is in no duration, and the deadline moves by it."""
    run_id = failed_run(workspace, orchestrate)
    before = workspace.manifest(workspace.runs(TASK)[0])["sla"]
    (workspace.root / "packages" / "x" / "mended").touch()
    time.sleep(2)
    done = orchestrate("resume", run_id, "--format", "json")
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    wall = seconds(manifest["completed_at"]) - seconds(manifest["started_at"])
    assert manifest["sla"]["active_seconds"] < wall - 1.9
    assert workspace.metrics(TASK)[1]["duration_seconds"] == manifest["sla"]["active_seconds"]
    moved = seconds(manifest["sla"]["deadline_at"]) - seconds(before["deadline_at"])
    assert 1.9 < moved < 30


def seconds(stamp: str) -> float:
    """Return a timestamp as seconds."""
    return datetime.fromisoformat(stamp).timestamp()


def test_a_succeeded_run_is_not_resumed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Exit code 5 and an unchanged record."""
    workspace.project("x")
    assert orchestrate("start", "--project", "x").code == 0
    (run,) = workspace.runs(TASK)
    before = (run / "manifest.json").read_bytes()
    done = orchestrate("resume", run.name, "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (5, "succeeded")
    assert (run / "manifest.json").read_bytes() == before


def test_a_live_run_is_not_resumed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Exit code 5 while its process lives, also when that process is stopped and its heartbeat is old."""
    import signal

    workspace.project("x", {"build": "sleep 983.5"})
    process = orchestrate.popen("start", "--project", "x")
    wait_for(lambda: processes_with(workspace, "983.5"))
    try:
        process.send_signal(signal.SIGSTOP)
        done = orchestrate("resume", "latest", "--format", "json")
        assert (done.code, done.document["error"]["code"]) == (5, "alive")
        assert orchestrate("status", "--format", "json").document["alive"] is True
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
    assert process.wait(30) == 143


def test_a_wrong_token_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Exit code 5 for a token that is not the run's, success with the one from its file."""
    run_id = failed_run(workspace, orchestrate)
    (workspace.root / "packages" / "x" / "mended").touch()
    refused = orchestrate("resume", run_id, "--token", "f" * 64, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (5, "wrong-token")
    token = (workspace.runs(TASK)[0] / ".resume-token").read_text().strip()
    assert orchestrate("resume", run_id, "--token", token).code == 0


def test_drift_is_refused_unless_accepted(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A changed plan is refused with what changed; accepted drift is recorded and unchanged successes are kept."""
    run_id = failed_run(workspace, orchestrate)
    workspace.project("x", {**FLAKY, "test": "echo t2 >> ran"})
    refused = orchestrate("resume", run_id, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (5, "drifted")
    assert "stage 'test'" in refused.document["error"]["message"]
    done = orchestrate("resume", run_id, "--accept-drift", "--format", "json")
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    assert manifest["resume_events"][0]["accepted_drift"] is True
    assert any("'test'" in line for line in manifest["resume_events"][0]["drift"])
    assert (workspace.root / "packages" / "x" / "ran").read_text().split() == ["b", "t", "t2"]


@pytest.mark.parametrize("far", ["x", "y"])
def test_a_weakened_sub_pipeline_is_drift(workspace: WorkspaceFolder, orchestrate: Orchestrator, far: str) -> None:
    """A resume is refused with the sub-pipeline's stage named, of another project too, and so is `plan --against`."""

    def write(line: str) -> None:
        nightly = {"far": {"pipeline": "checks", "project": far}}
        workspace.project("y", {"test": line}, pipeline="checks")
        workspace.project("x", nightly, pipeline="nightly")
        if far == "x":
            stage = f'[[pipelines.checks.stages]]\nid = "test"\nshell = "{line}"\n'
            config = workspace.root / "project_configs" / "x.toml"
            config.write_text(config.read_text() + stage)

    write("false")
    failed = orchestrate("start", "nightly", "--project", "x", "--format", "json")
    assert failed.code == 3, failed.stderr
    run_id = failed.document["run_id"]
    write("true")
    refused = orchestrate("resume", run_id, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (5, "drifted")
    assert f"sub-pipeline 'checks' of '{far}': stage 'test'" in refused.document["error"]["message"]
    shown = orchestrate("plan", "--project", "x", "--pipeline", "nightly", "--against", run_id, "--format", "json")
    assert any("stage 'test'" in line for line in shown.document["drift"]["changes"])
    accepted = orchestrate("resume", run_id, "--accept-drift", "--format", "json")
    assert accepted.code == 0, accepted.stderr
    assert any("stage 'test'" in line for line in run_of(accepted, workspace)["resume_events"][0]["drift"])


def test_a_secret_that_this_shell_does_not_know_is_no_drift(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A command that names a secret of the first shell is resumed from another one, and stays masked in the record."""
    secret = "hunter22-and-more"
    workspace.project("x", {"test": f"test {secret} = x || test -e mended"})
    first = orchestrate("start", "--project", "x", "--format", "json", env={"DEPLOY_TOKEN": secret})
    run_id = first.document["run_id"]
    workspace.write("packages/x/mended", "now")
    done = orchestrate("resume", run_id, "--format", "json")
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    assert manifest["resume_events"][0]["accepted_drift"] is False
    assert secret not in json.dumps(manifest)
    assert next(item["command"] for item in manifest["commands"] if item["id"] == "test").startswith("test ***")


def test_stages_that_passed_on_another_tree_are_named(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run whose build passed before the tree changed is not ready, and says why."""
    run_id = failed_run(workspace, orchestrate)
    workspace.write("packages/x/mended", "now")
    assert orchestrate("resume", run_id).code == 0
    ready = orchestrate("status", run_id, "--format", "json").document["ready"]
    assert ready["ready"] is False
    (reason,) = [item for item in ready["reasons"] if item["code"] == "mixed-trees"]
    assert "build" in reason["message"]


def test_a_run_that_died_can_be_resumed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """After ``kill -9`` the first attempt is closed as interrupted, and a second one succeeds."""
    folder = workspace.project("x", {"test": "test -e mended || sleep 982.5"})
    process = orchestrate.popen("start", "--project", "x")
    wait_for(lambda: processes_with(workspace, "982.5"))
    process.kill()
    process.wait()
    (folder / "mended").touch()
    wait_for(lambda: not processes_with(workspace, "982.5"))
    done = orchestrate("resume", "latest", "--format", "json")
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    assert manifest["resume_events"][0]["previous_status"] == "failed"
    outcomes = [(line["attempt"], line["outcome"]) for line in workspace.metrics(TASK)]
    assert outcomes == [(1, "error"), (2, "success")]


def test_an_unknown_run_is_not_found(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Exit code 6 for a well-formed id, 2 for one that is none."""
    workspace.project("x")
    assert orchestrate("resume", "2026-11-22T08-43-05-720Z-5087869c").code == 6
    assert orchestrate("resume", "../x").code == 2


def test_a_damaged_manifest_ends_in_exit_code_7(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Empty, cut off, ``{}`` and of an unknown version: exit code 7 and the file named, by resume and by status."""
    workspace.project("x")
    assert orchestrate("start", "--project", "x").code == 0
    (run,) = workspace.runs(TASK)
    path = run / "manifest.json"
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], b"{}", b'{"version": 99}', b"[1]", b'{"version": 2}'):
        path.write_bytes(damaged)
        for verb in ("resume", "status"):
            done = orchestrate(verb, run.name, "--format", "json")
            assert done.code == 7, (verb, damaged, done.stdout, done.stderr)
            assert "manifest.json" in done.document["error"]["message"]
        assert path.read_bytes() == damaged


def test_a_log_that_no_record_names_is_kept(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A log made just before the process died keeps its name; the next attempt's log takes the next one."""
    run_id = failed_run(workspace, orchestrate)
    (workspace.root / "packages" / "x" / "mended").touch()
    orphan = workspace.runs(TASK)[0] / "commands" / "03-test.2.log"
    orphan.write_text("of a dead process\n")
    done = orchestrate("resume", run_id, "--format", "json")
    assert done.code == 0, done.stderr
    assert orphan.read_text() == "of a dead process\n"
    assert stage(run_of(done, workspace), "test")["log_path"].endswith("03-test.3.log")
