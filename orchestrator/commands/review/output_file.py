"""A file that somebody named by a flag, for a command's answer."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from orchestrator.base.errors import UsageError
from orchestrator.base.files import Folder, Seam, explained, write_all

_SYSTEM = ("/dev", "/proc")
"""Links there lead to what a process has open: ``/dev/stdout``, and ``/dev/fd/63`` of a shell's ``>(command)``."""

_SHARED = ("/dev/shm",)  # noqa: S108 -- not to be used, but known
"""Anybody may put a link there."""


def write_named(path: str, data: bytes, flag: str) -> None:
    """Write a file that somebody named by a flag, whole or not at all; UsageError when it can't be one.

    A device (``/dev/null``, a terminal) and a pipe get the bytes, and stay what they are.
    """
    above, name = os.path.split(path)
    try:
        folder = Folder.at(os.path.realpath(above), Seam())
    except FileNotFoundError:
        raise UsageError(f"there is no folder '{above}'", hint="make it, then run the command again") from None
    with folder:
        if not name or folder.has_folder(name):
            raise UsageError(f"{flag} '{path}' is a folder", hint="name a file", code="bad-output")
        if _is_replaced(folder.path, name):
            folder.write(name, data)
        else:
            _pour(path, data, flag)


def _is_replaced(folder: str, name: str) -> bool:
    """Tell whether a file takes the place of what is there: a file, nothing, or a link that somebody may have put."""
    with suppress(OSError):
        mode = os.lstat(os.path.join(folder, name)).st_mode
        if stat.S_ISLNK(mode):
            return not _lies_in(folder, _SYSTEM) or _lies_in(folder, _SHARED)
        return stat.S_ISREG(mode)
    return not _lies_in(folder, _SYSTEM[1:])  # shared memory is below /dev


def _lies_in(folder: str, tops: Sequence[str]) -> bool:
    return any(folder == top or folder.startswith(f"{top}/") for top in tops)


def _pour(path: str, data: bytes, flag: str) -> None:
    with explained(path):
        try:
            # A pipe that nobody reads would hold the command up for ever.
            fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UsageError(f"{flag} '{path}' leads nowhere", hint="name a file", code="bad-output") from None
        except OSError as error:
            raise UsageError(
                f"{flag} '{path}' can't be written: {os.strerror(error.errno or 0).lower()}",
                hint="name a file, or a pipe that is read already",
                code="bad-output",
            ) from error
        try:
            os.set_blocking(fd, True)
            write_all(Seam(), fd, data)
        finally:
            os.close(fd)
