"""Runs whose pipes are filled, closed or never read, and whose guard is killed while they begin."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.test_stuck_peers import events_of, guard_of, only_run, wait_until
from tests.harness import Orchestrator, WorkspaceFolder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PAGE = 4096
SET_PIPE_SIZE = 1031
"""``F_SETPIPE_SZ`` of Linux, which Python 3.11 does not name everywhere."""
OWNER = 'O=$(cut -d" " -f4 /proc/$(cut -d" " -f4 /proc/$PPID/stat)/stat)'
"""The orchestrator's process, as a stage finds it: above its reaper and the guard."""


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_run_whose_document_nobody_reads(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, way: str
) -> None:
    """The record is closed; what is left is a document larger than its pipe, and the signal's code is the run's."""
    said = "yes a-line-of-sixty-characters-so-that-a-few-of-them-fill-a-pipe-x | head -20; exit 1"
    stages = {f"s{number}": {"shell": said, "needs": list[str]()} for number in range(16)}
    workspace.project("x", stages, pipeline="work")
    reader, writer = os.pipe()
    fcntl.fcntl(writer, SET_PIPE_SIZE, PAGE)
    process = orchestrate.popen(
        "start", "work", "--project", "x", "--format", "json", stdout=writer, stderr=subprocess.DEVNULL
    )
    os.close(writer)
    try:
        wait_until(lambda: workspace.runs("1-x"), "the run")
        wait_until(lambda: workspace.metrics("1-x") if _has_metrics(workspace) else None, "its end", 60)
        number = getattr(signal, way)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.send_signal(number)
        assert process.wait(timeout=60) in (-number, 128 + number)
    finally:
        os.close(reader)
        process.kill()
        process.wait()
    assert workspace.manifest(only_run(workspace))["status"] == "failed"
    assert orchestrate("verify", "--all").code == 0


def _has_metrics(workspace: WorkspaceFolder) -> bool:
    return (workspace.root / ".runs" / "1-x" / "metrics.json").exists()


def test_a_line_of_sixty_megabytes_to_a_pipe_that_nobody_reads(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The run ends as if somebody read, and the log has every byte."""
    workspace.project("x", {"build": "head -c 60000000 /dev/zero | tr '\\0' x"})
    reader, writer = os.pipe()
    process = orchestrate.popen("start", "--project", "x", stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    assert process.wait(timeout=60) == 0
    os.close(reader)
    assert (only_run(workspace) / "commands" / "01-build.log").stat().st_size == 60_000_000


@pytest.mark.parametrize(
    "line",
    [
        "exec <&- >&- 2>&-; sleep 0.2; exit 3",
        f"{OWNER}; timeout 1 head -c 200000 /dev/zero > /proc/$O/fd/1; exit 3",
        f"{OWNER}; for f in /proc/$O/fd/*; do [ -p $f ] && timeout 1 head -c 200000 /dev/zero > $f; done; exit 3",
    ],
    ids=["closes its own", "fills stdout", "fills every pipe"],
)
def test_a_stage_that_closes_or_fills_pipes(workspace: WorkspaceFolder, orchestrate: Orchestrator, line: str) -> None:
    """Its own end is what is recorded, and the run goes on to its end."""
    workspace.project("x", {"build": line})
    reader, writer = os.pipe()
    process = orchestrate.popen("start", "--project", "x", stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    assert process.wait(timeout=60) == 3
    os.close(reader)
    manifest = workspace.manifest(only_run(workspace))
    assert manifest["status_detail"] == "stage:build:failed"
    assert manifest["commands"][0]["exit_code"] == 3


@pytest.mark.parametrize("step", ["run:start", "environment:start", "stage:start"])
def test_a_guard_that_is_killed_while_a_run_begins(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, step: str
) -> None:
    """At each step of a cold start the run ends at once, closed, with the guard's end as its reason."""
    workspace.project("x", {"build": "sleep 600"})
    config: Path = workspace.root / "project_configs" / "x.toml"
    config.write_text(config.read_text().replace('backend = "none"', 'backend = "virtualenv"'))
    process = orchestrate.popen("start", "--project", "x", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: workspace.runs("1-x"), "the run")
    wait_until(lambda: step in events_of(workspace), "its events", 60)
    guard = wait_until(lambda: guard_of(process.pid), "its guard")
    os.kill(guard, signal.SIGKILL)
    assert process.wait(timeout=60) == 3
    manifest = workspace.manifest(only_run(workspace))
    assert (manifest["status"], manifest["outcome"]) == ("failed", "error")
    assert manifest["status_detail"] == "the guard process was ended by SIGKILL"
    assert [json.loads(line)["type"] for line in events_of(workspace).splitlines()][-1] == "run:end"
