"""Commands that read: against Invoke and the npm release, and with 100,000 runs of history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.groups.starting import START, with_history
from benchmarks.measure import Contender
from benchmarks.results import Result
from benchmarks.running import module, run
from benchmarks.scenes import TASK, invoke_folder, npm_folder, npm_start, run_ids, workspace

MANY = 100_000

AGAINST_PEERS = (Versus("status-invoke", "ours", "invoke"), Versus("status-npm", "ours", "npm"))

HISTORY = (
    Versus("status-history", "status many", "status few"),
    Versus("status-latest", "latest many", "latest few"),
    Versus("runs-history", "runs many", "runs few"),
)
METRICS = (
    Versus("metrics-outside", "outside", "few"),
    Versus("metrics-inside", "inside", "few"),
)

_EIGHT_WEEKS = 56
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


def _with_many(bench: Bench) -> Iterator[Result]:
    few, few_ids = with_history(bench, 10, _SIX_DAYS_IN_STEPS)
    inside, ids = with_history(bench, MANY, _SIX_DAYS_IN_STEPS)

    def reader(name: str, folder: Path, *words: str) -> Contender:
        return Contender.of(name, bench.ours(folder, *words))

    yield from bench.compare(
        {
            "status few": lambda: reader("status few", few, "status", few_ids[5], "--format", "json"),
            "status many": lambda: reader("status many", inside, "status", ids[MANY // 2], "--format", "json"),
            "latest few": lambda: reader("latest few", few, "status", "--format", "json"),
            "latest many": lambda: reader("latest many", inside, "status", "--format", "json"),
            "runs few": lambda: reader("runs few", few, "runs", "--format", "json"),
            "runs many": lambda: reader("runs many", inside, "runs", "--format", "json"),
        },
        HISTORY,
        max(3, bench.rounds // 2),
    )
    outside, _ = with_history(bench, MANY, _SIX_DAYS_IN_STEPS, days_ago=_EIGHT_WEEKS)
    yield from bench.compare(
        {
            "few": lambda: reader("few", few, "metrics", "--format", "json"),
            "outside": lambda: reader("outside", outside, "metrics", "--format", "json"),
            "inside": lambda: reader("inside", inside, "metrics", "--format", "json"),
        },
        METRICS,
        bench.slow_rounds,
    )
