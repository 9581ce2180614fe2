"""``python -m benchmarks.redaction [--mib N]``: what masking costs a stage's output, in time and in memory.

The real pump (guard, pipe, selector, masking, log file) carries the same output four times: not masked at
all, with the shapes of tokens only, and with 20 secrets in all their encodings, with Vectorscan and without.
Each in a process of its own, which tells its own peak memory; what the stage's processes use is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.base.clock import SystemClock
from orchestrator.base.files import Seam
from orchestrator.base.redaction import Redactor
from orchestrator.base.redaction.finder import AdaptiveFinder, PlainFinder
from orchestrator.base.redaction.masking import Stream
from orchestrator.base.redaction.needles import Needles
from orchestrator.process import GuardClient
from orchestrator.runner.job import Finished, Job
from orchestrator.runner.process_loop import ProcessLoop
from orchestrator.runner.signals import SignalInbox
from orchestrator.runner.stage_log import StageLog

LOG_LIMIT = 256 * 1024 * 1024
"""The built-in ``log_limit`` of a stage."""

_CHOICE = random.Random(20261122)
_LETTERS = string.ascii_letters + string.digits + "/+-_&'\"$ äß"
SECRETS = tuple("".join(_CHOICE.choices(_LETTERS, k=32)) for _ in range(20))
WAYS = ("unmasked", "shapes", "secrets-plain", "secrets-compiled")

_PRINT = """
import os, sys
sample, left = open(sys.argv[1], "rb").read(), int(sys.argv[2])
while left > 0:
    left -= os.write(1, sample[:left])
"""


class _Through(Stream):
    """A stream that masks nothing."""

    def feed(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Unmasked(Redactor):
    def stream(self) -> Stream:
        return _Through(Needles(()), PlainFinder((), ()))


_MAKERS: dict[str, Callable[[], Redactor]] = {
    "unmasked": lambda: _Unmasked(()),
    "shapes": lambda: Redactor(()),
    "secrets-plain": lambda: Redactor(SECRETS, finder=PlainFinder),
    "secrets-compiled": lambda: Redactor(SECRETS, finder=AdaptiveFinder),
}


def sample() -> bytes:
    """Return some MiB as stages print it: sources, paths, and now and then a secret."""
    root = Path(__file__).resolve().parent.parent
    files = sorted((root / "orchestrator").rglob("*.py"))
    parts = [f"{path}:{len(path.name)}: collected\n".encode() + path.read_bytes() for path in files]
    parts.insert(len(parts) // 2, f"deploying with {SECRETS[3]}\n".encode())
    text = b"".join(parts)
    return text * max(1, (4 << 20) // len(text))


def pump(way: str, size: int, folder: Path) -> float:
    """Carry ``size`` bytes of output into a log file and return the seconds from the stage's start to its end."""
    text = folder / "sample"
    text.write_bytes(sample())
    redactor = _MAKERS[way]()
    fd = os.open(folder / "log", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    argv = (sys.executable, "-I", "-S", "-c", _PRINT, str(text), str(size))
    job = Job(argv, "/", {}, None, StageLog(fd, LOG_LIMIT, Seam(), "log"), lambda data: None)
    host = GuardClient.start()
    try:
        with SignalInbox() as inbox:
            attempts = ProcessLoop(host, inbox, SystemClock(), redactor, lambda now: 5.0)
            began = time.perf_counter()
            attempts.start(job)
            ended: list[Finished] = []
            while not ended:
                ended = attempts.turn()
            took = time.perf_counter() - began
            attempts.close()
    finally:
        host.close(timeout_seconds=10)
    if ended[0].ended.outcome != "success":
        raise RuntimeError(f"the stage did not print to its end: {ended[0].ended}")
    return took


def peak_kib() -> int:
    """Return this process's peak memory so far in KiB."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measured(way: str, mib: int) -> dict[str, float]:
    """Pump in a process of its own; return ``seconds`` and ``peak_kib``."""
    command = [sys.executable, "-m", "benchmarks.redaction", "--one", way, "--mib", str(mib)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redaction")
    parser.add_argument("--mib", type=int, default=1024, help="how much a stage prints (default: 1024)")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts (default: 3)")
    parser.add_argument("--way", choices=WAYS, nargs="*", default=WAYS, help="which of them (default: all)")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
            took = pump(asked.one, asked.mib << 20, Path(name))
        print(json.dumps({"seconds": took, "peak_kib": peak_kib()}))
        return
    ways = dict.fromkeys(("unmasked", *asked.way))
    rounds = [{way: measured(way, asked.mib) for way in ways} for _ in range(max(1, asked.rounds))]
    bare = min(found["unmasked"]["seconds"] for found in rounds)
    for way in ways:
        best = min(found[way]["seconds"] for found in rounds)
        small = measured(way, 2)["peak_kib"]
        growth = (max(found[way]["peak_kib"] for found in rounds) - small) / 1024
        print(
            f"{way:<14} {best:7.2f} s {asked.mib / best:8.0f} MiB/s   ratio {best / bare:5.2f}"
            f"   memory from 2 to {asked.mib} MiB: {growth:+.1f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
