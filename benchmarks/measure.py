"""Measuring: commands side by side, in random order, and the ratio of each pair."""

from __future__ import annotations

import random
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Contender:
    """A command line and the folder that it runs in."""

    name: str
    command: Sequence[str]
    folder: Path


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours against a peer: times in seconds, one of each per round; ``ratios`` are ours ÷ peer, round by round."""

    row: str
    ours: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round."""
        return [mine / theirs for mine, theirs in zip(self.ours, self.peer, strict=True)]

    def line(self) -> str:
        """Return the comparison in one line: medians in milliseconds, median ratio and its quartiles."""
        low, middle, high = statistics.quantiles(self.ratios, n=4)
        ours, peer = statistics.median(self.ours) * 1000, statistics.median(self.peer) * 1000
        least = min(self.ours) / min(self.peer)
        return (
            f"{self.row:<46} {ours:8.1f} ms {peer:8.1f} ms   ratio {middle:5.2f}"
            f"  (quartiles {low:.2f} to {high:.2f}, of the minima {least:.2f})"
        )


def compare(row: str, ours: Contender, peer: Contender, environ: Mapping[str, str], rounds: int) -> Comparison:
    """Run both ``rounds`` times, each round in random order, after one round that warms caches up.

    Raises RuntimeError when a command fails: a run that fails fast is no fast run.
    """
    order = random.Random(20261122)
    times: dict[str, list[float]] = {ours.name: [], peer.name: []}
    for number in range(rounds + 1):
        for contender in order.sample([ours, peer], k=2):
            took = once(contender, environ)
            if number:
                times[contender.name].append(took)
    return Comparison(row, tuple(times[ours.name]), tuple(times[peer.name]))


def once(contender: Contender, environ: Mapping[str, str]) -> float:
    """Run a command and return its wall time in seconds."""
    began = time.perf_counter()
    done = subprocess.run(contender.command, cwd=contender.folder, env=dict(environ), capture_output=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{contender.name} ended with exit code {done.returncode}: {done.stderr.decode()[-2000:]}")
    return took
