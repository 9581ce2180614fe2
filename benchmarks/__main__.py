"""``python -m benchmarks``: every row, beside its goals; ``--quick`` for a minute, ``--check`` for CI."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import MEMORY, Bench, room_mib
from benchmarks.check import CHECKED, check
from benchmarks.goals import BY_ID, ROWS
from benchmarks.groups import GROUPS
from benchmarks.publishing import kept, publish
from benchmarks.results import Result
from benchmarks.table import line


def main() -> int:
    """Measure, print and write; return 0, or 1 when ``--check`` finds a ratio that got worse."""
    asked = _parser().parse_args()
    with ExitStack() as stack:
        folder = _temporary(stack, asked.scenes)
        if asked.check:
            return check(kept(), lambda: measured(_bench(asked, folder, CHECKED)))
        wanted = [row.id for row in ROWS if not asked.only or row.id.startswith(tuple(asked.only))]
        memory = None if asked.scenes or room_mib(MEMORY) == 0 else _temporary(stack, MEMORY)
        results = measured(replace(_bench(asked, folder, wanted), memory=memory))
        # Before the scenes are removed, which takes long after a hundred thousand runs.
        if not (asked.quick or asked.only):
            publish(results)
    return 0


def measured(bench: Bench) -> list[Result]:
    """Measure group by group, print each result as it comes, and return all in the order of the goals."""
    bench.gauge.calibrate()
    results: list[Result] = []
    for group in GROUPS:
        began, before = time.monotonic(), len(results)
        for result in group(bench):
            print(line(result), flush=True)
            results.append(result)
        if len(results) > before:
            print(f"({group.__module__.rpartition('.')[2]}: {time.monotonic() - began:.0f} s)", flush=True)
    print(f"{bench.gauge.repeated} disturbed samples were taken again", flush=True)
    order = list(BY_ID)
    return sorted(results, key=lambda result: order.index(result.row))


def _temporary(stack: ExitStack, folder: Path | None) -> Path:
    """Make a folder in ``folder``, or in the system's one, that is removed at the end."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=folder)))


def _bench(asked: argparse.Namespace, folder: Path, wanted: Sequence[str]) -> Bench:
    """Return the bench; ``--check`` needs no peer but nox and Invoke, which are here already."""
    found = peers.no_peers("not for --check") if asked.check else peers.installed()
    rounds = asked.rounds or (10 if asked.quick else 25)
    slow = 2 if asked.quick else max(3, rounds // 5)
    return Bench(Path(tempfile.mkdtemp(dir=folder)), found, rounds, slow, frozenset(wanted), quick=asked.quick)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute: fewer rounds, without what takes long")
    parser.add_argument("--check", action="store_true", help="the ratios that CI watches; exit 1 when one got worse")
    parser.add_argument("--only", nargs="*", metavar="ROW", help="rows whose id begins so; nothing is written")
    parser.add_argument("--rounds", type=int, help="how often a short command runs (default: 25, quick 10)")
    parser.add_argument(
        "--scenes",
        type=Path,
        help="folder that all scenes are made in (default: the system's temporary folder; many runs: /dev/shm)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
