"""Starting what is measured, and knowing its time: wall clock, and CPU of the process and all that it waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_TOLD = 2000


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, the folder that it runs in, and its whole environment."""

    argv: Sequence[str]
    folder: Path
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """How commands ended: times in seconds, exit codes in the order of their start, output of the first that failed."""

    wall: float
    cpu: float
    codes: tuple[int, ...]
    output: str


def run(command: Command) -> Ended:
    """Run a command to its end. Raises RuntimeError when it fails: a run that fails fast is no fast run."""
    ended = run_all([command])
    if ended.codes != (0,):
        raise RuntimeError(f"{' '.join(command.argv)} ended with exit code {ended.codes[0]}: {ended.output[-_TOLD:]}")
    return ended


def run_all(commands: Sequence[Command]) -> Ended:
    """Start all commands at once, wait for the last, and return how they ended, whatever their exit codes."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands]
        return _ended(commands, files)


def _ended(commands: Sequence[Command], files: Sequence[IO[bytes]]) -> Ended:
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            command.argv,
            cwd=command.folder,
            env=dict(command.environ),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
        for command, file in zip(commands, files, strict=True)
    ]
    cpu = 0.0
    for process in processes:
        # Popen.wait tells no usage; its return code is set so that it doesn't wait again.
        _, state, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(state)
        cpu += usage.ru_utime + usage.ru_stime
    wall = time.perf_counter() - began
    codes = tuple(process.returncode for process in processes)
    first = next((number for number, code in enumerate(codes) if code != 0), 0)
    files[first].seek(0)
    return Ended(wall, cpu, codes, files[first].read().decode("utf-8", "replace"))


def environ(home: Path) -> dict[str, str]:
    """Return the environment of what is measured: no settings of this shell's, ``home`` as HOME, bytecode written."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ}
    quiet = {"TURBO_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1", "NO_UPDATE_NOTIFIER": "1"}
    return {**kept, **quiet, "HOME": str(home), "USER": "bench", "LOGNAME": "bench", "TERM": "dumb"}


def module(name: str, *arguments: str) -> list[str]:
    """Return the command line of a module of this interpreter's environment."""
    return [sys.executable, "-m", name, *arguments]
