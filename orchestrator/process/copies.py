"""Copies of this process that do one thing after another, while this process goes on.

A copy has all that is loaded here, and the locks that are held. It is given plain values that stand for a thing, and
sends back what came of it. It leaves the terminal's session and prints nowhere. One that dies has done nothing of its
thing, as far as this process knows. With this process it ends at once, in the middle of what it does, and so does what
it has started: else a slow git would hold the locks of a run that has died.
"""

from __future__ import annotations

import _socket
import gc
import os
import signal
import sys
import time
from contextlib import suppress

from orchestrator.process.guard import wire
from orchestrator.process.guard.tree import go_on_without_parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, TypeAlias

    Work: TypeAlias = "Callable[..., wire.Message | None]"

LOOK_SECONDS = 2.0
"""How often a copy that is at work is made to go on, in case that somebody has stopped it."""


def may_be_copied() -> bool:
    """Tell whether a copy has all of this process; of threads it would have one. Elsewhere than on Linux none has."""
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1
    except OSError:  # no /proc, as in some sandboxes: nobody can tell
        return False


class _Copy:
    """A copy as its owner sees it: its process, the socket to it, and the thing that it has, if any."""

    def __init__(self, pid: int, sock: _socket.socket) -> None:
        self.pid = pid
        self.sock = sock
        self.thing: wire.Message | None = None
        self.inbox = wire.Inbox()


class Copies:
    """At most ``most`` copies of this process that do ``work``: called with a thing's values, it returns plain ones.

    What waits for the sockets of ``filenos`` calls ``hear`` with each that is readable, and ``watch`` now and then.
    """

    def __init__(self, work: Work, most: int) -> None:
        self._copies: dict[int, _Copy] = {}
        self._look_at = 0.0
        for _ in range(most):
            try:
                self._fork(work)
            except OSError:  # no more processes or descriptors: fewer copies do the same
                break

    @property
    def filenos(self) -> tuple[int, ...]:
        """The descriptors of the copies that live; each is readable when its copy has answered or died."""
        return tuple(self._copies)

    @property
    def are_free(self) -> bool:
        """Whether a copy lives that has nothing to do."""
        return any(copy.thing is None for copy in self._copies.values())

    def give(self, thing: wire.Message) -> None:
        """Give a thing to a copy that has none (``are_free``)."""
        copy = next(copy for copy in self._copies.values() if copy.thing is None)
        copy.thing = thing
        with suppress(OSError):  # it has just died, which ``hear`` reports
            wire.send(copy.sock, thing)

    def hear(self, fileno: int) -> tuple[wire.Message, wire.Message | None] | None:
        """Return the thing that the copy of that socket had, with what it made of it; None where it has not answered.

        Without an answer nothing was made of it (None): the copy has died, and its socket is closed.
        """
        copy = self._copies[fileno]
        lives = True
        with suppress(BlockingIOError):
            lives = copy.inbox.receive(copy.sock)
        thing = copy.thing
        for (made,) in copy.inbox.messages():
            copy.thing = None
            if thing is not None:
                return thing, made
        if lives:
            return None
        del self._copies[fileno]
        _end(copy)
        return None if thing is None else (thing, None)

    def watch(self) -> float | None:
        """Let copies that somebody stopped go on; return when to call again, in seconds, None while none works."""
        at_work = [copy for copy in self._copies.values() if copy.thing is not None]
        if not at_work:
            return None
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            for copy in at_work:
                with suppress(ProcessLookupError):
                    os.kill(copy.pid, signal.SIGCONT)
        return self._look_at - now

    def close(self) -> None:
        """End all copies, in the middle of what they do, and wait for their ends; harmless when repeated."""
        for copy in self._copies.values():
            _end(copy)
        self._copies.clear()

    def _fork(self, work: Work) -> None:
        # Signals wait until the copy has left the terminal's session, and handlers that are not its own.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        owner = os.getpid()
        try:
            ours, theirs = _socket.socketpair()
            try:
                pid = os.fork()
                if pid == 0:
                    for sock in (ours, *(copy.sock for copy in self._copies.values())):
                        sock.close()  # or the end of this process would not be seen
                    _serve(work, theirs, owner)
            except OSError:
                ours.close()
                raise
            finally:
                theirs.close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        ours.setblocking(False)
        self._copies[ours.fileno()] = _Copy(pid, ours)


def _end(copy: _Copy) -> None:
    copy.sock.close()
    for kill in (os.kill, os.killpg):  # the latter for what the copy has started, once it leads a group
        with suppress(ProcessLookupError):
            kill(copy.pid, signal.SIGKILL)
    with suppress(ChildProcessError):  # who ignores SIGCHLD has no children to wait for
        os.waitpid(copy.pid, 0)


def _serve(work: Work, sock: _socket.socket, owner: int) -> NoReturn:
    """Do in a copy what comes in by ``sock`` until it is closed; nothing of the owner's is taken apart in it."""

    def end_without_owner(*_: object) -> None:
        if os.getppid() != owner:
            os.killpg(0, signal.SIGKILL)

    try:
        gc.freeze()
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCONT, end_without_owner)
        go_on_without_parent()
        end_without_owner()  # one that had died before is not announced
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        inbox = wire.Inbox()
        while inbox.receive(sock):
            for thing in inbox.messages():
                wire.send(sock, (work(*thing),))
    finally:
        os._exit(0)
