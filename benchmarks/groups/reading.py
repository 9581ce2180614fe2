"""Commands that read: against Invoke and the npm release, and with 100,000 runs of history."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.groups.starting import START, with_history
from benchmarks.measure import Contender
from benchmarks.results import Result
from benchmarks.running import module, run
from benchmarks.scenes import TASK, invoke_folder, npm_folder, npm_start, run_ids, workspace

MANY = 100_000
_MIB = 2000
"""What so many runs take in memory, of which most have no file but their manifest."""

AGAINST_PEERS = (Versus("status-invoke", "ours", "invoke"), Versus("status-npm", "ours", "npm"))

HISTORY = (
    Versus("status-history", "status many", "status few"),
    Versus("status-latest", "latest many", "latest few"),
    Versus("runs-history", "runs many", "runs few"),
)
METRICS = (
    Versus("metrics-outside", "outside", "few"),
    Versus("metrics-inside", "inside", "few"),
    Versus("metrics-loads", "inside", "loads"),
)

_Scene = Callable[[], tuple[Path, list[str]]]
"""Makes a workspace and returns it, with the ids of its runs."""

_LOADS = f"import json; print(sum(len(json.loads(line)) > 0 for line in open('.runs/{TASK}/metrics.json', 'rb')))"
"""Reads the lines that metrics are made of; the proof of each by the chain is ours alone."""
_OLD = 5
"""The number of a run that nearly all others follow, so that nearly all of the chain stands behind its line."""
_EIGHT_WEEKS = 56
_SLOW = 3
"""Rounds of metrics, which take tens of seconds where every record of the window is read."""
_SIX_DAYS_IN_STEPS = timedelta(seconds=5)
"""100,000 of these are 5.8 days, less than the window of seven."""


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of status, runs and metrics."""
    makers = {"ours": lambda: status(bench), "invoke": lambda: invoke_list(bench), "npm": lambda: npm_status(bench)}
    yield from bench.compare(makers, AGAINST_PEERS, bench.rounds)
    rows = [versus.row for versus in (*HISTORY, *METRICS)]
    if bench.quick or not bench.wants(*rows):
        yield from bench.slow(*rows)
        return
    yield from _with_many(bench)


def status(bench: Bench) -> Contender:
    """Return our status of a run, by its full id, as a program polls it."""
    scene = workspace(bench.scene())
    run(bench.ours(scene, *START))
    [run_id] = run_ids(scene)
    return Contender.of("ours", bench.ours(scene, "status", run_id, "--format", "json"))


def invoke_list(bench: Bench) -> Contender:
    """Return the list of four plain Invoke tasks."""
    return Contender.of("invoke", bench.command(module("invoke", "--list"), invoke_folder(bench.scene())))


def npm_status(bench: Bench) -> Contender:
    """Return the npm release's status of a run, by its full id."""
    scene = npm_folder(bench.scene())
    named = {"MCP_RUNNER_TASK_ID": TASK}
    run(bench.command(npm_start(bench.peers.commands["npm"]), scene, named))
    [run_id] = run_ids(scene)
    argv = [*bench.peers.commands["npm"], "status", "--run", run_id, "--format", "json"]
    return Contender.of("npm", bench.command(argv, scene, named))


def _lived_in(bench: Bench, count: int) -> tuple[Path, list[str]]:
    """Make a workspace with ``count`` runs, the last of them a real one, which has noted the names of all."""
    scene, _ = with_history(bench, count - 1, _SIX_DAYS_IN_STEPS, scene=bench.roomy_scene(_MIB)[0])
    run(bench.ours(scene, *START))
    return scene, run_ids(scene)


def _before_the_window(bench: Bench) -> tuple[Path, list[str]]:
    scene, _ = bench.roomy_scene(_MIB)
    return with_history(bench, MANY, _SIX_DAYS_IN_STEPS, days_ago=_EIGHT_WEEKS, scene=scene)


def _with_many(bench: Bench) -> Iterator[Result]:
    """Yield the rows with much history; a scene is made when the first that needs it is."""
    few = cache(lambda: _lived_in(bench, 10))
    inside = cache(lambda: _lived_in(bench, MANY))
    outside = cache(lambda: _before_the_window(bench))

    def reader(scene: _Scene, *words: str) -> Callable[[], Contender]:
        return lambda: Contender.of(words[0], bench.ours(scene()[0], *words, "--format", "json"))

    def by_id(scene: _Scene) -> Callable[[], Contender]:
        return lambda: reader(scene, "status", scene()[1][_OLD])()

    makers = {
        "status few": by_id(few),
        "status many": by_id(inside),
        "latest few": reader(few, "status"),
        "latest many": reader(inside, "status"),
        "runs few": reader(few, "runs"),
        "runs many": reader(inside, "runs"),
    }
    yield from bench.compare(makers, HISTORY, max(3, bench.rounds // 2))
    names = {"few": few, "outside": outside, "inside": inside}
    metrics = {name: reader(scene, "metrics") for name, scene in names.items()}
    loads = {"loads": lambda: Contender.of("loads", bench.command([sys.executable, "-c", _LOADS], inside()[0]))}
    yield from bench.compare(metrics | loads, METRICS, _SLOW)
    bench.clear_memory()
