"""Locks of open files (flock): held until every copy of the descriptor is closed."""

from __future__ import annotations

import fcntl
import os

from orchestrator.durable.refusals import creating, explained, refuse_irregular
from orchestrator.durable.seam import Seam

_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PROBE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Lock:
    """A held lock. It is free again when ``fd`` and all its inherited copies are closed."""

    def __init__(self, fd: int, path: str) -> None:
        self.fd = fd
        self.path = path

    def release(self) -> None:
        """Give the lock back; harmless when repeated."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def take_lock(seam: Seam, folder: int, name: str, path: str, *, blocking: bool) -> Lock | None:
    """Take the lock file ``name`` below the descriptor ``folder``; None when it is held and ``blocking`` is not set.

    Lock files are never deleted: one that was moved away meanwhile would have two holders, so the name
    is compared with the locked file and taken again when they differ.
    """
    operation = fcntl.LOCK_EX if blocking else fcntl.LOCK_EX | fcntl.LOCK_NB
    with creating(path):
        while True:
            fd = seam.open(name, _LOCK, 0o644, folder)
            try:
                refuse_irregular(fd, path)
                seam.flock(fd, operation)
                if _is_same(folder, name, fd):
                    return Lock(fd, path)
            except BlockingIOError:
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)


def is_lock_held(seam: Seam, folder: int, name: str, path: str) -> bool:
    """Tell whether somebody holds the lock file ``name``, without writing; False when there is none."""
    with explained(path):
        try:
            fd = seam.open(name, _PROBE, 0, folder)
        except FileNotFoundError:
            return False
        try:
            refuse_irregular(fd, path)
            seam.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False


def _is_same(folder: int, name: str, fd: int) -> bool:
    try:
        named = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(fd))
