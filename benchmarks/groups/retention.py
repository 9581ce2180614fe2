"""Many runs on one task: pruning them against ``rm -r``, verifying them against sha256 of the same bytes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.groups.starting import START
from benchmarks.history import spread, write_history
from benchmarks.measure import Contender
from benchmarks.results import Result
from benchmarks.running import run
from benchmarks.scenes import TASK, workspace

COUNT, QUICK_COUNT = 10_000, 500
_MIB_OF_100 = 4
"""What 100 runs take."""
_ROUNDS = 3
_KEPT = 100
"""The last runs stay; ``rm`` removes what the prune does: of each other run its folder and those of its pointers."""

ROWS = (
    Versus("prune-rm", "prune", "rm"),
    Versus("verify-sha", "verify", "sha"),
    Versus("doctor-sha", "doctor", "sha"),
)
_FOLDERS = (f".runs/{TASK}/cli", f".runs/{TASK}/mcp", ".runs/local-mcp")
_PRUNE = ("prune", "--yes", "--keep-within", "0d", "--keep-failed", "0d", "--format", "json")
_SHA = "find .runs -type f -print0 | xargs -0 sha256sum > /dev/null"


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of many runs; the quick variant has a twentieth of them.

    Not warmed up, and few rounds: each sample takes seconds, beside which a cold start is nothing.
    """
    if not bench.wants(*(versus.row for versus in ROWS)):
        return
    count = QUICK_COUNT if bench.quick else COUNT
    scene, place = bench.roomy_scene(2 * count * _MIB_OF_100 // 100)
    ids = _history(bench, scene, count)
    copied = scene.with_suffix(".copy")
    gone = "\n".join(f"{folder}/{run_id}" for run_id in ids[:-_KEPT] for folder in _FOLDERS)

    def fresh() -> None:
        shutil.rmtree(copied, ignore_errors=True)
        subprocess.run(["cp", "-a", scene, copied], check=True)
        (copied / "gone").write_text(gone)

    rm = bench.command(["sh", "-c", "xargs rm -r < gone"], copied)
    sha = bench.command(["sh", "-c", _SHA], scene)
    makers = {
        "prune": lambda: Contender.of("prune", bench.ours(copied, *_PRUNE), fresh),
        "rm": lambda: Contender.of("rm", rm, fresh),
        "verify": lambda: Contender.of("verify", bench.ours(scene, "verify", "--all", "--format", "json")),
        "doctor": lambda: Contender.of("doctor", bench.ours(scene, "doctor", "--format", "json")),
        "sha": lambda: Contender.of("sha", sha),
    }
    rows = [replace(versus, note=f"{count:,} runs {place}") for versus in ROWS]
    yield from bench.compare(makers, rows, min(_ROUNDS, bench.slow_rounds), warm_up=False)
    bench.clear_memory()


def _history(bench: Bench, scene: Path, count: int) -> list[str]:
    """Make a workspace with ``count`` whole runs, a year old the first of them; return their ids."""
    workspace(scene)
    run(bench.ours(scene, *START))
    last = datetime.now(UTC) - timedelta(seconds=10)
    ids = write_history(scene, TASK, spread(count, last, timedelta(days=365) / count), whole=True)
    for token in scene.glob(".runs/*/cli/*/.resume-token"):
        token.chmod(0o600)
    return ids
