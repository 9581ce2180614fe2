"""The power cut below the real command: a mounted ext4 is stopped without a flush, mounted again and looked at.

``EXT4_IOC_SHUTDOWN`` with ``NOLOGFLUSH`` ends a file system as the kernel's own crash tests do (xfstests'
``godown``): what was neither synced nor written back by then is gone, and the next mount replays the
journal. What the drive's own cache would lose is not in it: that is the model's part (``test_power_cuts``).
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.closed_runs import all_published, missing, quick, whole
from tests.harness import Orchestrator, WorkspaceFolder, clean_environ

CUTS = 36
LATEST_CUT_SECONDS = 0.4
"""Most commands have ended by then, each beside another one."""

RUN_SECONDS = 0.05
"""What lies between the word of a run's id and its end takes about so long."""

_SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
"""``EXT4_IOC_SHUTDOWN``, ``_IOR('X', 125, __u32)`` (linux/ext4.h)."""

_NO_LOG_FLUSH = struct.pack("I", 2)
_PATIENCE_SECONDS = 10.0


class Disk:
    """A file with an ext4 in it, mounted at ``place``."""

    def __init__(self, folder: Path) -> None:
        self._image = folder / "image"
        self.place = folder / "disk"
        self.place.mkdir()
        with open(self._image, "wb") as file:
            file.truncate(48 << 20)
        self._call("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(self._image))
        self.mount()

    def mount(self) -> None:
        """Mount; a journal that is there is replayed."""
        self._call("mount", "-t", "ext4", "-o", "loop", str(self._image), str(self.place))

    def cut_power(self) -> None:
        """Stop the file system without a flush: every call on it fails from now on."""
        fd = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _NO_LOG_FLUSH)
        except OSError as error:
            missing(f"the file system can't be stopped here: {error}")
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Unmount as soon as the last process has left."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while subprocess.run(["umount", str(self.place)], capture_output=True, check=False).returncode:
            assert time.monotonic() < until, "something of a run stays on the disk"
            time.sleep(0.01)

    @staticmethod
    def _call(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"no ext4 can be made and mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A mounted ext4 of its own; skip where that is not allowed."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        missing("a disk whose power can be cut takes Linux, root and mkfs.ext4")
    made = Disk(tmp_path)
    yield made
    subprocess.run(["umount", "-l", str(made.place)], check=True)


def told(stdout: bytes) -> list[dict[str, Any]]:
    """Return the events of runs that a command printed; a refusal is none."""
    lines = (json.loads(line) for line in stdout.splitlines())
    return [line for line in lines if "error" not in line]


def check_told(workspace: WorkspaceFolder, said: list[dict[str, Any]]) -> None:
    """Assert that each run that was told is there and whole, and has ended as it was told to have."""
    for run in workspace.runs("1-x"):
        whole(run / "manifest.json")
    for event in said:
        run = workspace.root / ".runs" / "1-x" / "cli" / event["run_id"]
        record = whole(run / "manifest.json")
        if event["type"] == "run:end" and event["status"] == "succeeded":
            assert record["status"] == "succeeded", f"{run.name} was told to have succeeded"


def start(orchestrate: Orchestrator, output: Path) -> subprocess.Popen[bytes]:
    """Start a run whose events go to the file ``output``."""
    with open(output, "wb") as file:
        return orchestrate.popen("start", "quick", "--project", "x", "--format", "ndjson", stdout=file.fileno())


def wait_for_word(output: Path) -> None:
    """Wait until a command has told its run's id."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while output.stat().st_size == 0:
        assert time.monotonic() < until, "no run's id was told"
        time.sleep(0.001)


@pytest.mark.slow
def test_power_cuts_below_the_real_command(disk: Disk, home: Path, tmp_path: Path) -> None:
    """Two commands at once, cut at a random moment, again and again: all that was told is whole, and recovered."""
    workspace = WorkspaceFolder(disk.place)
    quick(workspace, "echo a; sleep 0.02; echo b")
    orchestrate = Orchestrator(disk.place, clean_environ(home))
    assert orchestrate("start", "quick", "--project", "x").code == 0
    os.sync()
    chance = random.Random(11)
    figures: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    for number in range(CUTS):
        outputs = [tmp_path / "0", tmp_path / "1"]
        processes = [start(orchestrate, output) for output in outputs]
        if number % 3:
            wait_for_word(outputs[0])
            time.sleep(chance.uniform(0, RUN_SECONDS))
        else:
            time.sleep(chance.uniform(0.1, LATEST_CUT_SECONDS))
        disk.cut_power()
        complaints = [process.communicate(timeout=60)[1] for process in processes]
        disk.unmount()
        disk.mount()
        for process, output, complaint in zip(processes, outputs, complaints, strict=True):
            said = told(output.read_bytes())
            check_told(workspace, said)
            finished = bool(said) and said[-1]["type"] == "run:end"
            figures["told"] += bool(said)
            figures["ended"] += finished
            codes[process.returncode] += 1
            assert process.returncode in (0, 8), complaint.decode()
            assert finished or process.returncode == 8
    assert orchestrate("start", "quick", "--project", "x").code == 0
    records = all_published(workspace, "1-x")
    figures.update(record["status"] for record in records)
    print(f"{CUTS} cuts: {dict(figures)}, exit codes {dict(codes)}")
    assert figures["told"] > figures["ended"] > 0, figures
    assert figures["failed"] > 0, figures
