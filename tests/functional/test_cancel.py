"""``cancel``: a run is stopped from another terminal, and its record says by whom and why."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.functional.test_start import processes_with, wait_for
from tests.harness import Orchestrator, WorkspaceFolder

TASK = "1-x"


def events_of(run: Path) -> list[dict[str, Any]]:
    """Return the events of a run."""
    return [json.loads(line) for line in (run / "runner.ndjson").read_text().splitlines()]


def live_run(workspace: WorkspaceFolder, orchestrate: Orchestrator, mark: str) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a run whose build sleeps, and return its process and folder once the stage is running."""
    workspace.project("x", {"build": f"sleep {mark}"})
    process = orchestrate.popen("start", "--project", "x", "--format", "json")
    wait_for(lambda: processes_with(workspace, mark))
    return process, workspace.runs(TASK)[-1]


def test_a_live_run_is_cancelled(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """0 for who cancels, 3 for who waited; actor and reason are in detail and event; nothing is left running."""
    process, run = live_run(workspace, orchestrate, "974.1")
    done = orchestrate(
        "cancel",
        run.name,
        "--reason",
        "wrong branch",
        "--actor",
        "ada",
        "--format",
        "json",
    )
    assert done.code == 0, done.stderr
    assert (done.document["run_id"], done.document["status"], done.document["exit_code"]) == (run.name, "cancelled", 0)
    assert not processes_with(workspace, "974.1")
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 3
    assert json.loads(stdout)["status"] == "cancelled"
    manifest = workspace.manifest(run)
    assert (manifest["status"], manifest["outcome"]) == ("cancelled", "cancellation")
    assert manifest["status_detail"] == "cancelled by ada: wrong branch"
    (event,) = [item for item in events_of(run) if item["type"] == "run:cancel"]
    assert (event["actor"], event["reason"]) == ("ada", "wrong branch")
    assert not (run / "cancel.json").exists()
    assert [line["status"] for line in workspace.metrics(TASK)] == ["cancelled"]


def test_secrets_in_a_reason_are_masked(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A value that is secret to who cancels, or to the run, reaches no file."""
    process, run = live_run(
        workspace, Orchestrator(orchestrate.cwd, {**orchestrate.environ, "A_TOKEN": "sesame-a"}), "974.2"
    )
    done = orchestrate("cancel", run.name, "--reason", "sesame-a sesame-b", env={"B_TOKEN": "sesame-b"})
    assert done.code == 0, done.stderr
    process.communicate(timeout=30)
    assert "sesame" not in (run / "manifest.json").read_text() + (run / "runner.ndjson").read_text()
    assert workspace.manifest(run)["status_detail"].startswith("cancelled by tester: ")


def test_a_signal_without_a_request_keeps_its_code(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A request of an earlier attempt is not taken for this one's."""
    process, run = live_run(workspace, orchestrate, "974.3")
    (run / "cancel.json").write_text(json.dumps({"actor": "eve", "reason": "", "at": "x", "attempt": 7}))
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert workspace.manifest(run)["status_detail"] == "stopped by SIGTERM"


def test_a_stopped_process_is_cancelled_too(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Ctrl-Z, or a debugger, does not keep a run from being cancelled."""
    process, run = live_run(workspace, orchestrate, "974.4")
    process.send_signal(signal.SIGSTOP)
    assert orchestrate("cancel", "latest").code == 0
    process.communicate(timeout=30)
    assert workspace.manifest(run)["status"] == "cancelled"


def test_a_detached_run_ends_with_its_children(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The whole tree of runs is cancelled, each with its own closed record."""
    workspace.project("inner", {"build": "sleep 974.5"})
    workspace.project("x", {"build": "codex-orchestrator start --project inner"})
    started = orchestrate("start", "--project", "x", "--detach", "--format", "json")
    wait_for(lambda: processes_with(workspace, "974.5"))
    done = orchestrate("cancel", started.document["run_id"], "--format", "json")
    assert done.code == 0, done.stderr
    assert not processes_with(workspace, "974.5")
    (inner,) = workspace.runs("1-inner")
    assert workspace.manifest(inner)["status"] == "cancelled"
    (child,) = workspace.manifest(workspace.runs(TASK)[0])["child_runs"]
    assert child["status"] == "cancelled"


def test_a_run_below_nox_is_cancelled(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A bare ``nox -s`` ends with nox's own code, and the record says who cancelled it."""
    workspace.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    workspace.project("x", {"build": "sleep 974.6"})
    command = [sys.executable, "-m", "nox", "-s", "diagnostics-x"]
    process = subprocess.Popen(
        command, cwd=workspace.root, env=dict(orchestrate.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: processes_with(workspace, "974.6"))
    assert orchestrate("cancel", "latest", "--actor", "ada").code == 0
    assert process.wait(30) == 1
    assert workspace.manifest(workspace.runs(TASK)[0])["status_detail"] == "cancelled by ada"


def test_what_can_not_be_cancelled(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Ended: 5, unknown: 6, bad reference: 2, and nothing is written."""
    workspace.project("x")
    assert orchestrate("cancel", "latest").code == 6
    assert orchestrate("start", "--project", "x").code == 0
    (run,) = workspace.runs(TASK)
    before = sorted(run.iterdir())
    ended = orchestrate("cancel", run.name, "--format", "json")
    assert (ended.code, ended.document["error"]["code"]) == (5, "ended")
    assert orchestrate("cancel", "2026-01-01T00-00-00-000Z-00000000").code == 6
    assert orchestrate("cancel", "no run").code == 2
    assert orchestrate("cancel", run.name, "--actor", " ").code == 2
    assert sorted(run.iterdir()) == before


def test_a_run_of_version_1_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Exit code 5, also for one that says that it is in progress."""
    samples = Path(__file__).resolve().parent.parent / "samples" / "version-1" / "runs"
    shutil.copytree(samples, workspace.root / ".runs")
    done = orchestrate("cancel", "2026-11-22T10-05-47-594Z-513d1ee0", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (5, "version-1")


def test_a_run_that_died_is_closed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Exit code 5 that says so, and a record that is closed as interrupted."""
    process, run = live_run(workspace, orchestrate, "974.7")
    process.kill()
    process.wait()
    wait_for(lambda: not processes_with(workspace, "974.7"))
    done = orchestrate("cancel", run.name, "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (5, "died")
    manifest = workspace.manifest(run)
    assert (manifest["status"], manifest["outcome"], manifest["status_detail"]) == ("failed", "error", "interrupted")
    assert len(workspace.metrics(TASK)) == 1


OWNER_KEYS = ["pid", "started", "host", "boot_id"]


@pytest.mark.parametrize("change", OWNER_KEYS)
def test_only_the_very_process_is_signalled(workspace: WorkspaceFolder, orchestrate: Orchestrator, change: str) -> None:
    """A lock file that names another pid, start, boot or host gets nobody signalled."""
    process, run = live_run(workspace, orchestrate, f"974.8{OWNER_KEYS.index(change)}")
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        owner = json.loads((run / ".lock").read_text())
        assert owner["pid"] == process.pid
        other = {"pid": bystander.pid, "started": owner["started"] - 1, "host": "elsewhere", "boot_id": "x"}
        # In place: the lock belongs to the file.
        (run / ".lock").write_text(json.dumps({**owner, change: other[change]}))
        done = orchestrate("cancel", run.name, "--format", "json", timeout=60)
        expected = "other-host" if change in ("host", "boot_id") else "holder-unknown"
        assert (done.code, done.document["error"]["code"]) == (5, expected)
        assert bystander.poll() is None
        assert process.poll() is None
        assert not (run / "cancel.json").exists()
    finally:
        bystander.kill()
        bystander.wait()
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to be somebody else")
def test_another_users_run_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator, home: Path) -> None:
    """Exit code 5, code ``not-permitted``, with nothing changed."""
    process, run = live_run(workspace, orchestrate, "974.9")
    for folder in (workspace.root, *workspace.root.parents[:-2], *home.parents[:-1]):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    try:
        finished = subprocess.run(
            [*nobody, *orchestrate.command("cancel", run.name, "--format", "json")],
            cwd=workspace.root,
            env={**orchestrate.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 5, finished.stderr.decode()
        assert json.loads(finished.stdout)["error"]["code"] == "not-permitted"
        assert not (run / "cancel.json").exists()
        time.sleep(0.2)
        assert process.poll() is None
        assert workspace.manifest(run)["status"] == "in_progress"
    finally:
        process.terminate()
        process.communicate(timeout=30)
