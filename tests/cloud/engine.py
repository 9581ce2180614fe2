"""A real engine for tests: a scheduler with the hub and workers with the agent, processes of their own on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.harness import Orchestrator, WorkspaceFolder, clean_environ

Files = tuple[Path, Path, Path]
Found = TypeVar("Found")


def until(look: Callable[[], Found | None], seconds: float = 40.0) -> Found:
    """Return what ``look`` finds, as soon as it finds something; AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.03)
    raise AssertionError("it did not come about")


def is_there(pid: int) -> bool:
    """Tell whether a process lives; one that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


class Engine:
    """Scheduler and workers below ``folder``, with the TLS files of ``pki``; everything ends with ``close``."""

    def __init__(self, folder: Path, pki: Files, settings: Mapping[str, str] | None = None) -> None:
        self.folder, self.pki = folder, pki
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = int(taken.getsockname()[1])
        folder.mkdir(parents=True, exist_ok=True)
        self._environ = {**clean_environ(folder), "CODEX_ORCHESTRATOR_SPOOL": str(folder / "spool"), **(settings or {})}

    @property
    def address(self) -> str:
        """Where the scheduler is."""
        return f"tls://127.0.0.1:{self.port}"

    def cloud(self, more: str = "") -> str:
        """Return the text of a ``workspace.toml`` for this engine, with more lines of ``[cloud]``."""
        ca, cert, key = self.pki
        return (
            f'schema_version = 1\n[cloud]\nscheduler = "{self.address}"\n'
            f'ca = "{ca}"\ncert = "{cert}"\nkey = "{key}"\n{more}\n'
        )

    def start_scheduler(self, *, limited: str = "") -> None:
        """Start the scheduler and wait until it listens; ``limited`` is Python that its process runs first."""
        words = ("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--protocol", "tls")
        self._start("scheduler", "dask_scheduler", *words, "--preload", "orchestrator.cloud.hub", limited=limited)
        until(lambda: "distributed.scheduler - INFO -   Scheduler at" in self.log("scheduler") and self._listens())

    def start_worker(
        self,
        name: str,
        *options: str,
        preload: str | None = "orchestrator.cloud.agent",
        limited: str = "",
        address: str | None = None,
    ) -> None:
        """Start a worker, with one slot unless ``options`` say otherwise, and wait until it is registered."""
        words = (address or self.address, "--name", name, "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        local = ("--local-directory", str(self.folder / f"dask-{name}"))
        agent = () if preload is None else ("--preload", preload)
        slots = () if "--nthreads" in options else ("--nthreads", "1")
        self._start(name, "dask_worker", *words, *local, *agent, *slots, *options, limited=limited)
        until(lambda: "Registered to" in self.log(name))

    def log(self, name: str) -> str:
        """Return what a process printed."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a process a signal; one that is killed is waited for."""
        self.processes[name].send_signal(number)
        if number == signal.SIGKILL:
            self.processes.pop(name).wait()

    def close(self) -> None:
        """End every process."""
        for name in list(self.processes):
            self.kill(name)

    def _start(self, name: str, module: str, *words: str, limited: str = "") -> None:
        files = zip(("--tls-ca-file", "--tls-cert", "--tls-key"), self.pki, strict=True)
        options = [str(word) for pair in files for word in pair]
        program = f"{limited or 'import runpy; '}runpy.run_module('distributed.cli.{module}', run_name='__main__')"
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-c", program, *words, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=self._environ,
            )

    def _listens(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0


class CloudWorkspace:
    """A workspace that goes to an engine, and the program in it."""

    def __init__(self, root: Path, engine: Engine, more: str = 'lease = "4s"') -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.folder = WorkspaceFolder(root)
        self.call = Orchestrator(root, clean_environ(root.parent))
        self.folder.write("workspace.toml", engine.cloud(more))

    def project(self, stages: Mapping[str, str | Mapping[str, object]], name: str = "x", extra: str = "") -> None:
        """Onboard a project whose pipeline ``work`` has these stages, and commit all."""
        self.folder.project(name, stages, pipeline="work", extra=extra)
        self.folder.commit()

    def start(self, *words: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Begin a cloud run of the project ``x``."""
        return self.call.popen("start", "work", "--project", "x", "--mode", "cloud", *words, env=environ)

    def last(self, task: str = "1-x") -> dict[str, Any]:
        """Return the record of the task's last run, empty when there is none."""
        runs = self.folder.runs(task)
        return self.folder.manifest(runs[-1]) if runs else {}

    def running(self, stage: str, incarnation: int = 1) -> dict[str, Any]:
        """Wait until a stage runs in an incarnation, and return the record."""

        def look() -> dict[str, Any] | None:
            record = self.last()
            held = (record.get("engine") or {}).get("incarnations") or ()
            states = {command["id"]: command["status"] for command in record.get("commands", ())}
            return record if len(held) >= incarnation and states.get(stage) == "running" else None

        return until(look)

    def worker_of(self, record: Mapping[str, Any]) -> str:
        """Return the worker of a record's last incarnation."""
        return str(record["engine"]["incarnations"][-1]["worker"])

    def log(self, record: Mapping[str, Any], stage: str) -> str:
        """Return a stage's log."""
        command = next(command for command in record["commands"] if command["id"] == stage)
        text: str = (self.folder.root / command["log_path"]).read_text()
        return text


def ended(process: subprocess.Popen[bytes], seconds: float = 90.0) -> tuple[int, str]:
    """Wait for a command's end; return its exit code and all that it printed."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, (out + err).decode("utf-8", "replace")


def pids_of(marker: str) -> list[int]:
    """Return the processes whose command line has ``marker``."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in words and int(entry) != os.getpid():
                found.append(int(entry))
    return [pid for pid in found if is_there(pid)]
