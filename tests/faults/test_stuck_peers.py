"""Runs whose peers never move: readers that don't read, guards and keepers that are stopped or killed, held locks."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(
        (int(child) for child in children if b"guard.main" in Path(f"/proc/{child}/cmdline").read_bytes()), None
    )


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
        assert process.wait(timeout=15) == 3
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
