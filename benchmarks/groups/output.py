"""A stage that prints much, 20 secrets masked: time against the npm release and ``tee``, and growth of our memory."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.measure import Contender
from benchmarks.redaction import SECRETS, sample
from benchmarks.results import Result
from benchmarks.running import Command
from benchmarks.scenes import TASK, npm_folder, npm_start, workspace
from benchmarks.tree import is_supported, peak_of

PIECE_MIB = 4
"""Size of the file that stages print again and again; small enough to stay in the page cache."""

_ROUNDS_OF_MEMORY = 3


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of output."""
    rows = ("output-npm", "output-tee", "output-shown", "output-growth")
    if bench.quick or not bench.wants(*rows):
        yield from bench.slow(*rows)
        return
    makers = {
        "ours": lambda: _contender("ours", ours(bench, 200)),
        "ours, shown": lambda: _contender("ours, shown", ours(bench, 200, form="text")),
        "npm": lambda: _contender("npm", npm(bench, 200)),
        "tee": lambda: Contender.of("tee", tee(bench, 200)),
    }
    versus = [
        Versus("output-npm", "ours", "npm"),
        Versus("output-tee", "ours", "tee"),
        Versus("output-shown", "ours, shown", "npm"),
    ]
    yield from bench.compare(makers, versus, bench.slow_rounds)
    if bench.wants("output-growth"):
        yield _growth(bench)


def printing(folder: Path, mib: int) -> str:
    """Write the file that is printed and return the shell words that print ``mib`` MiB of it."""
    folder.mkdir(parents=True, exist_ok=True)
    piece = folder / "piece"
    text = sample()
    piece.write_bytes((text * (PIECE_MIB * 1024 * 1024 // len(text) + 1))[: PIECE_MIB << 20])
    script = folder / "print.sh"
    line = f"head -c {mib << 20} {piece}" if mib < PIECE_MIB else "cat" + f" {piece}" * (mib // PIECE_MIB)
    script.write_text(f"exec {line}\n")
    return f"sh {script}"


def secret_names() -> list[str]:
    """Return the names of the variables that hold the secrets."""
    return [f"BENCH_SECRET_{number:02d}" for number in range(len(SECRETS))]


def ours(bench: Bench, mib: int, form: str = "json") -> Command:
    """Return our start of one stage that prints, with 20 secrets in its environment, all masked.

    It goes to the log and, made harmless, to stderr where the run is asked for JSON, to stdout as text.
    """
    names = secret_names()
    scene = bench.scene()
    words = {"print": printing(scene.with_suffix(".data"), mib)}
    declared = "secret_env = [" + ", ".join(f'"{name}"' for name in names) + "]"
    workspace(scene, words, pipeline="printing", session=declared)
    command = bench.ours(scene, "start", "--project", "noop", "--pipeline", "printing", "--format", form)
    return bench.command(command.argv, scene, dict(zip(names, SECRETS, strict=True)))


def npm(bench: Bench, mib: int) -> Command:
    """Return the npm release's start of the same stage."""
    scene = bench.scene()
    npm_folder(scene, {"print": printing(scene.with_suffix(".data"), mib)})
    return bench.command(npm_start(bench.peers.commands["npm"]), scene, {"MCP_RUNNER_TASK_ID": TASK})


def tee(bench: Bench, mib: int) -> Command:
    """Return the same output through a pipe into a file, by ``tee``, which does nothing else."""
    scene = bench.scene()
    scene.mkdir(parents=True)
    words = printing(scene.with_suffix(".data"), mib)
    return bench.command(["sh", "-c", f"{words} | tee log >/dev/null"], scene)


def forget_logs(scene: Path) -> None:
    """Remove the runs before, whose logs would fill the disk."""
    shutil.rmtree(scene / ".runs" / TASK / "cli", ignore_errors=True)


def _contender(name: str, command: Command) -> Contender:
    return Contender.of(name, command, before=lambda: forget_logs(command.folder))


def _growth(bench: Bench) -> Result:
    """Return how much more memory our process takes for 1 GiB than for 1 MiB: medians of three runs each."""
    if not is_supported():
        return Result("output-growth", skipped="this system has no /proc/<pid>/smaps_rollup")
    small, large = (statistics.median(_peaks(ours(bench, mib))) for mib in (1, 1024))
    return Result("output-growth", large - small, note=f"{small:.1f} MiB with 1 MiB of output, {large:.1f} with 1 GiB")


def _peaks(command: Command) -> Iterator[float]:
    for _ in range(_ROUNDS_OF_MEMORY):
        forget_logs(command.folder)
        yield peak_of(command).own
