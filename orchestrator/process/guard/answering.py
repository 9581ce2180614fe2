"""Processes that answer commands one after another, as the guard sees them: most of a short command is its process.

An answerer is a copy of the guard's program below a reaper of its own, as any command is. It takes one command at a
time, and either answers it as a process of its own would, or declines it untouched: then the guard starts it as usual.
What it prints goes to the command's output; its death is the end of the command that it has.

To an answerer go ``("answer", argv, cwd, env)``, each with its output's descriptor; what comes back is ``("answered",
wait status, cpu, rss, goes on)`` or ``("declined", goes on)``. Without ``goes on`` it ends by itself.
"""

from __future__ import annotations

import _socket
import posix
import select

from . import wire

TYPE_CHECKING = False  # as typing has it, without its import
if TYPE_CHECKING:
    from typing import NoReturn, Protocol

    from .launch import Program
else:
    Protocol = object

MOST = 8
"""So many answerers at most: one for each command that runs, as long as these are few."""
TRUST = 4
"""So many more commands may be declined than were answered; then none is asked for: asking costs a lookup."""
_MOST_BYTES = 1 << 16
"""A larger command is started: the guard must not wait for an answerer to read it (unix(7): what is sent at once)."""
_ENDED_BY_TERM = 15  # the wait status of a process that SIGTERM ended
_FAILED = 1 << 8  # that of a process whose exit code was 1


class Answering:
    """The program as an answerer runs it: its only command, whatever its words, is to serve at standard output."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def is_ready(self) -> bool:
        """Tell whether copies may be made: that was asked when the answerer was wanted."""
        return True

    def is_called_by(self, argv: list[bytes]) -> bool:
        """Tell whether a command calls the program: each does."""
        return True

    def may_answer(self, argv: list[bytes], env: dict[bytes, bytes]) -> bool:
        """Tell whether a command may be given to an answerer: it is one."""
        return False

    def run(self, argv: list[bytes], env: dict[bytes, bytes]) -> NoReturn:
        """Answer what comes in by the socket that is standard output."""
        self._program.serve(1)

    def serve(self, control: int) -> NoReturn:
        """Answer what comes in by the socket ``control``."""
        self._program.serve(control)


class Answerer:
    """One answerer: the socket to it, and the command that it has, if any, with its output."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self.pid = 0
        self.order: wire.Message | None = None
        self.output = -1
        self.is_over = False
        """Whether it has said its last."""
        self._inbox = wire.Inbox()

    @property
    def key(self) -> int | None:
        """The owner's name for the command that it has; None where it has none."""
        return None if self.order is None else self.order[1]

    def give(self, order: wire.Message, output: int) -> None:
        """Give it a command of the owner's (``("spawn", key, argv, cwd, env)``)."""
        self.order, self.output = order, output
        try:
            wire.send(self.sock, ("answer", *order[2:]), output)
        except OSError:  # it has just died, which its reaper reports
            return

    def receive(self) -> list[wire.Message] | None:
        """Return what it has answered, None where nothing has come; ``is_over`` once it has ended, or is about to."""
        try:
            connected = self._inbox.receive(self.sock)
        except BlockingIOError:
            return None
        messages = self._inbox.messages()
        self.is_over = not (connected and all(message[-1] for message in messages))
        return messages

    def take_back(self) -> tuple[wire.Message, int]:
        """Return the command that it has, and its output's descriptor; it has none then."""
        order, output = self.order, self.output
        assert order is not None  # noqa: S101 -- it answers what it was given, once
        self.order, self.output = None, -1
        return order, output

    def drop(self) -> None:
        """Close, in a process that was just forked, what is the guard's: or its closing would not be seen."""
        self.sock.close()
        if self.output >= 0:
            posix.close(self.output)


class Host(Protocol):
    """What answerers need of their guard."""

    def fork_answerer(self, program: Program, sock: _socket.socket, answerer: Answerer) -> ReaperEntry:
        """Fork the reaper of an answerer that is given its commands by ``sock``. Raises OSError."""

    def start(self, order: wire.Message, output: int) -> None:
        """Start a command in a process of its own."""

    def say(self, message: wire.Message) -> None:
        """Report to the owner."""


