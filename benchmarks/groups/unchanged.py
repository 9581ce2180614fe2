"""The second run of one stage with 1,000 declared inputs, none of which changed: what is done again costs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.measure import Contender
from benchmarks.results import Result
from benchmarks.running import Command, run
from benchmarks.scenes import TASK, committed, many_sources, run_ids, workspace

INPUTS = 1000
ROWS = (Versus("unchanged-doit", "ours", "doit"), Versus("unchanged-turbo", "ours", "turbo"))

_DODO = """from pathlib import Path

def task_build():
    return {"actions": ["true"], "file_dep": sorted(str(path) for path in Path("src").rglob("*.txt"))}
"""


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of the second run; a first run of each is its warm-up."""
    makers = {
        "ours": lambda: Contender.of("ours", _ours(bench)),
        "doit": lambda: Contender.of("doit", _doit(bench)),
        "turbo": lambda: Contender.of("turbo", _turbo(bench)),
    }
    yield from bench.compare(makers, ROWS, bench.rounds)


def _ours(bench: Bench) -> Command:
    scene = workspace(bench.scene(), {"build": "true"}, pipeline="cached", keys='inputs = ["src/**"]')
    many_sources(scene / "packages" / "noop", INPUTS)
    committed(scene)
    command = bench.ours(scene, "start", "--project", "noop", "--pipeline", "cached")
    run(command)
    run(command)
    manifest = json.loads((scene / ".runs" / TASK / "cli" / run_ids(scene)[-1] / "manifest.json").read_text())
    if manifest["commands"][0]["reused"] is None:
        raise RuntimeError("the second run did not spare its stage")
    return command


def _doit(bench: Bench) -> Command:
    scene = _sources(bench)
    (scene / "dodo.py").write_text(_DODO)
    return _twice(bench.command(bench.peers.commands["doit"], scene))


def _turbo(bench: Bench) -> Command:
    scene = _sources(bench)
    package = {"name": "noop", "version": "1.0.0", "private": True, "packageManager": "npm@10.0.0"}
    (scene / "package.json").write_text(json.dumps({**package, "scripts": {"build": "true"}}))
    (scene / "turbo.json").write_text(json.dumps({"tasks": {"build": {"inputs": ["src/**"], "outputs": []}}}))
    (scene / ".gitignore").write_text(".turbo/\nnode_modules/\n")
    committed(scene)
    return _twice(bench.command([*bench.peers.commands["turbo"], "run", "build"], scene))


def _sources(bench: Bench) -> Path:
    scene = bench.scene()
    many_sources(scene, INPUTS)
    return scene


def _twice(command: Command) -> Command:
    run(command)
    return command
