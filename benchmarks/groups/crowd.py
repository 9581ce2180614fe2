"""Fifty starts at once on one task: how long until the last has ended, and how many left no whole record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.groups.starting import START
from benchmarks.measure import Contender
from benchmarks.results import Result
from benchmarks.running import Command, run_all
from benchmarks.scenes import TASK, npm_folder, npm_start, run_ids, workspace

CROWD = 50


class Crowd:
    """Starts a crowd in one workspace again and again, and keeps count of what was lost or refused."""

    def __init__(self, name: str, command: Command) -> None:
        self.name = name
        self.command = command
        self.known: set[str] = set()
        self.lost = 0
        self.refused = 0

    def once(self) -> tuple[float, float]:
        """Start them all, wait, count, and return wall and CPU seconds."""
        ended = run_all([self.command] * CROWD)
        self.refused += sum(code != 0 for code in ended.codes)
        found = recorded(self.command.folder) - self.known
        self.known |= found
        self.lost += CROWD - len(found)
        return ended.wall, ended.cpu


def recorded(folder: Path) -> set[str]:
    """Return the ids of the runs that have a manifest that says succeeded, and a metrics line."""
    runs = folder / ".runs" / TASK
    lines = (runs / "metrics.json").read_text().splitlines()
    told = {json.loads(line)["run_id"] for line in lines if line.startswith("{") and line.endswith("}")}
    return {run_id for run_id in run_ids(folder) if run_id in told and _succeeded(runs / "cli" / run_id)}


def in_state(folder: Path) -> int:
    """Return how many runs our state counts."""
    state = json.loads((folder / "out" / TASK / "state.json").read_text())
    return int(state["totals"]["runs"])


def _succeeded(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "manifest.json").read_text())["status"] == "succeeded")
    except (OSError, ValueError, KeyError):
        return False


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of the crowd; what was lost or refused is counted over all its rounds."""
    rows = bench.wants("crowd-npm", "crowd-lost", "crowd-refused", "crowd-npm-failed")
    if bench.quick or not rows:
        yield from bench.slow(*rows)
        return
    ours = Crowd("ours", bench.ours(workspace(bench.scene()), *START))
    theirs = _npm(bench)
    makers = {crowd.name: partial(Contender, crowd.name, crowd.once) for crowd in (ours, theirs) if crowd is not None}
    yield from bench.compare(makers, [Versus("crowd-npm", "ours", "npm")], bench.slow_rounds)
    if not ours.known:
        ours.once()
    uncounted = max(0, len(ours.known) - in_state(ours.command.folder))
    counted = {"crowd-lost": ours.lost + uncounted, "crowd-refused": ours.refused}
    for row in bench.wants(*counted):
        yield Result(row, float(counted[row]), note=f"of {len(ours.known) + ours.lost} starts")
    if bench.wants("crowd-npm-failed"):
        yield _of_npm(bench, theirs)


def _npm(bench: Bench) -> Crowd | None:
    if "npm" in bench.peers.missing:
        return None
    argv = npm_start(bench.peers.commands["npm"])
    return Crowd("npm", bench.command(argv, npm_folder(bench.scene()), {"MCP_RUNNER_TASK_ID": TASK}))


def _of_npm(bench: Bench, theirs: Crowd | None) -> Result:
    if theirs is None or not theirs.known:
        return Result("crowd-npm-failed", skipped=bench.peers.missing.get("npm", "nothing to compare was asked for"))
    started = len(theirs.known) + theirs.lost
    note = f"of {started} starts: {theirs.lost} records lost, {theirs.refused} exited non-zero"
    return Result("crowd-npm-failed", float(max(theirs.lost, theirs.refused)), note=note)