class ReaperEntry(Protocol):
    """A reaper as the guard sees it."""

    due: float | None


class Answerers:
    """The answerers of a guard. ``poll`` is the guard's, which hands on what becomes readable (``hear``)."""

    def __init__(self, host: Host, poll: select.poll) -> None:
        self._host = host
        self._poll = poll
        self._trust = TRUST
        self._known: dict[int, tuple[Answerer, ReaperEntry]] = {}

    def __contains__(self, fd: int) -> bool:
        return fd in self._known

    def take(self, program: Program, order: wire.Message, output: int) -> bool:
        """Give a command to an answerer; False where it has to be started."""
        is_asked = self._trust > 0 and program.may_answer(order[2], order[4])
        if not is_asked or len(wire.frame(order)) > _MOST_BYTES:
            return False
        answerer = self._idle() or self._fork(program, output)
        if answerer is not None:
            answerer.give(order, output)
        return answerer is not None

    def _idle(self) -> Answerer | None:
        for answerer, reaper in self._known.values():
            if answerer.order is None and reaper.due is None:
                return answerer
        return None

    def _fork(self, program: Program, output: int) -> Answerer | None:
        """Return a new answerer, which does not inherit ``output``; None where there can't be one more."""
        if len(self._known) >= MOST:
            return None
        ours, theirs = _socket.socketpair()
        answerer = Answerer(ours)
        answerer.output = output
        try:
            reaper = self._host.fork_answerer(program, theirs, answerer)
        except OSError:  # no more processes: whoever starts the command meets that again
            ours.close()
            return None
        finally:
            theirs.close()
        ours.setblocking(False)
        self._known[ours.fileno()] = (answerer, reaper)
        self._poll.register(ours, select.POLLIN)
        return answerer

    def hear(self, fd: int) -> bool:
        """Take what has come by the socket ``fd``: report what was answered, have started what was declined.

        Returns whether anything had come.
        """
        answerer, reaper = self._known[fd]
        messages = answerer.receive()
        for message in messages or ():
            order, output = answerer.take_back()
            if message[0] == "answered":
                self._trust += 1
                posix.close(output)
                self._host.say(("spawned", order[1], answerer.pid))
                self._host.say(("exited", order[1], *message[1:4], 0, 0, 0))
            elif reaper.due is not None:
                posix.close(output)
                self._host.say(("exited", order[1], _ENDED_BY_TERM, 0.0, 0, 0, 0, 0))
            else:
                self._trust -= 1
                self._host.start(order, output)
        if answerer.is_over:
            self._forget(fd)
        return messages is not None

    def hear_reaper(self, answerer: Answerer, message: wire.Message) -> int:
        """Take what a reaper reports of its answerer; return how many processes were killed that had a command."""
        if message[0] == "spawned":
            answerer.pid = message[2]
            return 0
        self.part(answerer)
        if answerer.order is None:
            return 0
        order, output = answerer.take_back()
        if message[0] == "failed":
            self._host.start(order, output)
            return 0
        posix.close(output)
        # Without an answer it did not succeed, whatever the process's end looks like.
        self._host.say(("exited", order[1], message[2] or _FAILED, *message[3:]))
        return int(message[-1])

    def part(self, answerer: Answerer) -> None:
        """Forget an answerer that has ended, with what it has said before."""
        for fd, (known, _) in list(self._known.items()):
            if known is answerer:
                while fd in self._known and self.hear(fd):
                    pass
                if fd in self._known:
                    self._forget(fd)

    def lost(self, answerer: Answerer) -> int | None:
        """Part from an answerer whose reaper was killed; return the key of the command that was lost, if any."""
        self.part(answerer)
        if answerer.order is None:
            return None
        order, output = answerer.take_back()
        posix.close(output)
        key: int = order[1]
        return key

    def drop(self) -> None:
        """Close, in a process that was just forked, what is the guard's: or its closing would not be seen."""
        for answerer, _ in self._known.values():
            answerer.drop()

    def _forget(self, fd: int) -> None:
        answerer, _ = self._known.pop(fd)
        self._poll.unregister(fd)
        answerer.sock.close()
