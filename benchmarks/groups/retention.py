"""Many runs on one task: pruning them against ``rm -r``, verifying them against sha256 of the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.groups.starting import START
from benchmarks.history import spread, write_history
from benchmarks.measure import Contender
from benchmarks.results import Result
from benchmarks.running import Command, run
from benchmarks.scenes import TASK, workspace

COUNT, QUICK_COUNT = 10_000, 500
_KEPT = 100
"""The last runs stay; ``rm`` removes what the prune does: of each other run its folder and those of its pointers."""

ROWS = (
    Versus("prune-rm", "prune", "rm"),
    Versus("verify-sha", "verify", "sha"),
    Versus("doctor-sha", "doctor", "sha"),
)
_SHA = "find .runs -type f -print0 | xargs -0 sha256sum > /dev/null"


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of many runs; the quick variant has a twentieth of them."""
    if not bench.wants(*(versus.row for versus in ROWS)):
        return
    count = QUICK_COUNT if bench.quick else COUNT
    base = cache(lambda: _history(bench, count))

    def looking(name: str, command: Command) -> Contender:
        return Contender.of(name, command)

    def removing(name: str) -> Contender:
        scene = bench.scene()
        folders = (f".runs/{TASK}/cli", f".runs/{TASK}/mcp", ".runs/local-mcp")
        gone = [f"{folder}/{run_id}" for run_id in base()[1][:-_KEPT] for folder in folders]
        rm = ["sh", "-c", "xargs rm -r < gone"]
        prune = bench.ours(scene, "prune", "--yes", "--keep-within", "0d", "--keep-failed", "0d", "--format", "json")

        def fresh() -> None:
            shutil.rmtree(scene, ignore_errors=True)
            shutil.copytree(base()[0], scene, symlinks=True)
            (scene / "gone").write_text("\n".join(gone))

        return Contender.of(name, prune if name == "prune" else bench.command(rm, scene), fresh)

    makers = {
        "prune": lambda: removing("prune"),
        "rm": lambda: removing("rm"),
        "verify": lambda: looking("verify", bench.ours(base()[0], "verify", "--all", "--format", "json")),
        "doctor": lambda: looking("doctor", bench.ours(base()[0], "doctor", "--format", "json")),
        "sha": lambda: looking("sha", bench.command(["sh", "-c", _SHA], base()[0])),
    }
    yield from bench.compare(makers, ROWS, bench.slow_rounds)


def _history(bench: Bench, count: int) -> tuple[Path, list[str]]:
    """Make a workspace with ``count`` whole runs, a year old the first of them."""
    scene = workspace(bench.scene())
    run(bench.ours(scene, *START))
    last = datetime.now(UTC) - timedelta(seconds=10)
    ids = write_history(scene, TASK, spread(count, last, timedelta(days=365) / count), whole=True)
    for token in scene.glob(".runs/*/cli/*/.resume-token"):
        token.chmod(0o600)
    return scene, ids
