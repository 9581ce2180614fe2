"""A host of processes that starts none: what commands print, how long they take and how they end is scripted."""

from __future__ import annotations

import os
import selectors
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.process import Exited, GuardLost, Heard, Spawned, SpawnFailed, SpawnFault
from tests.records import FakeClock


@dataclass(frozen=True, slots=True)
class Script:
    """What one command does. ``output`` (64 KiB at most) comes at once, the end after ``seconds``.

    ``fault`` lets nothing start. With ``ignores_term`` it lives until its grace period is over; with
    ``holds_output`` something keeps its output open when it has ended, until the host is closed.
    """

    output: bytes = b""
    seconds: float = 0.0
    exit_code: int = 0
    signal: str | None = None
    fault: SpawnFault | None = None
    ignores_term: bool = False
    holds_output: bool = False
    swept: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """One call of ``spawn``, and the time it came."""

    key: int
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    at: float


@dataclass(slots=True)
class _Running:
    script: Script
    fd: int
    ends: float
    signal: str | None = None


@dataclass(slots=True)
class FakeHost:
    """A ``ProcessHost``: ``scripts`` by a command's first word, a list of them for one start after another."""

    clock: FakeClock
    scripts: Mapping[str, Script | Sequence[Script]] = field(default_factory=dict)
    started: list[Started] = field(default_factory=list)
    terminated: list[tuple[int, float]] = field(default_factory=list)
    _running: dict[int, _Running] = field(default_factory=dict)
    _heard: list[Heard] = field(default_factory=list)
    _held: list[int] = field(default_factory=list)
    _pipe: tuple[int, int] = field(default_factory=os.pipe)

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``messages`` has something."""
        return self._pipe[0]

    def spawn(self, key: int, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], output_fd: int) -> None:
        """Do what the script says."""
        script = self._script(argv[0])
        self.started.append(Started(key, tuple(argv), cwd, dict(env), self.clock.monotonic()))
        if script.fault is not None:
            self._say(SpawnFailed(key, script.fault, f"'{argv[0]}': {script.fault}"))
            return
        fd = os.dup(output_fd)
        os.write(fd, script.output)
        self._running[key] = _Running(script, fd, self.clock.monotonic() + script.seconds)
        self._say(Spawned(key, 10_000 + key))

    def terminate(self, key: int, *, grace_seconds: float) -> None:
        """End a command now, or after the grace period when it ignores SIGTERM."""
        self.terminated.append((key, grace_seconds))
        running = self._running.get(key)
        if running is not None:
            waits = running.script.ignores_term or grace_seconds <= 0
            running.signal = "SIGKILL" if waits else "SIGTERM"
            until = self.clock.monotonic() + (grace_seconds if running.script.ignores_term else 0.0)
            running.ends = min(running.ends, until)

    def terminate_all(self, *, grace_seconds: float) -> None:
        """Do so with every command."""
        for key in list(self._running):
            self.terminate(key, grace_seconds=grace_seconds)

    def watch(self) -> float | None:
        """Nothing of this host is ever stopped."""
        return None

    def messages(self) -> list[Heard]:
        """Return what has happened by now."""
        self.tick()
        if self._heard:
            os.read(self._pipe[0], 65536)
        heard, self._heard = self._heard, []
        return heard

    def adopt_keep_fd(self, fd: int) -> None:
        """Hold a duplicate until ``close``."""
        self._held.append(os.dup(fd))

    def close(self, *, timeout_seconds: float) -> int:
        """End everything."""
        killed = len(self._running)
        for fd in [running.fd for running in self._running.values()] + self._held:
            os.close(fd)
        self._running.clear()
        self._held.clear()
        return killed

    def lose(self, detail: str) -> None:
        """Let the guard be lost."""
        self.close(timeout_seconds=0)
        self._say(GuardLost(detail))

    def tick(self) -> None:
        """Let what is due by the clock happen."""
        for key, running in list(self._running.items()):
            if running.ends <= self.clock.monotonic():
                del self._running[key]
                self._end(key, running)

    @property
    def next_end(self) -> float | None:
        """When the next command ends, by the clock, or None when none runs."""
        return min((running.ends for running in self._running.values()), default=None)

    def _end(self, key: int, running: _Running) -> None:
        script = running.script
        signal = running.signal or script.signal
        if script.holds_output:
            self._held.append(running.fd)
        else:
            os.close(running.fd)
        self._say(Exited(key, None if signal else script.exit_code, signal, 0.25, 1 << 20, script.swept))

    def _say(self, message: Heard) -> None:
        self._heard.append(message)
        os.write(self._pipe[1], b".")

    def _script(self, name: str) -> Script:
        found = self.scripts.get(name, Script())
        if isinstance(found, Script):
            return found
        before = sum(1 for one in self.started if one.argv[0] == name)
        return found[min(before, len(found) - 1)]


class FakeSelector(selectors.DefaultSelector):
    """Waits without waiting: when nothing is ready, the clock moves to what happens next."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__()
        self._host = host

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        """Return what is ready, after moving the clock by ``timeout`` or up to the next end of a command."""
        self._host.tick()
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        now = self._host.clock.monotonic()
        due = self._host.next_end
        waits = [wait for wait in (timeout, None if due is None else due - now) if wait is not None]
        if not waits:
            raise AssertionError("nothing will ever happen: no command runs and no timer is set")
        self._host.clock.advance(max(0.0, min(waits)))
        self._host.tick()
        return super().select(0)
