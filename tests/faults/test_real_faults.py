"""The world broken under the real command: full and read-only disks, kills at random times, faults put in by strace."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.closed_runs import all_published, missing, quick, whole
from tests.harness import Orchestrator, WorkspaceFolder, clean_environ

Mount = Callable[[str], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    """Mount a small file system in memory, ``disk("size=1m")``; skip where that is not allowed."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / "disk"
        place.mkdir()
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            missing("mounting a small disk takes Linux and root")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"mounting a small disk is not allowed here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_while_a_stage_prints(disk: Mount, home: Path) -> None:
    """Exit code 8, no success, and a closed record: the space for it was set aside."""
    root = disk("size=2m")
    workspace = WorkspaceFolder(root)
    quick(workspace, "head -c 8000000 /dev/zero; echo end")
    orchestrate = Orchestrator(root, clean_environ(home))
    done = orchestrate("start", "quick", "--project", "x", "--format", "json")
    assert done.code == 8, done.stderr
    assert done.document["error"]["code"] == "enospc"
    (record,) = [whole(folder / "manifest.json") for folder in workspace.runs("1-x")]
    assert (record["status"], record["outcome"]) == ("failed", "error")
    assert "no space" in record["status_detail"]
    for log in root.glob(".runs/1-x/cli/*/commands/*.log"):
        log.unlink()
    quick(workspace, "true")
    assert orchestrate("start", "quick", "--project", "x").code == 0
    assert len(all_published(workspace, "1-x")) == 2


def test_a_disk_that_is_full_from_the_start(disk: Mount, home: Path) -> None:
    """Exit code 8, one message, and nothing that would be taken for a run."""
    root = disk("size=1m")
    workspace = WorkspaceFolder(root)
    quick(workspace, "true")
    ballast = os.open(root / "ballast", os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(ballast, bytes(4096))
    os.close(ballast)
    done = Orchestrator(root, clean_environ(home))("start", "quick", "--project", "x")
    assert done.code == 8, done.stderr
    assert workspace.runs("1-x") == []
    (root / "ballast").unlink()
    assert Orchestrator(root, clean_environ(home))("start", "quick", "--project", "x").code == 0
    assert len(all_published(workspace, "1-x")) == 1


def test_a_read_only_disk(disk: Mount, home: Path) -> None:
    """``start`` exits with 8 and changes nothing, ``status`` shows what is there; writable again, all goes on."""
    root = disk("size=8m")
    workspace = WorkspaceFolder(root)
    quick(workspace, "true")
    orchestrate = Orchestrator(root, clean_environ(home))
    assert orchestrate("start", "quick", "--project", "x").code == 0
    subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
    refused = orchestrate("start", "quick", "--project", "x", "--format", "json")
    assert refused.code == 8, refused.stderr
    assert "can't be" in refused.document["error"]["message"]
    assert orchestrate("status").code == 0
    subprocess.run(["mount", "-o", "remount,rw", str(root)], check=True)
    assert len(all_published(workspace, "1-x")) == 1
    assert orchestrate("start", "quick", "--project", "x").code == 0
    assert len(all_published(workspace, "1-x")) == 2


@pytest.mark.slow
def test_kills_at_random_times(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """20 runs killed outright: no record is torn, each is shown as died, closed by the next command, counted once."""
    quick(workspace, "echo a; sleep 0.1; echo b")
    chance = random.Random(3)
    for _ in range(20):
        process = orchestrate.popen("start", "quick", "--project", "x")
        time.sleep(0.15 + chance.random() * 0.6)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for folder in workspace.runs("1-x"):
            whole(folder / "manifest.json")
    assert orchestrate("start", "quick", "--project", "x").code == 0
    records = all_published(workspace, "1-x")
    assert sum(record["status"] == "succeeded" for record in records) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC", "signal=KILL"])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_faults_of_the_kernel_at_real_calls(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, call: str, fault: str
) -> None:
    """Each fsync and each rename of a start fails once, or kills: exit code 8 or a whole success; then recovery."""
    strace = shutil.which("strace")
    if strace is None:
        missing("strace is not installed")
    quick(workspace, "true")
    assert orchestrate("start", "quick", "--project", "x").code == 0
    calls = {"fsync": "fsync,fdatasync", "rename": "rename,renameat,renameat2"}[call]
    for nth in (1, 2, 3, 5, 8, 11, 13):
        inject = f"inject={calls}:{fault}:when={nth}"
        command = [strace, "-o", os.devnull, "-e", f"trace={calls}", "-e", inject]
        words = orchestrate.command("start", "quick", "--project", "x")
        done = subprocess.run(
            [*command, *words],
            cwd=workspace.root,
            env=dict(orchestrate.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if "ptrace" in done.stderr and "not permitted" in done.stderr:
            missing("strace may not trace here")
        assert done.returncode in ((0, -signal.SIGKILL, 137) if fault == "signal=KILL" else (0, 8)), done.stderr
        before = len(workspace.runs("1-x"))
        if done.returncode == 0:
            assert whole(workspace.runs("1-x")[-1] / "manifest.json")["status"] == "succeeded"
        assert orchestrate("start", "quick", "--project", "x").code == 0
        assert len(all_published(workspace, "1-x")) == before + 1
