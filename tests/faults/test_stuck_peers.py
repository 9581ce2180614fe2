"""Runs whose peers never move: readers that don't read, guards and reapers that are stopped or killed, held locks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder


def wait_until(is_so: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Return what ``is_so`` returns as soon as it is true."""
    until = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < until, f"waited for {what}"
        time.sleep(0.02)
    return found


def only_run(workspace: WorkspaceFolder, task: str = "1-x") -> Path:
    """Return the folder of the task's only run."""
    (run,) = workspace.runs(task)
    return run


def events_of(workspace: WorkspaceFolder) -> str:
    """Return the events of the only run as text, empty before there are any."""
    path = only_run(workspace) / "runner.ndjson"
    return path.read_text() if path.exists() else ""


def guard_of(pid: int) -> int | None:
    """Return the guard among the children of a process."""
    found = (child for child in children_of(pid) if b"guard.main" in read_quietly(Path(f"/proc/{child}/cmdline")))
    return next(found, None)


def test_a_guard_that_died_while_the_environments_lock_was_awaited(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The run ends with the guard's end as its reason, though its lock is never given back by its holder."""
    workspace.project("x")
    config = workspace.root / "project_configs" / "x.toml"
    config.write_text(config.read_text().replace('backend = "none"', 'backend = "venv"'))
    (workspace.root / ".nox").mkdir()
    with open(workspace.root / ".nox" / "diagnostics-x.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = orchestrate.popen("start", "--project", "x", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: workspace.runs("1-x"), "the run")
        wait_until(lambda: "environment:start" in events_of(workspace), "its events")
        guard = wait_until(lambda: guard_of(process.pid), "its guard")
        os.kill(guard, signal.SIGKILL)
        assert process.wait(timeout=60) == 3
    manifest = workspace.manifest(only_run(workspace))
    assert (manifest["status"], manifest["outcome"]) == ("failed", "error")
    assert manifest["status_detail"] == "the guard process was ended by SIGKILL"


def test_the_digests_of_a_run_are_those_of_what_was_written(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A later stage that rewrites an earlier log, or the events, changes nothing of what the chain's line says."""
    tamper = (
        'printf "all is well\\n" > "$CODEX_ORCHESTRATOR_RUN_DIR/commands/01-build.log"; '
        'sed -i s/success/failure/ "$CODEX_ORCHESTRATOR_RUN_DIR/runner.ndjson"; sleep 0.1'
    )
    workspace.project("x", {"build": "echo broken", "test": {"shell": tamper, "needs": ["build"]}})
    assert orchestrate("start", "--project", "x").code == 0
    line = json.loads((workspace.root / ".runs" / "1-x" / "chain.jsonl").read_text())
    files = {entry["path"]: entry for entry in line["files"]}
    log = files["commands/01-build.log"]
    assert (log["bytes"], log["sha256"]) == (7, hashlib.sha256(b"broken\n").hexdigest())
    events = (only_run(workspace) / "runner.ndjson").read_bytes()
    assert line["events"]["sha256"] != hashlib.sha256(events).hexdigest()
    found = orchestrate("verify", "--all", "--format", "json")
    assert found.code == 4
    paths = json.dumps(found.document)
    assert "01-build.log" in paths
    assert "runner.ndjson" in paths


def test_the_digests_of_a_resumed_run_are_those_of_its_files(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """An honest run that failed and was resumed verifies: the events of both attempts, its logs and error files."""
    workspace.project("x", {"test": "[ -e ../../done ] || { touch ../../done; exit 1; }", "build": "seq 100000"})
    assert orchestrate("start", "--project", "x").code == 3
    assert orchestrate("resume", "latest").code == 0
    assert orchestrate("verify", "--all").code == 0
    lines = [json.loads(text) for text in (workspace.root / ".runs" / "1-x" / "chain.jsonl").read_text().splitlines()]
    events = (only_run(workspace) / "runner.ndjson").read_bytes()
    assert [line["events"]["sha256"] for line in lines] == [
        hashlib.sha256(events[: line["events"]["bytes"]]).hexdigest() for line in lines
    ]
    assert lines[-1]["events"]["bytes"] == len(events)


def test_a_capped_log_that_cannot_be_cut(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A disk that refuses to put a capped log in order is storage's exit code; the record is closed and names it."""
    workspace.project("x", {"build": {"shell": "head -c 400000 /dev/zero", "log_limit": "64KiB"}})
    program = workspace.write(
        "broken_disk.py",
        "import errno, os, sys\n"
        "from orchestrator.base.files import Seam\n"
        "cut = Seam.truncate\n"
        "def refuse(self, fd, size):\n"
        "    if size < 10000:\n"
        "        return cut(self, fd, size)\n"
        "    raise OSError(errno.EIO, os.strerror(errno.EIO))\n"
        "Seam.truncate = refuse\n"
        "from orchestrator.__main__ import main\n"
        "sys.argv[0] = 'codex-orchestrator'\n"
        "raise SystemExit(main())\n",
    )
    command = [orchestrate.command()[0], str(program), "start", "--project", "x"]
    done = subprocess.run(
        command, cwd=workspace.root, env=dict(orchestrate.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 8, done.stderr
    assert "commands/01-build.log' can't be read or written: input/output error" in done.stderr
    manifest = workspace.manifest(only_run(workspace))
    assert (manifest["status"], manifest["outcome"]) == ("failed", "error")
    assert "01-build.log" in manifest["status_detail"]


LONG = {"build": {"shell": "yes some output | head -c 3000000; sleep 600", "timeout": "5s"}}


def noxfile(workspace: WorkspaceFolder) -> None:
    """Give the workspace what nox and Invoke need."""
    workspace.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    workspace.write("tasks.py", "from orchestrator.cli import namespace  # noqa: F401\n")


def entries(orchestrate: Orchestrator) -> dict[str, list[str]]:
    """Return command lines that start a run, by a name."""
    start = orchestrate.command("start", "--project", "x")
    return {
        "text": start,
        "json": [*start, "--format", "json"],
        "ndjson": [*start, "--format", "ndjson"],
        "invoke": [start[0], "-m", "invoke", "start", "--project", "x"],
        "nox": [start[0], "-m", "nox", "-s", "diagnostics-x"],
    }


@pytest.mark.parametrize("kind", ["pipe", "terminal", "socket"])
@pytest.mark.parametrize("entry", ["text", "json", "ndjson", "invoke", "nox"])
def test_output_that_nobody_reads(workspace: WorkspaceFolder, orchestrate: Orchestrator, entry: str, kind: str) -> None:
    """The stage's timeout ends it, the heartbeat goes on, the log is whole, and the command ends by itself."""
    workspace.project("x", LONG)
    noxfile(workspace)
    reader, writer = {"pipe": os.pipe, "terminal": os.openpty, "socket": stream_pair}[kind]()
    process = subprocess.Popen(
        entries(orchestrate)[entry],
        cwd=workspace.root,
        env=dict(orchestrate.environ),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    )
    os.close(writer)
    try:
        assert process.wait(timeout=40) == (1 if entry == "nox" else 3)
    finally:
        process.kill()
        os.close(reader)
    manifest = workspace.manifest(only_run(workspace))
    build = next(command for command in manifest["commands"] if command["id"] == "build")
    assert build["outcome"] == "timeout"
    assert 4 < build["duration_seconds"] < 12
    assert (only_run(workspace) / "commands" / "01-build.log").stat().st_size == 3_000_000


def stream_pair() -> tuple[int, int]:
    """Return two ends of a socket, as programs give them to what they start."""
    here, there = socket.socketpair()
    return here.detach(), there.detach()


def test_a_reader_that_comes_late(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It gets what was kept, one line that says how much was not, and the end of the run."""
    workspace.project("x", {"build": "seq 1000000; sleep 4; echo all is well"})
    process = orchestrate.popen("start", "--project", "x", "--jobs", "1")
    log = wait_until(lambda: list(workspace.root.glob(".runs/1-x/cli/*/commands/01-build.log")), "the log")[0]
    wait_until(lambda: b"1000000\n" in log.read_bytes()[-200:], "all of the output to be logged, with nobody reading")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.count(b"bytes of output are not shown") == 1
    assert b"all is well\n" in output
    assert b"run succeeded" in output


@pytest.mark.parametrize("how", ["SIGTERM", "cancel"])
def test_signals_and_cancel_while_nobody_reads(workspace: WorkspaceFolder, orchestrate: Orchestrator, how: str) -> None:
    """Cancel ends such a run, and so does SIGTERM, with 143."""
    workspace.project("x", {"build": "yes some output | head -c 3000000; sleep 600"})
    process = orchestrate.popen("start", "--project", "x")
    log = wait_until(lambda: list(workspace.root.glob(".runs/1-x/cli/*/commands/01-build.log")), "the log")[0]
    wait_until(lambda: log.stat().st_size == 3_000_000, "all of the output to be logged")
    if how == "cancel":
        assert orchestrate("cancel", "latest", timeout=30).code == 0
    else:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == (3 if how == "cancel" else 143)
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def children_of(pid: int) -> list[int]:
    """Return the children of a process, as a guard's reapers; none when it has just ended."""
    return [int(child) for child in read_quietly(Path(f"/proc/{pid}/task/{pid}/children")).split()]


@pytest.mark.parametrize("who", ["guard", "reaper", "both"])
@pytest.mark.parametrize("how", ["once", "again and again"])
def test_a_guard_or_reaper_that_is_stopped(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, who: str, how: str
) -> None:
    """A stage's timeout is late by 5 s at most beside its grace, and nothing is left running."""
    marker = f"61{os.getpid() % 1000}.{len(who)}{len(how)}"
    workspace.project("x", {"build": {"shell": f"touch ../../up; sleep {marker}", "timeout": "2s"}})
    process = orchestrate.popen("start", "--project", "x", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    guard = wait_until(lambda: (workspace.root / "up").exists() and guard_of(process.pid), "the guard")
    (reaper,) = [pid for pid in children_of(guard) if marker.encode() in children_text(pid)]
    targets = {"guard": [guard], "reaper": [reaper], "both": [reaper, guard]}[who]
    began = time.monotonic()
    while process.poll() is None and time.monotonic() < began + 60:
        if how == "again and again" or time.monotonic() < began + 0.2:
            for pid in targets:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
        time.sleep(0.005)
    assert process.wait(timeout=1) == 3
    assert time.monotonic() - began < 2 + 5 + 5 + 30, "a loaded machine's time is allowed for"
    build = next(one for one in workspace.manifest(only_run(workspace))["commands"] if one["id"] == "build")
    assert build["outcome"] in ("timeout", "error")
    assert not [entry for entry in Path("/proc").glob("[0-9]*") if marker.encode() in read_quietly(entry / "cmdline")]


def test_a_run_all_of_whose_processes_are_stopped(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It is shown as it is, and cancel from another terminal ends it: owner, guard, reaper and stage are gone."""
    marker = f"62{os.getpid() % 1000}.7"
    workspace.project("x", {"build": f"touch ../../up; sleep {marker}"})
    process = orchestrate.popen("start", "--project", "x", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    guard = wait_until(lambda: (workspace.root / "up").exists() and guard_of(process.pid), "the guard")
    reapers = children_of(guard)
    stages = [child for reaper in reapers for child in children_of(reaper)]
    for pid in (process.pid, guard, *reapers, *stages):
        with contextlib.suppress(ProcessLookupError):  # a reaper of a stage that has just ended
            os.kill(pid, signal.SIGSTOP)
    assert orchestrate("status", "latest", "--brief", "--format", "json").document["status"] == "in_progress"
    assert orchestrate("cancel", "latest", timeout=90).code == 0
    assert process.wait(timeout=30) == 3
    assert workspace.manifest(only_run(workspace))["status"] == "cancelled"
    assert not [entry for entry in Path("/proc").glob("[0-9]*") if marker.encode() in read_quietly(entry / "cmdline")]


def test_an_owner_that_died_beside_a_stopped_guard(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The guard goes on, ends what runs and gives the lock back: the run is shown as died, and can be resumed."""
    workspace.project("x", {"build": "touch ../../up; [ -e ../../again ] || sleep 600"})
    process = orchestrate.popen("start", "--project", "x", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    guard = wait_until(lambda: (workspace.root / "up").exists() and guard_of(process.pid), "the guard")
    for pid in (*children_of(guard), guard):
        with contextlib.suppress(ProcessLookupError):  # a reaper of a stage that has just ended
            os.kill(pid, signal.SIGSTOP)
    process.kill()
    process.wait()
    wait_until(lambda: not Path(f"/proc/{guard}").exists(), "the guard to end")
    workspace.write("again", "")
    assert orchestrate("resume", "latest").code == 0


def test_a_stage_that_stops_its_reaper(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Without any timeout too, the stage's end is heard within seconds."""
    workspace.project("x", {"build": "kill -STOP $PPID; exit 0"})
    began = time.monotonic()
    assert orchestrate("start", "--project", "x", timeout=30).code == 0
    assert time.monotonic() - began < 10


def children_text(pid: int) -> bytes:
    """Return the command lines of a process's children."""
    return b"".join(read_quietly(Path(f"/proc/{child}/cmdline")) for child in children_of(pid))


def read_quietly(path: Path) -> bytes:
    """Return a file's bytes, none when it is gone."""
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def test_no_more_processes(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A limit of processes is refused with its reason before anything is recorded."""
    workspace.project("x")
    program = workspace.write(
        "no_processes.py",
        "import errno, os, sys\n"
        "from orchestrator.process import client\n"
        "def refuse(*_):\n"
        "    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))\n"
        "client._start = refuse\n"
        "from orchestrator.__main__ import main\n"
        "sys.argv[0] = 'codex-orchestrator'\n"
        "raise SystemExit(main())\n",
    )
    command = [orchestrate.command()[0], str(program), "start", "--project", "x"]
    done = subprocess.run(
        command, cwd=workspace.root, env=dict(orchestrate.environ), capture_output=True, text=True, check=False
    )
    assert (done.returncode, workspace.runs("1-x")) == (8, [])
    assert "no more processes" in done.stderr


@pytest.mark.parametrize("how", ["SIGTERM", "cancel", "SIGTERM at the end"])
def test_a_stranger_that_holds_the_tasks_lock(workspace: WorkspaceFolder, orchestrate: Orchestrator, how: str) -> None:
    """A run that is stopped ends within seconds, with its reason; the next command publishes what it could not."""
    at_end = how == "SIGTERM at the end"
    workspace.project("x", {"build": "touch ../../up; " + ("true" if at_end else "[ -e ../../again ] || sleep 600")})
    (workspace.root / ".runs" / "1-x").mkdir(parents=True)
    with open(workspace.root / ".runs" / "1-x" / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = orchestrate.popen("start", "--project", "x")
        wait_until(lambda: (workspace.root / "up").exists(), "the stage")
        if at_end:
            wait_until(lambda: workspace.manifest(only_run(workspace))["status"] == "succeeded", "the record's end")
        began = time.monotonic()
        if how == "cancel":
            assert orchestrate("cancel", "latest", timeout=40).code == 0
        else:
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - began < 15
        assert process.returncode == 8
        assert b".runs/1-x/.lock' is locked by another process" in errors
    ended = "succeeded" if at_end else "cancelled"
    assert workspace.manifest(only_run(workspace))["status"] == ended
    assert workspace.metrics("1-x") == []
    workspace.write("again", "")
    assert orchestrate("start", "--project", "x").code == 0
    assert [line["status"] for line in workspace.metrics("1-x")] == [ended, "succeeded"]
    assert orchestrate("verify", "--all").code == 0


def test_a_reader_of_a_byte_now_and_then(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The run's end does not wait for it, and the document comes whole, though all before it filled the pipe."""
    workspace.project("x", {"build": "yes some output | head -c 3000000", "test": "false"})
    reader, writer = os.pipe()
    process = orchestrate.popen("start", "--project", "x", "--format", "json", stdout=writer, stderr=writer)
    os.close(writer)
    wait_until(lambda: workspace.runs("1-x"), "the run")
    wait_until(lambda: workspace.manifest(only_run(workspace))["status"] == "failed", "the end of the record")
    began, output = time.monotonic(), b""
    while time.monotonic() < began + 6.5:
        output += os.read(reader, 1)
        time.sleep(0.4)
    assert process.poll() is None
    while piece := os.read(reader, 1 << 16):
        output += piece
    os.close(reader)
    assert process.wait(timeout=60) == 3
    document, _ = json.JSONDecoder().raw_decode(output[output.index(b'{"run_id"') :].decode())
    assert (document["run_id"], document["status"]) == (only_run(workspace).name, "failed")
