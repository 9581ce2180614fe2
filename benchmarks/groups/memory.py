"""Peak memory of whole process trees, memory that they share counted once."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

from benchmarks.bench import Bench
from benchmarks.groups import output
from benchmarks.groups.starting import START, bare_nox
from benchmarks.results import Result
from benchmarks.running import Command, run
from benchmarks.scenes import TASK, npm_folder, npm_start, workspace
from benchmarks.tree import is_supported, peak_of

_ROUNDS = 5
_SLOW_ROUNDS = 2


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of memory; where a tree can't be looked into they are skipped."""
    makers: dict[str, Callable[[], Command]] = {
        "memory-start": lambda: bench.ours(workspace(bench.scene()), *START),
        "memory-nox": lambda: bare_nox(bench),
        "memory-npm": lambda: _npm(bench),
    }
    for row in bench.wants(*makers):
        yield _peak(bench, row, makers[row], _ROUNDS)
    slow: dict[str, Callable[[], Command]] = {
        "memory-output": lambda: output.ours(bench, 200),
        "memory-output-npm": lambda: output.npm(bench, 200),
    }
    yield from bench.slow(*slow)
    for row in () if bench.quick else bench.wants(*slow):
        yield _peak(bench, row, slow[row], _SLOW_ROUNDS)


def _npm(bench: Bench) -> Command:
    argv = npm_start(bench.peers.commands["npm"])
    return bench.command(argv, npm_folder(bench.scene()), {"MCP_RUNNER_TASK_ID": TASK})


def _peak(bench: Bench, row: str, make: Callable[[], Command], rounds: int) -> Result:
    if not is_supported():
        return Result(row, skipped="this system has no /proc/<pid>/smaps_rollup")
    if row.endswith("npm") and "npm" in bench.peers.missing:
        return Result(row, skipped=bench.peers.missing["npm"])
    command = make()
    if rounds == _ROUNDS:
        run(command)
    return Result(row, statistics.median(peak_of(command).whole for _ in range(rounds)))
