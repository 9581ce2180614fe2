"""The process of a fleet is killed at any moment: nothing is left running, nothing is lost, resume ends whole."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
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


def below(pid: int, *, directly: bool = False) -> list[int]:
    """Return the processes below another, parents first; ``directly``: its own alone."""
    rows = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split()
    pairs = list(zip(map(int, rows[::2]), map(int, rows[1::2]), strict=True))
    found = [pid]
    for each in found[:1] if directly else found:
        found += [child for child, parent in pairs if parent == each]
    return found[1:]


linux = pytest.mark.skipif(sys.platform != "linux", reason="children are looked up by copies on Linux only")
SHIM = """#!/bin/sh
case "$*" in *--ignored=matching*)
    if test -e {root}/hold; then touch {root}/held; while test -e {root}/hold; do sleep 0.02; done; fi
esac
exec {git} "$@"
"""


_LATE = ("unpublished", "pointer-stale", "leftover-temp")
"""What a fleet leaves that is killed between the end of its record and its metrics: the next command mends it."""


class Answering:
    """A workspace of projects that are up to date, ``z`` after ``a``, and a git that a file ``hold`` holds up.

    It holds what copies of a fleet ask: no child that they look up has begun then.
    """

    def __init__(self, workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
        self.workspace = workspace
        self.root = workspace.root
        self.names = ("a", "b", "c", "z")
        keys = {"run": "true", "inputs": ["src"]}
        for name in self.names:
            workspace.project(name, {"build": keys, "test": keys}, pipeline="smoke")
            workspace.write(f"packages/{name}/src", name)
        last = self.root / "project_configs/z.toml"
        last.write_text(last.read_text().replace("[session]", 'depends_on = ["a"]\n[session]', 1))
        workspace.commit()
        shim = workspace.write("../tools/git", SHIM.format(root=self.root, git=shutil.which("git")))
        shim.chmod(0o755)
        path = os.pathsep.join((str(shim.parent.resolve()), orchestrate.environ["PATH"]))
        self.orchestrate = Orchestrator(self.root, {**orchestrate.environ, "PATH": path})
        assert self.orchestrate("start", "smoke", "--all").code == 0

    def start(self, *, held: bool) -> subprocess.Popen[bytes]:
        """Start a fleet; where its copies are to be ``held``, wait until they are."""
        if held:
            (self.root / "hold").touch()
        process = self.orchestrate.popen("start", "smoke", "--all", "--jobs", "2", stdout=-3, stderr=-3)
        until = soon()
        while held and not (self.root / "held").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        return process

    def release(self) -> None:
        """Let git answer."""
        (self.root / "hold").unlink()

    def is_over(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of a fleet, and of all that works in the workspace, and return the exit code."""
        code = process.wait(30)
        until = soon()
        while left := at_work(self.root):
            assert time.monotonic() < until, left
            time.sleep(0.02)
        return code

    def is_whole(self) -> bool:
        """Resume the fleet where it did not succeed; tell whether each project has just one more run that succeeded.

        One that was killed before it was recorded is started again; one killed after is mended.
        """
        if len(fleets(self.workspace)) == 1:
            assert self.orchestrate("start", "smoke", "--all").code == 0
        last = fleets(self.workspace)[-1]
        if last["status"] != "succeeded":
            done = self.orchestrate("resume", last["run_id"], *JSON)
            assert done.code == 0, done.stderr
        known = {child["run_id"] for child in fleets(self.workspace)[-1]["child_runs"]}
        for name in self.names:
            runs = [self.workspace.manifest(run) for run in self.workspace.runs(f"1-{name}")]
            assert [run["status"] for run in runs].count("succeeded") == 2
            assert {run["status"] for run in runs} <= {"succeeded", "failed"}
            assert {run["run_id"] for run in runs[1:]} == {
                each for each in known if each in {r["run_id"] for r in runs}
            }
        checked = self.orchestrate("verify", *JSON)
        assert (checked.code, checked.document["findings"]) == (0, [])
        left = self.orchestrate("doctor", *JSON).document["findings"]
        assert {(finding["code"] in _LATE, finding["heals"]) for finding in left} <= {(True, True)}, left
        return self.orchestrate("doctor", "--repair").code == 0


