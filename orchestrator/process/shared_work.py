"""Work on very many things, shared among copies of this process: one for each core but its own.

A copy gets a part of the things and sends back what came of it. What a copy could not do, whatever the reason, this
process does itself, so that what is raised is raised here. A copy prints nothing, and a signal that a process may catch
ends it where this one's handlers would have unwound what is not the copy's: locks, for one. After the death of this
process it ends with the thing that it has in hand.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from orchestrator.process.guard.tree import go_on_without_parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeAlias, TypeVar

    Thing = TypeVar("Thing")
    Made = TypeVar("Made")
    Work: TypeAlias = "Callable[[Sequence[Thing]], list[Made]]"

_MOST = 4
"""Processes: what more of them read waits for the disk."""


def _cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def share(things: Sequence[Thing], work: Work[Thing, Made], least: int, processes: int | None = None) -> list[Made]:
    """Return what ``work`` makes of ``things``, in their order; raises what it raises.

    Fewer than ``least`` things for each process are not worth a copy. ``work`` gets a part of the things, and makes
    what ``pickle`` knows. ``processes``: at most so many, left out: the cores.
    """
    most = min(_cores(), _MOST) if processes is None else processes
    count = min(most, len(things) // least)
    if count < 2 or not _can_be_copied():
        return work(things)
    size = -(-len(things) // count)
    parts = [things[begin : begin + size] for begin in range(0, len(things), size)]
    copies: list[_Copy] = []
    try:
        with _blocked():  # each copy that is made is known before a signal can end this
            copies.extend(_Copy(work, part) for part in parts[1:])
        made = work(parts[0])
        for part, copy in zip(parts[1:], copies, strict=True):
            sent = copy.answer()
            made += work(part) if sent is None else sent
        return made
    finally:
        with _blocked():
            for copy in copies:
                copy.end()


@contextmanager
def _blocked() -> Iterator[None]:
    """Let signals wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _can_be_copied() -> bool:
    """Tell whether a copy has all of this process: of its threads it would have one, and of their locks all."""
    threading = sys.modules.get("threading")
    return hasattr(os, "fork") and (threading is None or threading.active_count() == 1)


class _Copy:
    """A copy of this process that does its part, and ends. It is made where signals are blocked."""

    def __init__(self, work: Work[Any, Any], part: Sequence[Any]) -> None:
        self._pid = 0
        self._from = -1
        owner = os.getpid()
        with suppress(OSError):  # no descriptor is left, or no process: the part is done here
            self._from, to = os.pipe()
            try:
                self._pid = os.fork()
                if self._pid == 0:
                    os.close(self._from)  # or it would wait for itself to read what nobody else does any more
                    _work_and_end(work, _Owned(part, owner), to)
            finally:
                os.close(to)

    def answer(self) -> list[Any] | None:
        """Wait for the copy and return what it made; None when it could not."""
        if self._pid == 0:
            return None
        with open(self._from, "rb", closefd=False) as file:
            data = file.read()
        state = self._wait()
        if state != 0:
            return None
        import pickle  # loaded only where it is needed: 3 ms

        made: list[Any] = pickle.loads(data)  # noqa: S301 -- what a copy of this process wrote
        return made

    def end(self) -> None:
        """End the copy, where nobody waited for it."""
        if self._from >= 0:
            os.close(self._from)
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._wait()

    def _wait(self) -> int | None:
        """Wait for the copy's end and return its status; None where it is not known: who ignores SIGCHLD has none."""
        state = None
        with _blocked(), suppress(ChildProcessError):
            _, state = os.waitpid(self._pid, 0)
        self._pid = 0
        return state


class _Owned(Sequence["Any"]):
    """The things of a copy: there is no further one once ``owner``, whose copy it is, has ended."""

    def __init__(self, things: Sequence[Any], owner: int) -> None:
        self._things = things
        self._owner = owner

    def __len__(self) -> int:
        return len(self._things)

    def __getitem__(self, index: Any) -> Any:
        if os.getppid() != self._owner:
            os._exit(1)
        return self._things[index]


def _work_and_end(work: Work[Any, Any], part: Sequence[Any], to: int) -> NoReturn:
    """Do a part in a copy of this process, which ends without doing what the process itself does at its end."""
    code = 1
    try:
        _part_from_owner()
        import pickle

        with open(to, "wb", closefd=False) as file:
            pickle.dump(work(part), file, protocol=pickle.HIGHEST_PROTOCOL)
        code = 0
    finally:
        os._exit(code)


def _part_from_owner() -> None:
    """Print nowhere, and end by signals: what a terminal sends goes to each process of a command. Raises OSError.

    A copy that somebody stopped goes on when its owner has died: it has the owner's locks.
    """
    go_on_without_parent()
    nothing = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
