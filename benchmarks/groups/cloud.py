"""Cloud mode on one machine: the same pipeline by a scheduler and a worker beside us ÷ started here."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.bench import Bench, Versus
from benchmarks.measure import Contender
from benchmarks.results import Result
from benchmarks.running import module, run
from benchmarks.scenes import committed, workspace

ROWS = (Versus("cloud-local", "cloud", "local"),)
START = ("start", "work", "--project", "noop", "--no-cache")
_READY_SECONDS = 60.0


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the row; scheduler and worker end with the measurement."""
    rows = bench.wants(*(row.row for row in ROWS))
    if bench.quick or not rows:
        yield from bench.slow(*rows)
        return
    with ExitStack() as stack:
        port = stack.enter_context(_engine(bench))
        yield from bench.compare(
            {"cloud": lambda: _there(bench, port), "local": lambda: _here(bench)}, ROWS, bench.slow_rounds
        )


def _here(bench: Bench) -> Contender:
    return Contender.of("local", bench.ours(workspace(bench.scene(), pipeline="work"), *START))


def _there(bench: Bench, port: int) -> Contender:
    """Return the start in the cloud, warm: the worker has run the project once."""
    scene = workspace(bench.scene(), pipeline="work")
    table = f'[cloud]\nscheduler = "tcp://127.0.0.1:{port}"\ninsecure = true\n'
    (scene / "workspace.toml").write_text(f"schema_version = 1\n{table}")
    command = bench.ours(committed(scene), *START, "--mode", "cloud")
    run(command)
    return Contender.of("cloud", command)


@contextmanager
def _engine(bench: Bench) -> Iterator[int]:
    """Start a scheduler and a worker, and yield the scheduler's port."""
    folder = bench.scene()
    folder.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    here = ("--host", "127.0.0.1", "--no-dashboard")
    scheduler = ("distributed.cli.dask_scheduler", *here, "--port", str(port), "--preload", "orchestrator.cloud.hub")
    worker = ("distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", *here, "--no-nanny", "--nthreads", "1")
    parts = (
        (scheduler, "Scheduler at"),
        ((*worker, "--name", "w1", "--preload", "orchestrator.cloud.agent"), "Registered to"),
    )
    processes = []
    try:
        for number, (words, sign) in enumerate(parts):
            log = folder / f"{number}.log"
            with log.open("wb") as output:
                processes.append(
                    subprocess.Popen(
                        module(*words),
                        cwd=folder,
                        env={**bench.environ(), "CODEX_ORCHESTRATOR_SPOOL": str(folder / "spool")},
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                    )
                )
            _wait_for(sign, log)
        yield port
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _wait_for(sign: str, log: Path) -> None:
    """Return once a process has printed ``sign``. Raises RuntimeError."""
    end = time.monotonic() + _READY_SECONDS
    while sign not in log.read_text(errors="replace"):
        if time.monotonic() > end:
            raise RuntimeError(f"the engine does not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)