def at_work(root: Path) -> list[int]:
    """Return the processes that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "cwd").startswith(str(root)):
                found.append(int(entry.name))
    return found


@pytest.fixture
def answering(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> Answering:
    """Return a workspace whose children are answered."""
    return Answering(workspace, orchestrate)


@linux
@pytest.mark.parametrize("seed", range(2))
def test_a_kill_of_what_answers_children(answering: Answering, seed: int) -> None:
    """Copies, git, what they left to be started, or the fleet are killed while children are answered: none is lost."""
    chance = random.Random(seed)
    process = answering.start(held=False)
    until = soon()
    while process.poll() is None and not below(process.pid) and time.monotonic() < until:
        time.sleep(0.002)
    for _ in range(3):
        time.sleep(chance.uniform(0, 0.05))
        tree = [*below(process.pid), *([process.pid] if seed == 1 else [])]
        for pid in chance.sample(tree, min(1, len(tree))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert answering.is_over(process) in (0, 3, -signal.SIGKILL)
    assert answering.is_whole()


@linux
@pytest.mark.parametrize("killed", ["copies", "git", "fleet"])
def test_a_kill_while_copies_ask(answering: Answering, killed: str) -> None:
    """Without copies children are started, without git's answer for all each is asked for: none is lost or double."""
    process = answering.start(held=True)
    copies = below(process.pid, directly=True)
    asking = [pid for copy in copies for pid in below(copy)]
    for pid in {"copies": copies, "git": asking, "fleet": [process.pid]}[killed]:
        with suppress(ProcessLookupError):  # git's shim waits by short programs
            os.kill(pid, signal.SIGKILL)
    answering.release()
    assert answering.is_over(process) == (-signal.SIGKILL if killed == "fleet" else 0)
    assert answering.is_whole()


@linux
@pytest.mark.parametrize("how", ["kill", "interrupts"])
def test_a_slow_git_outlives_no_fleet(answering: Answering, how: str) -> None:
    """What copies ask ends with the fleet, and the copies with it: a fleet that died is shown as died at once."""
    process = answering.start(held=True)
    if how == "kill":
        process.kill()
    else:
        for _ in range(2):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.2)
    assert process.wait(60) == (-signal.SIGKILL if how == "kill" else 128 + signal.SIGINT)
    until = soon(60)
    while left := at_work(answering.root):
        assert time.monotonic() < until, left
        time.sleep(0.02)
    shown = answering.orchestrate("status", *JSON).document
    assert (shown["alive"], shown["status"]) == (False, "failed" if how == "kill" else "cancelled")
    answering.release()
    assert answering.is_whole()


@linux
def test_a_stopped_copy_goes_on(answering: Answering) -> None:
    """Copies that somebody stops are made to go on within some seconds, and the fleet ends as ever."""
    process = answering.start(held=True)
    for pid in below(process.pid, directly=True):
        os.kill(pid, signal.SIGSTOP)
    answering.release()
    assert answering.is_over(process) == 0
    assert [run["attempt"] for run in fleets(answering.workspace)] == [1, 1]
    assert answering.is_whole()


@linux
def test_an_interrupt_while_copies_ask(answering: Answering) -> None:
    """Ctrl-C cancels the fleet; the children that copies had in hand end whole, those behind them are not begun."""
    process = answering.start(held=True)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.1)
    answering.release()
    assert answering.is_over(process) == 128 + signal.SIGINT
    record = fleets(answering.workspace)[-1]
    assert (record["status"], record["commands"][-1]["id"], record["commands"][-1]["status"]) == (
        *("cancelled", "z", "skipped"),
    )
    for name in "abc":
        [command] = [command for command in record["commands"] if command["id"] == name]
        count = len(answering.workspace.runs(f"1-{name}"))
        assert (command["status"], count) in (("succeeded", 2), ("skipped", 1))
    assert len(answering.workspace.runs("1-z")) == 1
    assert answering.is_whole()


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
