"""However a run ends, through whichever door it came, nothing that its stages started is left running."""

from __future__ import annotations

import array
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.clock import parse_stamp
from orchestrator.base.files import Folder, Seam
from tests.harness import Done, Orchestrator, WorkspaceFolder
from tests.process_driver import EVERY_KIND, LINUX, ZOO, marked, new_marker, parent_of, soon

TASK = "1-x"
HELD_SECONDS = 5.0
"""As long may a process out of reach hold a stage's output."""


def onboard(workspace: WorkspaceFolder, marker: str, ending: str, **keys: object) -> None:
    """Onboard a project whose test stage starts one process of each kind and then stays, or ends with a code."""
    script = workspace.write("zoo.py", ZOO)
    line = " ".join([f"exec {sys.executable} -I -S {script}", marker, ending, *EVERY_KIND])
    workspace.project("x", {"test": {"shell": line, **keys}})
    workspace.write("tasks.py", "from orchestrator.cli import namespace  # noqa: F401\n")
    workspace.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")


def doors(orchestrate: Orchestrator) -> dict[str, list[str]]:
    """Return the command lines of the three doors."""
    return {
        "codex-orchestrator": orchestrate.command("start", "--project", "x"),
        "invoke": [sys.executable, "-m", "invoke", "start", "--project", "x"],
        "nox": [sys.executable, "-m", "nox", "-s", "diagnostics-x"],
    }


@contextmanager
def running(workspace: WorkspaceFolder, orchestrate: Orchestrator, door: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run through a door and wait until its zoo is up."""
    process = subprocess.Popen(
        doors(orchestrate)[door],
        cwd=workspace.root,
        env=dict(orchestrate.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: b"ready" in log_of(workspace), "the zoo to be up")
        yield process
    finally:
        process.kill()
        process.wait()


def log_of(workspace: WorkspaceFolder) -> bytes:
    """Return what the stage has printed so far."""
    return b"".join(path.read_bytes() for run in workspace.runs(TASK) for path in run.glob("commands/03-test*.log"))


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Wait until something has happened, and fail after a while."""
    until = soon()
    while not happened():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.005)


def is_free(run: Path) -> bool:
    """Tell whether a run's lock is free."""
    with Folder.at(str(run), Seam()) as folder:
        return not folder.is_locked(".lock")


def recorded_stage(workspace: WorkspaceFolder) -> dict[str, Any]:
    """Return the entry of the stage in the record of the only run."""
    (run,) = workspace.runs(TASK)
    found: dict[str, Any] = next(item for item in workspace.manifest(run)["commands"] if item["id"] == "test")
    return found


def seconds_between(run: Path, first: str, last: str) -> float:
    """Return the seconds from one kind of event of a run to the last one of another."""
    events = [json.loads(line) for line in (run / "runner.ndjson").read_text().splitlines()]
    at = {event["type"]: parse_stamp(event["timestamp"]) for event in events}
    return (at[last] - at[first]).total_seconds()


@pytest.mark.parametrize(
    ("ending", "keys", "outcome", "code"),
    [("0", {}, "success", 0), ("3", {}, "failure", 3), ("stay", {"timeout": "1s"}, "timeout", 3)],
)
def test_nothing_survives_the_end_of_a_stage(
    workspace: WorkspaceFolder,
    orchestrate: Orchestrator,
    ending: str,
    keys: dict[str, object],
    outcome: str,
    code: int,
) -> None:
    """After success, failure and timeout every daemon is gone, and the record says how many were swept."""
    marker = new_marker()
    onboard(workspace, marker, ending, **keys)
    assert orchestrate("start", "--project", "x").code == code
    assert marked(marker) == []
    stage = recorded_stage(workspace)
    assert stage["outcome"] == outcome
    assert stage["attempts"][0]["swept"] >= len(EVERY_KIND) - 1  # one kind ends by itself when it is told to
    assert not stage["attempts"][0]["pipe_held"]


