"""What every group of rows gets: folders, peers, the gauge, how often, and which rows are asked for."""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.measure import Contender, interleave
from benchmarks.noise import Gauge
from benchmarks.peers import Peers
from benchmarks.results import Result
from benchmarks.running import Command, environ, module

MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory."""
_MIB = 1 << 20

SEED = 20261122
"""Of the random order: the same each time, so that two runs differ by the machine alone."""


@dataclass(frozen=True, slots=True)
class Versus:
    """A ratio row: the contender whose time is judged, and the one that it is divided by; a remark for the table."""

    row: str
    ours: str
    peer: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmarks below ``folder``; ``memory`` is a folder for what is too many files for a disk.

    ``rounds`` is how often something of a fraction of a second is measured, ``slow_rounds`` what takes seconds.
    ``wanted`` are the ids of the rows to measure; ``quick`` leaves out what takes more than some seconds.
    """

    folder: Path
    peers: Peers
    rounds: int
    slow_rounds: int
    wanted: frozenset[str]
    quick: bool = False
    memory: Path | None = None
    gauge: Gauge = field(default_factory=Gauge)
    order: random.Random = field(default_factory=lambda: random.Random(SEED))
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def scene(self) -> Path:
        """Return the path of a new scene, not made yet."""
        return self.folder / f"scene{next(self._numbers)}"

    def roomy_scene(self, mib: int) -> tuple[Path, str]:
        """Return the path of a new scene of thousands of files, and where that is, for the table.

        It lies in memory where that still has ``mib`` MiB and as much again: a disk takes minutes to make and to
        remove what is measured in seconds.
        """
        if self.memory is None or room_mib(self.memory) < 2 * mib:
            return self.scene(), "on disk"
        return self.memory / f"scene{next(self._numbers)}", "in memory"

    def clear_memory(self) -> None:
        """Remove the scenes in memory, for what is measured next; those on disk go at the end, after the results."""
        for scene in self.memory.iterdir() if self.memory is not None else ():
            shutil.rmtree(scene)

    def environ(self) -> dict[str, str]:
        """Return the environment of what is measured."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return environ(home)

    def command(self, argv: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None) -> Command:
        """Return a command in the measured environment, with ``extra`` variables."""
        return Command(argv, folder, {**self.environ(), **(extra or {})})

    def ours(self, folder: Path, *words: str) -> Command:
        """Return our command line ``words`` in a workspace."""
        return self.command(module("orchestrator", *words), folder)

    def wants(self, *rows: str) -> list[str]:
        """Return those of ``rows`` that are asked for."""
        return [row for row in rows if row in self.wanted]

    def slow(self, *rows: str) -> Iterator[Result]:
        """Yield a skipped result for each wanted row of a group that the quick variant leaves out."""
        for row in self.wants(*rows) if self.quick else ():
            yield Result(row, skipped="not in the quick variant")

    def compare(
        self,
        makers: Mapping[str, Callable[[], Contender]],
        rows: Sequence[Versus],
        rounds: int,
        *,
        warm_up: bool = True,
    ) -> Iterator[Result]:
        """Measure what the wanted ``rows`` need, all interleaved, and yield their results.

        ``makers`` make a contender and its scene by name; a contender that is a missing peer's name is skipped.
        ``warm_up`` measures once more, which doesn't count.
        """
        possible: list[Versus] = []
        for versus in rows:
            if versus.row not in self.wanted:
                continue
            reasons = [self.peers.missing[name] for name in (versus.ours, versus.peer) if name in self.peers.missing]
            if reasons:
                yield Result(versus.row, skipped=reasons[0])
            else:
                possible.append(versus)
        names = dict.fromkeys(name for versus in possible for name in (versus.ours, versus.peer))
        contenders = [replace(makers[name](), name=name) for name in names]
        samples = interleave(contenders, rounds, self.gauge, self.order, warm_up=warm_up) if contenders else {}
        for versus in possible:
            yield Result.compared(versus.row, samples[versus.ours], samples[versus.peer], versus.note)


def room_mib(folder: Path) -> int:
    """Return how many MiB a folder in memory still has room for; 0 where there is none, or it can't be known."""
    try:
        found = os.statvfs(folder)
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    available = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
    return min(found.f_bavail * found.f_frsize, available) // _MIB
