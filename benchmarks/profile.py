"""``python -m benchmarks.profile``: where the time of ``start`` and ``status`` goes, phase by phase.

``--write`` puts the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.groups.starting import START
from benchmarks.measure import REPEATS, Contender
from benchmarks.peers import no_peers
from benchmarks.publishing import DOCS, PAGE
from benchmarks.running import Command, run
from benchmarks.scenes import run_ids, workspace
from benchmarks.table import between, plain_table

_SOURCE = Path(__file__).with_name("phases.py")
HEADINGS = ("phase", "ms", "share", "calls")


@dataclass(frozen=True, slots=True)
class Profile:
    """One command's phases: median seconds and calls by name, in the order of their first; whole times in seconds."""

    name: str
    seconds: Mapping[str, float]
    calls: Mapping[str, int]
    whole: float
    unwatched: float

    def markdown(self) -> str:
        """Return the table of a profile."""
        rows = [
            {
                "phase": phase,
                "ms": f"{seconds * 1000:.1f}",
                "share": f"{seconds / self.whole:.0%}",
                "calls": str(self.calls.get(phase, "")),
            }
            for phase, seconds in sorted(self.seconds.items(), key=lambda item: -item[1])
        ]
        told = f"`{self.name}`: {self.whole * 1000:.0f} ms, {self.unwatched * 1000:.0f} without watching."
        return f"{told}\n\n{plain_table(HEADINGS, rows)}"


def combined(name: str, taken: Sequence[Mapping[str, Any]], unwatched: Sequence[float]) -> Profile:
    """Return the medians of several runs; each of ``taken`` is what ``phases`` wrote, and ``began`` and ``ended``."""
    phases = dict.fromkeys(phase for one in taken for phase in _phases(one))
    seconds = {phase: statistics.median(_phases(one).get(phase, 0.0) for one in taken) for phase in phases}
    whole = statistics.median(one["ended"] - one["began"] for one in taken)
    return Profile(name, seconds, taken[-1]["calls"], whole, statistics.median(unwatched))


def _phases(one: Mapping[str, Any]) -> dict[str, float]:
    ends = {"interpreter's start": one["entered"] - one["began"], "teardown": one["ended"] - one["left"]}
    return {**one["seconds"], **ends}


def profiled(bench: Bench, name: str, command: Command, rounds: int) -> Profile:
    """Run a command of ours ``rounds`` times watched and as often unwatched, in turn, after one of each.

    Runs that were disturbed are repeated, as samples are.
    """
    words = command.argv[3:]
    told = bench.folder / "phases.json"
    watched = bench.command([sys.executable, "-c", _SOURCE.read_text(), str(told), *words], command.folder)
    taken: list[dict[str, Any]] = []
    unwatched: list[float] = []
    one: dict[str, Any] = {}

    def watch() -> tuple[float, float]:
        began = time.perf_counter()
        cpu = run(watched).cpu
        ended = time.perf_counter()
        one.update(json.loads(told.read_text()), began=began, ended=ended)
        return ended - began, cpu

    plain = Contender.of("plain", command)
    for number in range(rounds + 1):
        bench.gauge.settled(watch, REPEATS)
        took, _, _ = bench.gauge.settled(plain.once, REPEATS)
        if number:
            taken.append(dict(one))
            unwatched.append(took)
    return combined(name, taken, unwatched)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how often each command runs (default: 20)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        bench = Bench(Path(name), no_peers("not for a profile"), asked.rounds, 0, frozenset())
        bench.gauge.calibrate()
        scene = workspace(bench.scene(), backend="virtualenv")
        start = bench.ours(scene, *START)
        run(start)
        [run_id] = run_ids(scene)
        status = bench.ours(scene, "status", run_id, "--format", "json")
        profiles = [profiled(bench, "status", status, asked.rounds), profiled(bench, "start", start, asked.rounds)]
    text = "\n".join(profile.markdown() for profile in reversed(profiles))
    print(text)
    if asked.write:
        page = DOCS / PAGE
        page.write_text(between(page.read_text(), "profile", text))


if __name__ == "__main__":
    main()
