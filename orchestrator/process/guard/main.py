"""The guard's own loop: takes orders from the owner, forks a reaper for each stage, passes reports on.

Orders: ``("keep",)`` with a descriptor to hold until the end; ``("spawn", key, argv, cwd, env)`` with the
output's descriptor; ``("terminate", key or None for all, seconds)``; ``("echo", message)``, which comes
back. Reports: ``spawned``, ``failed`` and ``exited`` as the reapers send them, ``("lost", text)`` when the
guard itself breaks, and at the end ``("closed", processes killed)``.

The owner's end closed, on purpose or because it died, means: kill everything, then exit.

A guard may hold a program loaded (``program``, see ``launch``): its commands are copies of the guard, not executed.
"""

from __future__ import annotations

import _socket
import posix
import select
import sys
import time

from . import signals, wire
from .launch import Program
from .reaper import PATIENCE, Reaper
from .tree import ReapedTree, become_subreaper, go_on_without_parent, is_stopped, kill_all

TYPE_CHECKING = False  # as typing has it, without its import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

CLOSING_PATIENCE = PATIENCE + 1.0
"""Seconds that reapers have to kill their trees; then they are killed, and the guard does it."""
STOPPED_PATIENCE = 2.0
"""Seconds that a reaper may be stopped after its tree should have ended; then it is killed, and the guard does it."""
LOOK = 2.0
"""Seconds between two times that reapers are made to go on, in case that somebody has stopped them."""
HURRIED_LOOK = 0.5
"""The same while a tree is to end."""
STRAY_PATIENCE = 1.0
"""Seconds of SIGKILL for what a dead reaper has left; the guard does nothing else in that time."""
FLUSH_SECONDS = 1.0
"""Seconds that an owner has to read the last reports."""
KILLED = 9  # the wait status of a process that SIGKILL ended


class _ReaperEntry:
    """A reaper as the guard sees it; ``reported`` once it has reported its stage's end."""

    def __init__(self, key: int, pid: int, sock: _socket.socket) -> None:
        self.key = key
        self.pid = pid
        self.sock = sock
        self.inbox = wire.Inbox()
        self.reported = False
        self.due: float | None = None
        """When its tree should have ended: the grace that it was given is over."""


