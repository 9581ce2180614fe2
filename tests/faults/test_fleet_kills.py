"""The process of a fleet is killed at any moment: nothing is left running, nothing is lost, resume ends whole."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder
from tests.process_driver import marked, new_marker, parent_of, soon

JSON = ("--format", "json")
NAMES = ("a", "b", "c", "d")
LONGEST_SECONDS = 3.0
HELD = "touch held; for n in $(seq 1000); do test -e go && break; sleep 0.02; done"


def gone(marker: str) -> bool:
    """Wait until no process of the fleet's stages is left; False when one stays."""
    until = soon()
    while marked(marker):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def fleets(workspace: WorkspaceFolder) -> list[dict[str, Any]]:
    """Return the records of all fleets."""
    return [workspace.manifest(run) for run in workspace.runs("fleet")]


@pytest.mark.parametrize("seed", range(5))
def test_a_kill_at_any_moment(workspace: WorkspaceFolder, orchestrate: Orchestrator, seed: int) -> None:
    """After a kill no stage is left; the fleet, where it came to be, and each of its runs end whole by its resume."""
    marker = new_marker()
    for name in NAMES:
        work = f"sh -c 'sleep 0.3' {marker}; echo {name} >> ../built"
        workspace.project(name, {"build": work, "test": work}, pipeline="smoke")
    process = orchestrate.popen("start", "smoke", "--all", "--jobs", "3", stdout=-3, stderr=-3)
    try:
        time.sleep(random.Random(seed).uniform(0.2, LONGEST_SECONDS))
    finally:
        process.kill()
        process.wait(10)
    assert gone(marker)
    if not fleets(workspace):
        assert orchestrate("start", "smoke", "--all").code == 0
    until = soon()
    while orchestrate("status", "latest", *JSON).document["alive"] and time.monotonic() < until:
        time.sleep(0.05)
    if fleets(workspace)[0]["status"] != "succeeded":
        done = orchestrate("resume", "latest", *JSON)
        assert done.code == 0, done.stderr
    [record] = fleets(workspace)
    assert (record["status"], len(record["commands"])) == ("succeeded", len(NAMES))
    known = {child["run_id"] for child in record["child_runs"]}
    for name in NAMES:
        runs = [workspace.manifest(run) for run in workspace.runs(f"1-{name}")]
        assert [run["status"] for run in runs][-1:] == ["succeeded"]
        assert all(run["status"] in ("succeeded", "failed") for run in runs)
        assert {run["run_id"] for run in runs} <= known
    built = (workspace.root / "packages/built").read_text().split()
    assert all(built.count(name) >= 2 for name in NAMES)
    checked = orchestrate("verify", *JSON)
    assert (checked.code, checked.document["findings"]) == (0, [])


