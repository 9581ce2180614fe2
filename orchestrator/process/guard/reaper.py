"""One stage's reaper: starts the command, watches its tree, and ends only when the tree is gone.

It talks to the guard over a socket: in come grace periods (``("grace", seconds)``), out go the
messages that the owner gets. When the guard closes the socket, or dies, everything is killed at once.
"""

from __future__ import annotations

import _socket
import posix
import resource  # noqa: F401  (wait4 imports it at its first call: once here, not once in each reaper)
import select
import time

from . import signals, wire
from .launch import Program, launch
from .tree import GroupTree, ReapedTree, Tree, become_subreaper, kill_all, living

SWEEP_GRACE = 0.5
"""Seconds between SIGTERM and SIGKILL for what a stage left behind when it ended by itself."""
PATIENCE = 5.0
"""Seconds of SIGKILL after which processes that can't be killed (another user's, stuck in the kernel) are let be:
nothing may hold a stage for longer."""
BEGIN_PATIENCE = 1.0
"""Seconds that a process which somebody stopped has to become its command once that is to end."""
LOOK_INTERVAL = 1.0
"""Seconds between two looks at a tree that processes can leave (no subreaper); one look costs some 10 ms."""
POLL_INTERVAL = 0.02
"""Seconds between two looks while processes are dying that are not children of the reaper, and send no SIGCHLD."""
TERM_PASSES = 3
"""A process may fork while the tree is walked; the second and third walk find those children."""
RSS_UNIT = 1 if posix.uname().sysname == "Darwin" else 1024
"""Bytes in a unit of ``ru_maxrss``: getrusage(2) counts bytes on macOS, KiB on Linux."""


class Reaper:
    """The life of one stage's tree. ``control`` is the socket to the guard, ``key`` the owner's name for it."""

    def __init__(self, control: _socket.socket, key: int, *, subreaper: bool) -> None:
        self._control = control
        self._key = key
        self._subreaper = subreaper and become_subreaper()
        self._connected = True
        self._inbox = wire.Inbox()
        self._main = 0
        self._status: int | None = None
        self._childless = False
        self._cpu = 0.0
        self._rss = 0
        self._swept: set[int] = set()
        self._killed: set[int] = set()
        self._terminating = False
        self._deadline: float | None = None
        self._killing_since: float | None = None
        self._wake, self._poll = _wakeups(control)

    def run(
        self, argv: list[bytes], cwd: bytes, env: dict[bytes, bytes], output: int, program: Program | None = None
    ) -> None:
        """Start the command and return when its tree is gone and has been reported; ``program`` as in ``launch``."""
        try:
            launched = launch(argv, cwd, env, output, program, self._await_word)
        except OSError as error:
            self._report(("failed", self._key, "failed", error.errno or 0, str(error)))
            return
        posix.close(output)
        self._main = launched.pid
        if launched.failure is not None:
            posix.waitpid(launched.pid, 0)
            self._report(("failed", self._key, *launched.failure))
            return
        self._report(("spawned", self._key, launched.pid))
        survivors = self._watch(ReapedTree() if self._subreaper else GroupTree(launched.pid))
        counts = (len(self._swept), survivors, len(self._killed))
        self._report(("exited", self._key, self._status, self._cpu, self._rss, *counts))

    def _await_word(self, pid: int, reading: int) -> None:
        """Wait until it can be read what became of the command's process ``pid``.

        Somebody may have stopped it before it had begun. When the guard has an order, which is to end it, or is gone,
        it is made to go on, and after a while killed; the order itself is taken by ``_listen``.
        """
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        asked_at = None
        while all(fd != reading for fd, _ in poll.poll(None if asked_at is None else POLL_INTERVAL * 1000)):
            if asked_at is None:
                asked_at = time.monotonic()
                poll.unregister(self._control)
            is_late = time.monotonic() - asked_at > BEGIN_PATIENCE
            signals.send(pid, signals.KILL if is_late else signals.CONT)

    def _watch(self, tree: Tree) -> int:
        """Wait until nothing of the tree is left; return how many processes could not be killed."""
        while True:
            self._reap()
            if self._status is not None and (self._childless if tree.complete else not tree.members()):
                return 0
            now = time.monotonic()
            if self._killing_since is not None and now - self._killing_since > PATIENCE:
                return len(living(tree))
            self._act(tree, now)
            self._poll.poll(self._milliseconds(tree, time.monotonic()))
            self._listen(tree)

    def _act(self, tree: Tree, now: float) -> None:
        if self._status is not None and self._deadline is None:
            self._swept.update(living(tree))
            self._terminate(tree, now, SWEEP_GRACE)
        if self._deadline is not None and self._deadline <= now:
            self._killing_since = self._killing_since or now
            self._kill(tree)
        elif not tree.complete:
            tree.note()

    def _kill(self, tree: Tree) -> None:
        killed = set(kill_all(tree))
        self._killed |= killed
        self._swept |= killed - {self._main}

    def _terminate(self, tree: Tree, now: float, grace: float) -> None:
        deadline = now + max(grace, 0.0)
        if self._deadline is None or deadline < self._deadline:
            self._deadline = deadline
        if self._terminating or grace <= 0:
            return
        self._terminating = True
        reported: set[int] = set()
        for _ in range(TERM_PASSES):
            fresh = [pid for pid in tree.members() if pid not in reported]
            for pid in fresh:
                signals.send(pid, signals.TERM)
                signals.send(pid, signals.CONT)  # a stopped process takes a signal only when it goes on
            reported.update(fresh)
            if not fresh:
                break

    def _reap(self) -> None:
        while not self._childless:
            try:
                pid, status, usage = posix.wait4(-1, posix.WNOHANG)
            except ChildProcessError:
                self._childless = True
                return
            if pid == 0:
                return
            # A child's usage holds that of the children it has waited for (getrusage(2)).
            self._cpu += usage.ru_utime + usage.ru_stime
            self._rss = max(self._rss, usage.ru_maxrss * RSS_UNIT)
            if pid == self._main:
                self._status = status

    def _milliseconds(self, tree: Tree, now: float) -> float | None:
        if self._killing_since is not None:
            return POLL_INTERVAL * 1000 if self._killing_since < now - POLL_INTERVAL else 1
        waits = []
        if self._deadline is not None:
            waits.append(max(self._deadline - now, 0.0) + 0.001)
        if not tree.complete:
            waits.append(LOOK_INTERVAL if self._deadline is None else POLL_INTERVAL)
        return min(waits) * 1000 if waits else None

    def _listen(self, tree: Tree) -> None:
        try:
            while posix.read(self._wake, 4096):
                pass
        except BlockingIOError:
            pass
        if not self._connected:
            return
        try:
            self._connected = self._inbox.receive(self._control, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        now = time.monotonic()
        for message in self._inbox.messages():
            self._terminate(tree, now, message[1])
        if not self._connected:
            self._deadline = now
            self._terminating = True
            self._poll.unregister(self._control)

    def _report(self, message: wire.Message) -> None:
        try:
            wire.send(self._control, message)
        except OSError:
            self._deadline = 0.0  # the guard is dead: the loop sees it again, and kills


def _wakeups(control: _socket.socket) -> tuple[int, select.poll]:
    """Return a pipe that becomes readable when a child ends, and a poll of it and of the guard's socket."""
    wake, woken = posix.pipe()
    posix.set_blocking(wake, False)
    posix.set_blocking(woken, False)
    signals.wake_on_child_end(woken)
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    poll.register(control, select.POLLIN)
    return wake, poll
