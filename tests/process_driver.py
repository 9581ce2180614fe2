"""What tests of real process trees need: a guard that can be waited for, and a zoo of processes hard to kill."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from orchestrator.process import Exited, GuardClient, GuardLost, Heard, Spawned, SpawnFailed

LINUX = sys.platform == "linux"
ENV = {"PATH": "/usr/bin:/bin"}
REACHABLE_BY_GROUP = ("plain", "stubborn")
EVERY_KIND = ("plain", "stubborn", "session", "daemon", "chain") if LINUX else REACHABLE_BY_GROUP
_SECONDS = 20.0
_Kind = TypeVar("_Kind", Spawned, SpawnFailed, Exited, GuardLost)


def is_readable(fd: int, seconds: float) -> bool:
    """Tell whether something can be read from ``fd`` within that time; its number may be a high one."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


ZOO = r"""
import os, signal, sys, time

marker, ending, kinds = sys.argv[1], sys.argv[2], sys.argv[3:]
reading, writing = os.pipe()


def stay():
    os.write(writing, b".")
    while True:
        time.sleep(60)


def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stay()


def session():
    os.setsid()
    stubborn()


def daemon():
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    stubborn()


def chain():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(writing, b".")
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()


for kind in kinds:
    if os.fork() == 0:
        {"plain": stay, "stubborn": stubborn, "session": session, "daemon": daemon, "chain": chain}[kind]()
for _ in kinds:
    os.read(reading, 1)
print("ready", flush=True)
if ending == "stay":
    while True:
        time.sleep(60)
sys.exit(int(ending))
"""


def new_marker() -> str:
    """Return a word that no other process has among its arguments."""
    return f"marker-{uuid.uuid4().hex}"


def zoo(marker: str, ending: str, kinds: Sequence[str] = EVERY_KIND) -> list[str]:
    """Return a command with one process of each kind; it stays (``stay``) or ends with a code (``3``)."""
    return [sys.executable, "-I", "-S", "-c", ZOO, marker, ending, *kinds]


def marked(marker: str) -> list[int]:
    """Return the pids of all processes, but zombies, that have ``marker`` among their arguments."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, errors="replace", check=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines() if marker in line]
    return [int(row[0]) for row in rows if not row[1].startswith("Z") and int(row[0]) != os.getpid()]


def parent_of(pid: int) -> int:
    """Return the pid of a process's parent."""
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True).stdout)


def soon(seconds: float = _SECONDS) -> float:
    """Return the time by which something must have happened."""
    return time.monotonic() + seconds


class Driver:
    """A guard and what has been heard of it; ``output`` gives what a command printed."""

    def __init__(self, *, subreaper: bool = True) -> None:
        self.guard = GuardClient.start(subreaper=subreaper)
        self.heard: list[Heard] = []
        self._outputs: dict[int, int] = {}
        self._keys = 0

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.guard.close(timeout_seconds=10)
        for fd in self._outputs.values():
            os.close(fd)

    def spawn(self, argv: Sequence[str], *, cwd: str | Path = "/", env: Mapping[str, str] | None = None) -> int:
        """Start a command and return its key."""
        self._keys += 1
        reading, writing = os.pipe()
        self._outputs[self._keys] = reading
        self.guard.spawn(self._keys, argv, cwd=str(cwd), env=ENV if env is None else env, output_fd=writing)
        os.close(writing)
        return self._keys

    def wait(self, kind: type[_Kind], key: int | None = None) -> _Kind:
        """Wait for a message of that kind, of that key if one is given; fail after a while."""
        until = soon()
        while True:
            for message in self.heard:
                if isinstance(message, kind) and key in (None, getattr(message, "key", None)):
                    return message
            left = until - time.monotonic()
            assert left > 0, f"no {kind.__name__} for {key}; heard: {self.heard}"
            again = self.guard.watch()
            if is_readable(self.guard.fileno(), left if again is None else min(left, again)):
                self.heard += self.guard.messages()

    def run(self, argv: Sequence[str], *, cwd: str | Path = "/", env: Mapping[str, str] | None = None) -> Exited:
        """Start a command and wait for its end."""
        return self.wait(Exited, self.spawn(argv, cwd=cwd, env=env))

    def failure(
        self, argv: Sequence[str], *, cwd: str | Path = "/", env: Mapping[str, str] | None = None
    ) -> SpawnFailed:
        """Start a command that can't be started, and return why."""
        return self.wait(SpawnFailed, self.spawn(argv, cwd=cwd, env=env))

    def line(self, key: int) -> bytes:
        """Wait for the next line that a command prints, and return it."""
        found = b""
        while not found.endswith(b"\n"):
            ready = self._is_readable(key, soon())
            assert ready, f"no line from {key}; heard: {self.heard}"
            byte = os.read(self._outputs[key], 1)
            assert byte, f"end of output of {key} after {found!r}; heard: {self.guard.messages()}"
            found += byte
        return found

    def output(self, key: int, seconds: float = _SECONDS) -> bytes:
        """Return what a command printed, up to the end of its output; fail when that does not come."""
        found = b""
        until = soon(seconds)
        while self._is_readable(key, until):
            part = os.read(self._outputs[key], 65536)
            if not part:
                return found
            found += part
        raise AssertionError(f"the output is still open after {found!r}")

    def _is_readable(self, key: int, until: float) -> bool:
        """Wait for output of a command; a guard that began late may not have taken the whole order yet."""
        while (left := until - time.monotonic()) > 0:
            again = self.guard.watch()
            if is_readable(self._outputs[key], left if again is None else min(left, again)):
                return True
        return False
