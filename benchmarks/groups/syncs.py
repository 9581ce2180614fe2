"""How many syncs a start asks the disk for: counted by strace where it is, else at the seam they all go through."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.groups.starting import START
from benchmarks.results import Result
from benchmarks.running import module, run
from benchmarks.scenes import workspace

_TRACED = "fsync,fdatasync,sync,syncfs,sync_file_range,msync"
_CALL = re.compile(r"^(?:\d+ +)?(fsync|fdatasync|sync|syncfs|sync_file_range|msync)\(", re.M)

COUNTING = """
import json, os, runpy, sys
path, calls = sys.argv[1], []
sync = os.fsync
os.fsync = lambda fd: (calls.append(fd), sync(fd))[1]
sys.argv = ["codex-orchestrator", *sys.argv[2:]]
try:
    runpy.run_module("orchestrator", run_name="__main__")
finally:
    open(path, "w").write(str(len(calls)))
"""
"""A start that counts what its own process syncs, and writes the number to a file."""


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the count of a second start in a workspace: the first makes folders that stay."""
    if not bench.wants("start-syncs"):
        return
    scene = workspace(bench.scene())
    run(bench.ours(scene, *START))
    told = bench.folder / "syncs"
    strace = shutil.which("strace")
    if strace is None:
        argv = [*module("orchestrator")[:1], "-c", COUNTING, str(told), *START]
    else:
        argv = [strace, "-f", "-qq", "-e", f"trace={_TRACED}", "-o", str(told), *module("orchestrator", *START)]
    run(bench.command(argv, scene))
    count = int(told.read_text()) if strace is None else traced(told)
    yield Result("start-syncs", float(count), note="" if strace else "counted in our own process, without strace")


def traced(path: Path) -> int:
    """Return how many syncs strace's output lists, each once, though a call may be cut in two lines."""
    return len(_CALL.findall(path.read_text(errors="replace")))
