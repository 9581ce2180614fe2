"""Standard streams that may be closed, cut off or of any encoding: printing never ends in a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def open_missing() -> None:
    """Give standard descriptors that the caller closed the null device, and make text streams forgiving.

    Without it the next file that is opened, a record for example, would become descriptor 1 or 2, and what
    is printed would go into it.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 -- lives as the process
    escape_unknown()
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from orchestrator.cli.job_stream import in_job  # outside of a job there is no log that takes commands

        sys.stdout, sys.stderr = in_job(sys.stdout, os.environ), in_job(sys.stderr, os.environ)


def escape_unknown() -> None:
    """Let the standard streams escape what their encoding does not have, where that would be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def emit(stream: TextIO, text: str) -> OSError | None:
    """Write and flush ``text``; on failure return why, and let later writes to the stream go nowhere."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        abandon(stream)
        return error
    return None


def raw(stream: TextIO) -> TextIO:
    """Return the stream that takes text as it is, where this one makes some of it harmless."""
    found: TextIO = getattr(stream, "raw", stream)
    return found


def settle(stream: TextIO) -> None:
    """Flush what a command left in the buffer, so that a closed stream is no error at the process's exit."""
    finish = getattr(stream, "finish", None)
    if finish is not None:
        with contextlib.suppress(OSError, ValueError):
            finish()
    emit(stream, "")


def abandon(stream: TextIO) -> None:
    """Let the stream's descriptor lead to the null device."""
    with contextlib.suppress(OSError, ValueError):
        target = stream.fileno()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, target)
        os.close(nothing)


def reader_gone(stream: TextIO) -> bool:
    """Tell whether the stream is a pipe or socket whose other end was closed."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    except (OSError, ValueError):
        return False