class GuardServer:
    """The guard of one run. ``owner`` is the socket to it; without ``subreaper``, trees are found by a table."""

    def __init__(self, owner: _socket.socket, *, subreaper: bool, program: Program | None = None) -> None:
        self._owner = owner
        self._program = program
        self._subreaper = subreaper and become_subreaper()
        self._inbox = wire.Inbox()
        self._outbox = bytearray()
        self._reapers: dict[int, _ReaperEntry] = {}
        self._closing_at: float | None = None
        self._killed = 0
        self._look_at = 0.0
        self._hopeless: set[int] = set()
        self._poll = select.poll()
        self._poll.register(owner, select.POLLIN)

    def run(self) -> None:
        """Serve until the owner's end is closed and nothing is left of what it started."""
        while self._closing_at is None or self._reapers:
            for fd, events in self._poll.poll(self._milliseconds()):
                if fd != self._owner.fileno():
                    self._hear(fd)
                elif events & select.POLLOUT:
                    self._flush()
                elif self._closing_at is None:
                    self._obey()
            self._mind_reapers(time.monotonic())
        self._say(("closed", self._killed))
        self._flush(wait=FLUSH_SECONDS)

    def say_lost(self, why: str) -> None:
        """Tell the owner that the guard is broken."""
        self._say(("lost", why))
        self._flush(wait=FLUSH_SECONDS)

    def _milliseconds(self) -> float | None:
        if not self._reapers:
            return None
        is_hurried = self._closing_at is not None or any(reaper.due is not None for reaper in self._reapers.values())
        return (HURRIED_LOOK if is_hurried else LOOK) * 1000

    def _obey(self) -> None:
        try:
            connected = self._inbox.receive(self._owner)
        except BlockingIOError:
            return
        for message in self._inbox.messages():
            if message[0] == "spawn":
                self._spawn(message, self._inbox.fds.pop(0))
            elif message[0] == "terminate":
                self._terminate(*message[1:])
            elif message[0] == "echo":
                self._say(message[1])
            elif message[0] == "keep":
                self._inbox.fds.pop(0)  # held by being open, here and in the reapers forked from now on
        if not connected:
            self._close()

    def _spawn(self, message: wire.Message, output: int) -> None:
        key = message[1]
        if self._program is not None and not self._program.is_ready():
            self._program = None
        here, there = _socket.socketpair()
        try:
            pid = posix.fork()
        except OSError as error:
            self._say(("failed", key, "failed", error.errno or 0, str(error)))
            posix.close(output)
            here.close()
            there.close()
            return
        if pid == 0:
            here.close()
            self._be_reaper(there, message, output)
        posix.close(output)
        there.close()
        self._reapers[here.fileno()] = _ReaperEntry(key, pid, here)
        self._poll.register(here, select.POLLIN)

    def _be_reaper(self, control: _socket.socket, message: wire.Message, output: int) -> None:
        """Be the reaper. It drops the guard's sockets, or their closing would not be seen; it keeps the locks."""
        code = 1
        try:
            posix.setsid()
            go_on_without_parent()
            self._owner.close()
            for other in self._reapers.values():
                other.sock.close()
            for fd in self._inbox.fds:  # the next stage's output may have come together with this order
                posix.close(fd)
            _, key, argv, cwd, env = message
            Reaper(control, key, subreaper=self._subreaper).run(argv, cwd, env, output, self._program)
            code = 0
        finally:
            posix._exit(code)

    def _terminate(self, key: int | None, grace: float) -> None:
        for reaper in self._reapers.values():
            if key is None or reaper.key == key:
                due = time.monotonic() + max(grace, 0.0)
                reaper.due = due if reaper.due is None else min(due, reaper.due)
                signals.send(reaper.pid, signals.CONT)
                try:
                    reaper.sock.send(wire.frame(("grace", grace)), _socket.MSG_DONTWAIT)
                except OSError:  # it has just ended, or has been stopped for long: then it is killed when it is due
                    continue

    def _mind_reapers(self, now: float) -> None:
        """Let reapers that somebody stopped go on; kill those whose tree should have ended, and that can't be moved."""
        for reaper in self._reapers.values():
            due = reaper.due if self._closing_at is None else self._closing_at
            late = 0.0 if due is None else now - due
            if late > CLOSING_PATIENCE or (late > STOPPED_PATIENCE and is_stopped(reaper.pid)):
                signals.send(reaper.pid, signals.KILL)
            elif now >= self._look_at:
                signals.send(reaper.pid, signals.CONT)
        if now >= self._look_at:
            self._look_at = now + LOOK

    def _hear(self, fd: int) -> None:
        reaper = self._reapers[fd]
        connected = reaper.inbox.receive(reaper.sock)
        for message in reaper.inbox.messages():
            reaper.reported = reaper.reported or message[0] != "spawned"
            if message[0] == "exited" and self._closing_at is not None:
                self._killed += message[-1]
            self._say(message)
        if not connected:
            self._part(fd, reaper)

    def _part(self, fd: int, reaper: _ReaperEntry) -> None:
        self._poll.unregister(fd)
        del self._reapers[fd]
        reaper.sock.close()
        try:  # noqa: SIM105  (no contextlib here)
            posix.waitpid(reaper.pid, 0)
        except ChildProcessError:  # a sweep was faster
            pass
        strays = self._sweep()
        if not reaper.reported:
            self._say(("exited", reaper.key, KILLED, 0.0, 0, strays, len(self._hopeless), strays))
        if self._closing_at is not None:
            self._killed += strays

    def _sweep(self) -> int:
        """Kill what a dead reaper has left to this process, and return how many processes that were."""
        if not self._subreaper:
            return 0
        tree = ReapedTree(besides={reaper.pid for reaper in self._reapers.values()} | self._hopeless)
        until = time.monotonic() + STRAY_PATIENCE
        found: set[int] = set()
        while _reap() and tree.members():
            found.update(kill_all(tree))
            if time.monotonic() > until:
                self._hopeless.update(tree.members())
                break
            time.sleep(0.001)
        return len(found)

    def _close(self) -> None:
        self._closing_at = time.monotonic()
        self._poll.unregister(self._owner)
        for reaper in self._reapers.values():
            try:  # noqa: SIM105  (no contextlib here)
                reaper.sock.shutdown(_socket.SHUT_WR)
            except OSError:  # it has just ended
                pass
            signals.send(reaper.pid, signals.CONT)  # in case that someone has stopped it

    def _say(self, message: wire.Message) -> None:
        self._outbox += wire.frame(message)
        self._flush()

    def _flush(self, *, wait: float = 0.0) -> None:
        """Send what the owner takes now; its slowness must not keep the guard from its work."""
        until = time.monotonic() + wait
        while self._outbox:
            try:
                del self._outbox[: self._owner.send(self._outbox)]
            except BlockingIOError:
                if time.monotonic() >= until:
                    break
                time.sleep(0.001)
            except OSError:  # nobody is there to read it
                self._outbox.clear()
        if self._closing_at is None:
            self._poll.modify(self._owner, select.POLLIN | (select.POLLOUT if self._outbox else 0))


def _reap() -> bool:
    """Reap what has ended; return whether any child is left."""
    try:
        while posix.waitpid(-1, posix.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def main() -> None:
    """Be the guard: the socket to the owner is stdin, ``sys.argv[2]`` tells how trees are found.

    ``sys.argv[3]``, where it is given, is the module whose ``load`` returns the program that is to be held loaded.
    """
    names = sys.argv[3:]
    serve(sys.argv[2], (lambda: __import__(names[0], fromlist=["load"]).load()) if names else None)


def serve(trees: str, load: Callable[[], Program] | None) -> NoReturn:
    """Be the guard of the owner at stdin: ``trees`` tells how they are found, ``load`` returns what is held loaded."""
    owner = _settle()
    guard = GuardServer(owner, subreaper=trees == "subreaper", program=_loaded(load))
    try:
        guard.run()
    except Exception as error:  # whatever it was, the owner hears of it; the reapers see this process end, and kill
        guard.say_lost(f"{type(error).__name__}: {error}")
    posix._exit(0)  # the run's lock is free when this process is gone: no time for taking an interpreter apart


def _loaded(load: Callable[[], Program] | None) -> Program | None:
    """Return the program to hold loaded; None where there is none, or it can't be: then each command is executed."""
    try:
        return load() if load is not None else None
    except Exception:  # whatever it was, executing the program meets it again and reports it
        return None


def _settle() -> _socket.socket:
    """Leave the owner's session, signals and descriptors behind, and return the socket to it."""
    posix.setsid()
    signals.ignore_usual()
    go_on_without_parent()
    owner = _socket.socket(fileno=posix.dup(0))
    owner.setblocking(False)
    null = posix.open("/dev/null", posix.O_RDWR)
    for fd in (0, 1, 2):
        posix.dup2(null, fd)
    for name in posix.listdir("/dev/fd"):
        if int(name) > 2 and int(name) != owner.fileno():
            try:
                posix.close(int(name))
            except OSError:  # the listing's own descriptor
                continue
    return owner