@pytest.mark.parametrize(
    ("number", "times"),
    [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGHUP, 1)],
)
def test_nothing_survives_a_signal(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, number: signal.Signals, times: int
) -> None:
    """The record is closed as cancelled and every process is gone; a second signal shortens the grace period."""
    marker = new_marker()
    onboard(workspace, marker, "stay")
    with running(workspace, orchestrate, "codex-orchestrator") as process:
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.2)
        assert process.wait(60) == 128 + number
    assert marked(marker) == []
    (run,) = workspace.runs(TASK)
    assert workspace.manifest(run)["status"] == "cancelled"
    assert len(workspace.metrics(TASK)) == 1
    assert is_free(run)
    took = seconds_between(run, "run:cancelling", "stage:end")
    assert (took < 4.5) if times == 2 else (took > 4.5), took


@pytest.mark.parametrize("door", ["codex-orchestrator", "invoke", "nox"])
def test_nothing_survives_the_death_of_the_orchestrator(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, door: str
) -> None:
    """After ``kill -9`` the lock is free within moments, nothing is left then, and the run can be resumed."""
    marker = new_marker()
    onboard(workspace, marker, "stay")
    with running(workspace, orchestrate, door) as process:
        (run,) = workspace.runs(TASK)
        assert marked(marker) != []
        process.kill()
        began = time.monotonic()
        wait_until(lambda: is_free(run), "the lock to be free")
        assert time.monotonic() - began < 4.5, "there is no grace"
        assert marked(marker) == []
    shown = orchestrate("status", "--format", "json").document
    assert (shown["status"], shown["outcome"], shown["status_detail"]) == ("failed", "error", "interrupted")
    onboard(workspace, marker, "0")
    assert orchestrate("resume", run.name, "--accept-drift").code == 0
    assert [line["attempt"] for line in workspace.metrics(TASK)] == [1, 2]
    assert marked(marker) == []


@pytest.mark.skipif(not LINUX, reason="the guard is found as the parent of a stage's reaper")
def test_a_stopped_guard_ends_the_tree_of_a_killed_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Its owner's death wakes it up; and as long as a copy of the run's lock is held, nobody can take the run over."""
    marker = new_marker()
    onboard(workspace, marker, "stay")
    with running(workspace, orchestrate, "codex-orchestrator") as process:
        (run,) = workspace.runs(TASK)
        with open(run / ".lock", "r+") as copy:
            os.kill(parent_of(parent_of(min(marked(marker)))), signal.SIGSTOP)
            process.kill()
            process.wait()
            wait_until(lambda: marked(marker) == [] and is_free(run), "the tree to be ended, and the lock to be free")
            fcntl.flock(copy, fcntl.LOCK_EX)
            refused = orchestrate("resume", run.name, "--format", "json")
            assert (refused.code, refused.document["error"]["code"]) == (5, "alive")
            assert orchestrate("status", "--format", "json").document["status"] == "in_progress"


class Holder:
    """Takes descriptors over a socket and keeps them, as a daemon would that lives outside of a stage's tree."""

    def __init__(self, path: Path) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self.held: list[int] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            _, messages, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(4))
            self.held += array.array("i", messages[0][2])
            connection.sendall(b".")

    def close(self) -> None:
        """Give everything back."""
        self._listening.close()
        for fd in self.held:
            os.close(fd)


def test_a_pipe_held_from_outside_ends_with_its_stage(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """A process out of reach that holds the output delays the end by 5 s at most, and the record says so."""
    holder = Holder(tmp_path / "holder")
    script = workspace.write(
        "give.py",
        "import array, socket, sys\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        f"sock.connect({str(tmp_path / 'holder')!r})\n"
        "print('given', flush=True)\n"
        "sock.sendmsg([b'.'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1]))])\n"
        "sock.recv(1)\n",
    )
    workspace.project("x", {"test": f"{sys.executable} -I -S {script}"})
    done: Done = orchestrate("start", "--project", "x")
    holder.close()
    assert done.code == 0, done.stderr
    stage = recorded_stage(workspace)
    assert stage["attempts"][0]["pipe_held"] is True
    took = parse_stamp(stage["completed_at"]) - parse_stamp(stage["started_at"])
    assert HELD_SECONDS - 0.5 < took.total_seconds() < HELD_SECONDS + 5
    assert log_of(workspace) == b"given\n"
