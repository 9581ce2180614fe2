"""``python -m benchmarks [--rounds N]``: the comparisons, one line each."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import Contender, compare
from benchmarks.scenes import environ, module, nox_folder, workspace


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=20, help="how often each command runs (default: 20)")
    rounds = max(2, parser.parse_args().rounds)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        scene = workspace(Path(name) / "workspace")
        nox = nox_folder(Path(name) / "nox")
        start = Contender("ours", module("orchestrator", "start", "--project", "noop"), scene)
        status = Contender("ours", module("orchestrator", "status"), scene)
        rows = [
            ("start, four no-op stages ÷ bare nox", start, Contender("nox", module("nox", "-s", "noop"), nox)),
            ("status ÷ invoke --list", status, Contender("invoke", module("invoke", "--list"), scene)),
        ]
        for row, ours, peer in rows:
            print(compare(row, ours, peer, environ(), rounds).line(), flush=True)


if __name__ == "__main__":
    main()