def test_a_child_that_is_killed_is_closed_with_its_fleet(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The fleet goes on and ends; the record of the killed child is then closed and published, whatever its task."""
    workspace.project("a", {"build": "sleep 60"}, pipeline="smoke")
    workspace.project("b", {"build": "true"}, pipeline="smoke")
    process = orchestrate.popen("start", "smoke", "--all", "--jobs", "2", stdout=-3, stderr=-3)
    until = soon()
    while not (found := [each for each in workspace.runs("1-a") if holder_of(each)]) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(holder_of(found[0]), signal.SIGKILL)
    assert process.wait(30) == 3
    record = workspace.manifest(workspace.runs("1-a")[0])
    assert (record["status"], record["status_detail"], record["metrics_recorded"]) == ("failed", "interrupted", True)
    [fleet] = fleets(workspace)
    assert {child["project"]: child["status"] for child in fleet["child_runs"]} == {"a": "failed", "b": "succeeded"}
    assert orchestrate("doctor").code == 0


def test_a_child_that_is_killed_after_its_success(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The fleet ends with 3 and names the project with its run's success; its resume takes that run and is whole."""
    folder = workspace.project("a", {"build": {"shell": HELD}}, pipeline="smoke")
    process = orchestrate.popen("start", "smoke", "--all", *JSON, stderr=-3)
    wait_until((folder / "held").exists)
    [run] = workspace.runs("1-a")
    with open(workspace.root / ".runs/1-a/.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the record is closed, and what follows waits
        (folder / "go").touch()
        wait_until(lambda: workspace.manifest(run)["status"] == "succeeded")
        os.kill(holder_of(run), signal.SIGKILL)
    said, _ = process.communicate(timeout=30)
    document = json.loads(said)
    assert (process.returncode, document["fleet"]["totals"]["failed"]) == (3, 1)
    assert document["failed"][0]["signal"] == "SIGKILL"
    [entry] = orchestrate("status", *JSON).document["fleet"]["projects"]
    assert (entry["run_id"], entry["status"], entry["run_status"]) == (run.name, "failed", "succeeded")
    assert entry["cause"] == "SIGKILL after its run had succeeded"
    [brief] = orchestrate("status", "--brief", *JSON).document["failed"]
    assert (brief["stage"], brief["cause"]) == ("a", entry["cause"])
    assert fleets(workspace)[0]["commands"][0]["summary"] is None  # not "run succeeded", the last that it said
    done = orchestrate("resume", "latest", *JSON)
    assert (done.code, done.document["fleet"]["totals"]["succeeded"]) == (0, 1)
    assert workspace.runs("1-a") == [run]


@pytest.mark.parametrize("killed", ["guard", "reaper"])
def test_a_kill_of_what_the_children_are_copies_of(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, killed: str
) -> None:
    """Without the guard the fleet ends, without a reaper its child: no stage is left, and the resume ends whole."""
    marker = new_marker()
    workspace.project("a", {"build": f"test -e ../go || sh -c 'sleep 60' {marker}"}, pipeline="smoke")
    process = orchestrate.popen("start", "smoke", "--all", stdout=-3, stderr=-3)
    until = soon()
    while not marked(marker) and time.monotonic() < until:
        time.sleep(0.02)
    [child] = workspace.runs("1-a")
    reaper = parent_of(holder_of(child))
    os.kill(reaper if killed == "reaper" else parent_of(reaper), signal.SIGKILL)
    assert process.wait(30) == 3
    assert gone(marker)
    [fleet] = fleets(workspace)
    assert "SIGKILL" in (fleet["commands"][0]["signal"] if killed == "reaper" else fleet["status_detail"])
    workspace.write("packages/go", "")
    done = orchestrate("resume", "latest", *JSON)
    assert done.code == 0, done.stderr
    assert workspace.manifest(child)["attempt"] == 2
    checked = orchestrate("verify", *JSON)
    assert (checked.code, checked.document["findings"]) == (0, [])


@pytest.mark.skipif(sys.platform != "linux", reason="guards are copied on Linux only")
def test_a_guard_that_is_a_copy_of_its_owner(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The program as its user calls it copies itself: its stages end with it all the same, and the resume is whole."""
    marker = new_marker()
    workspace.project("a", {"build": f"test -e ../go || sh -c 'sleep 60' {marker}"}, pipeline="smoke")
    workspace.project("b", {"build": "true"}, pipeline="smoke")
    argv = [sys.executable, "-m", "orchestrator", "start", "smoke", "--all", "--jobs", "2"]
    process = subprocess.Popen(argv, cwd=workspace.root, env=orchestrate.environ, stdout=-3, stderr=-3)
    until = soon()
    while not marked(marker) and time.monotonic() < until:
        time.sleep(0.02)
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below(process.pid)[:2]]
    assert lines == [Path(f"/proc/{process.pid}/cmdline").read_bytes()] * 2
    process.kill()
    process.wait(10)
    assert gone(marker)
    workspace.write("packages/go", "")
    done = orchestrate("resume", "latest", *JSON)
    assert done.code == 0, done.stderr
    checked = orchestrate("verify", *JSON)
    assert (checked.code, checked.document["findings"]) == (0, [])


def below(pid: int) -> list[int]:
    """Return the processes below another, parents first."""
    rows = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split()
    pairs = list(zip(map(int, rows[::2]), map(int, rows[1::2]), strict=True))
    found = [pid]
    for each in found:
        found += [child for child, parent in pairs if parent == each]
    return found[1:]


@pytest.mark.skipif(sys.platform != "linux", reason="children are answered on Linux only")
@pytest.mark.parametrize("seed", range(2))
def test_a_kill_of_what_answers_children(workspace: WorkspaceFolder, orchestrate: Orchestrator, seed: int) -> None:
    """Guard, reapers, answerers or git are killed while up-to-date children are answered: the resume ends whole."""
    names = [f"p{number}" for number in range(6)]
    keys = {"run": "true", "inputs": ["src"]}
    for name in names:
        workspace.project(name, {"build": keys, "test": keys}, pipeline="smoke")
        workspace.write(f"packages/{name}/src", name)
    workspace.commit()
    assert orchestrate("start", "smoke", "--all").code == 0
    chance = random.Random(seed)
    process = orchestrate.popen("start", "smoke", "--all", "--jobs", "2", stdout=-3, stderr=-3)
    until = soon()
    while process.poll() is None and len(workspace.runs("1-p2")) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    for _ in range(4):
        for pid in chance.sample(tree := below(process.pid), min(1, len(tree))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.1))
    assert process.wait(30) in (0, 3)
    assert not below(process.pid)
    if fleets(workspace)[-1]["status"] != "succeeded":
        done = orchestrate("resume", "latest", *JSON)
        assert done.code == 0, done.stderr
    for name in names:
        runs = [workspace.manifest(run) for run in workspace.runs(f"1-{name}")]
        assert [runs[0]["status"], runs[-1]["status"], len(runs) > 1] == ["succeeded", "succeeded", True]
    checked = orchestrate("verify", *JSON)
    assert (checked.code, checked.document["findings"]) == (0, [])
    assert orchestrate("doctor").code == 0


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened; a test that waits too long fails."""
    until = soon()
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


def holder_of(run: Path) -> int:
    """Return the process of a run that goes on, 0 where there is none yet."""
    try:
        return int(json.loads((run / ".lock").read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return 0
