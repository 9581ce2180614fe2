"""Starts of four stages that do nothing: against the peers, and after many runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.history import spread, write_history
from benchmarks.measure import Contender
from benchmarks.results import Result
from benchmarks.running import Command, module, run
from benchmarks.scenes import TASK, nox_folder, npm_folder, npm_start, workspace

START = ("start", "--project", "noop")

ROWS = (
    Versus("start-nox", "ours", "nox"),
    Versus("start-npm", "ours", "npm"),
    Versus("start-history", "ours after 1,500", "ours after 10"),
)


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of starts; each start adds a run to its own scene's history."""
    yield from bench.compare(
        {
            "ours": lambda: Contender.of("ours", bench.ours(workspace(bench.scene()), *START)),
            "nox": lambda: Contender.of("nox", bare_nox(bench)),
            "npm": lambda: npm_release(bench),
            "ours after 10": lambda: after(bench, 10),
            "ours after 1,500": lambda: after(bench, 1500),
        },
        ROWS,
        bench.rounds,
    )


def bare_nox(bench: Bench) -> Command:
    """Return the command of nox alone for the same four commands, in one session."""
    return bench.command(module("nox", "-s", "noop"), nox_folder(bench.scene()))


def npm_release(bench: Bench) -> Contender:
    """Return the start of the npm release."""
    argv = npm_start(bench.peers.commands["npm"])
    return Contender.of("npm", bench.command(argv, npm_folder(bench.scene()), {"MCP_RUNNER_TASK_ID": TASK}))


def after(bench: Bench, count: int) -> Contender:
    """Return our start after ``count`` runs of the hours before."""
    scene, _ = with_history(bench, count, timedelta(seconds=60))
    return Contender.of(f"ours after {count:,}", bench.ours(scene, *START))


def with_history(
    bench: Bench, count: int, step: timedelta, *, days_ago: int = 0, scene: Path | None = None
) -> tuple[Path, list[str]]:
    """Make a workspace with ``count`` ended runs, ``step`` apart, the last ``days_ago``; return it and their ids."""
    scene = workspace(scene or bench.scene())
    run(bench.ours(scene, *START))
    last = datetime.now(UTC) - timedelta(days=days_ago, seconds=10)
    return scene, write_history(scene, TASK, spread(count, last, step), whole=count <= 10_000)
