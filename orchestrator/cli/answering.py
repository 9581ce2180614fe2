"""A copy of the loaded program that answers one up-to-date child run after another: most of such a run is its process.

Each is carried out as in a process of its own, with its own folder, variables, arguments and streams. What something
has to run for is declined before anything is written, and started as ever. Nothing is kept from one run to the next:
a copy whose descriptors, children or threads are not those it began with ends after its answer.
"""

from __future__ import annotations

import _socket
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.console import run
from orchestrator.cli.invocation import Invocation
from orchestrator.commands.context import Context
from orchestrator.commands.run.has_to_run import HasToRun
from orchestrator.process.guard import wire
from orchestrator.runner.stage_command import KEY_OF_CHILD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, Protocol
else:
    Protocol = object

_KEY = os.fsencode(KEY_OF_CHILD)
_RSS_UNIT = 1024
"""Bytes in a unit of ``ru_maxrss`` (getrusage(2) of Linux)."""
_CHUNK = 1 << 16


def may_be_cached(words: list[bytes], env: dict[bytes, bytes]) -> bool:
    """Tell whether a child run of these words may turn out to be up to date; one with a key may be another's run."""
    return words[:1] == [b"start"] and b"--no-cache" not in words and _KEY not in env


class Child(Protocol):
    """How a copy of the program becomes a child run."""

    def begin(self, argv: list[bytes], env: dict[bytes, bytes]) -> None:
        """Make arguments, environment, streams and signals those of a child."""

    def exit_code(self, main: Callable[[], int]) -> int:
        """Return the exit code of ``main``; what escapes from it is printed, but for HasToRun."""


def serve(control: int, child: Child) -> NoReturn:
    """Answer what comes in by the socket ``control`` (``process.guard.answering``) until it is closed; then end."""
    sock = _socket.socket(fileno=os.dup(control))
    for fd in (1, 2):
        os.dup2(0, fd)
    inbox = wire.Inbox()
    goes_on = True
    while goes_on and inbox.receive(sock):
        for message in inbox.messages():
            _, argv, cwd, env = message
            reply = _answer(child, argv, cwd, env, inbox.fds.pop(0))
            goes_on = reply[-1]
            wire.send(sock, reply)
    os._exit(0)


def _answer(child: Child, argv: list[bytes], cwd: bytes, env: dict[bytes, bytes], output: int) -> wire.Message:
    """Answer one command; what it prints goes to ``output``, which is closed."""
    used, held = _cpu_seconds(), _descriptors()
    code = None
    try:
        with _printed() as printed:
            os.chdir(cwd)
            child.begin(argv, env)
            code = child.exit_code(_cached_run)
            _copy(printed, output)
    except (HasToRun, OSError):  # no such folder, no more memory for files: who starts the command reports it
        pass
    os.close(output)
    goes_on = _is_alone() and _descriptors() == held - 1
    if code is None:
        return ("declined", goes_on)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    return ("answered", code << 8, _cpu_seconds() - used, rss, goes_on and code == 0)


@contextmanager
def _printed() -> Iterator[int]:
    """Let what is printed go to a file in memory, whose descriptor is returned. Raises OSError."""
    printed = os.memfd_create("printed")
    try:
        for fd in (1, 2):
            os.dup2(printed, fd)
        yield printed
    finally:
        os.close(printed)
        for fd in (1, 2):
            os.dup2(0, fd)


def _cached_run() -> int:
    """Carry out this process's words, as ``main`` does; raises HasToRun where something is not up to date."""
    words = sys.argv[1:]
    return run(words, COMMANDS, Invocation.of_process(words)._replace(make_context=_context))


def _context() -> Context:
    return Context(os.getcwd(), os.environ, sys.stdout, sys.stderr, cached_only=True)


def _copy(source: int, target: int) -> None:
    """Copy what was printed to a pipe; nobody may be reading it any more."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    at = 0
    with suppress(BrokenPipeError):
        while data := os.pread(source, _CHUNK, at):
            at += os.write(target, data)


def _descriptors() -> int:
    """Return how many descriptors are open, that of the listing among them."""
    return len(os.listdir("/proc/self/fd"))


def _is_alone() -> bool:
    """Tell whether no thread was left behind, and no process."""
    if len(os.listdir("/proc/self/task")) > 1:
        return False
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
