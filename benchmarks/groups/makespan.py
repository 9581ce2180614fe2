"""Makespan: a stage of half a second, then three that need it and don't need each other; at best one second."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measure import Contender, interleave
from benchmarks.ratios import Sample
from benchmarks.results import Result
from benchmarks.running import Command, module
from benchmarks.scenes import STAGES, workspace

IDEAL_SECONDS = 1.0

_SLEEP = "sleep 0.5"

_JUST = """all: build checks

[parallel]
checks: lint test spec-guard
"""

_DODO = """def task_build():
    return {"actions": ["sleep 0.5"]}

def task_checks():
    for name in ("lint", "test", "spec-guard"):
        yield {"name": name, "actions": ["sleep 0.5"], "task_dep": ["build"]}
"""

_NOXFILE = """import nox

def work(session):
    session.run("sleep", "0.5", external=True)

nox.session(venv_backend="none", name="build")(work)
for name in ("lint", "test", "spec-guard"):
    nox.session(venv_backend="none", name=name, requires=["build"])(work)
"""


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the makespan of each, in seconds, which is also that ÷ ideal."""
    makers: dict[str, Callable[[], Command]] = {
        "makespan": lambda: _ours(bench),
        "makespan-just": lambda: _just(bench),
        "makespan-doit": lambda: _doit(bench),
        "makespan-nox": lambda: _nox(bench),
    }
    contenders = []
    for row in bench.wants(*makers):
        if reason := bench.peers.missing.get(row.removeprefix("makespan-")):
            yield Result(row, skipped=reason)
        else:
            contenders.append(Contender.of(row, makers[row]()))
    samples = interleave(contenders, bench.slow_rounds, bench.gauge, bench.order)
    for contender in contenders:
        yield _against_ideal(contender.name, samples[contender.name])


def _against_ideal(row: str, samples: Sequence[Sample]) -> Result:
    ideal = [Sample(IDEAL_SECONDS, statistics.median(sample.cpu for sample in samples)) for sample in samples]
    return Result.compared(row, samples, ideal)


def _ours(bench: Bench) -> Command:
    scene = workspace(bench.scene(), dict.fromkeys(STAGES, _SLEEP))
    return bench.ours(scene, "start", "--project", "noop", "--jobs", "3")


def _just(bench: Bench) -> Command:
    recipes = "".join(f"\n{name}:\n    {_SLEEP}\n" for name in STAGES)
    return bench.command(bench.peers.commands["just"], _folder(bench, "justfile", _JUST + recipes))


def _doit(bench: Bench) -> Command:
    return bench.command([*bench.peers.commands["doit"], "-n", "3"], _folder(bench, "dodo.py", _DODO))


def _nox(bench: Bench) -> Command:
    words = ("-j", "3", "--allow-parallel", "-s", "lint", "test", "spec-guard")
    return bench.command(module("nox", *words), _folder(bench, "noxfile.py", _NOXFILE))


def _folder(bench: Bench, name: str, text: str) -> Path:
    folder = bench.scene()
    folder.mkdir(parents=True)
    (folder / name).write_text(text)
    return folder
