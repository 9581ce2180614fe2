"""Locks of open files (flock): held until every copy of the descriptor is closed.

Where a file system knows no such locks, a file on this machine stands for the lock file: its lock keeps out, and
tells of, every process of this user on this machine. What runs elsewhere is told by ``run_store.liveness``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

from orchestrator.base.files.refusals import creating, explained, planted, refuse_irregular
from orchestrator.base.files.seam import Seam

_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PROBE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_NO_FLOCK = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})
"""What flock(2) says where the file system, or its server, has no locks."""

_NO_FOLDER_LOCK = frozenset({errno.EBADF, errno.EISDIR})
"""What it says of a folder on NFS, where an exclusive lock takes a file that is open for writing."""

_STAND_INS = "/tmp/codex-orchestrator-locks-{uid}"  # noqa: S108 -- $TMPDIR differs from process to process; checked below


class Lock:
    """A held lock. It is free again when ``kept_fd`` and all its inherited copies are closed.

    ``fd`` is the open lock file; ``stand_in`` the open file that stands for it where it can't be locked itself.
    """

    def __init__(self, fd: int, path: str, stand_in: int | None = None) -> None:
        self.fd = fd
        self.path = path
        self._stand_in = stand_in

    @property
    def kept_fd(self) -> int:
        """The descriptor whose copies hold the lock."""
        return self.fd if self._stand_in is None else self._stand_in

    def release(self) -> None:
        """Give the lock back; harmless when repeated."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            if self._stand_in is not None:
                os.close(self._stand_in)

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
                lock = Lock(fd, path, take_open(seam, fd, operation))
            except BlockingIOError:
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
            if _is_same(folder, name, fd):
                return lock
            lock.release()


def is_lock_held(seam: Seam, folder: int, name: str, path: str) -> bool:
    """Tell whether somebody holds the lock file ``name``, without writing; False when there is none."""
    with explained(path):
        try:
            fd = seam.open(name, _PROBE, 0, folder)
        except FileNotFoundError:
            return False
        try:
            refuse_irregular(fd, path)
            stand_in = take_open(seam, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        if stand_in is not None:
            os.close(stand_in)
        return False


def take_open(seam: Seam, fd: int, operation: int) -> int | None:
    """Take the lock of the open file or folder ``fd`` (``operation`` as for flock).

    Where it can't be locked, a file on this machine that stands for it is: its descriptor is returned, which holds
    the lock until it is closed; else None. Raises BlockingIOError when it is held and not to be waited for.
    """
    try:
        seam.flock(fd, operation)
    except OSError as error:
        if error.errno not in _NO_FLOCK | _NO_FOLDER_LOCK:
            raise
    else:
        return None
    about = os.fstat(fd)
    path = os.path.join(_stand_ins(), f"{about.st_dev:x}-{about.st_ino:x}")
    stand_in = os.open(path, _LOCK, 0o600)
    try:
        refuse_irregular(stand_in, path)
        fcntl.flock(stand_in, operation)
    except BaseException:
        os.close(stand_in)
        raise
    return stand_in


def _stand_ins() -> str:
    """Return the folder of the files that stand for lock files, made if need be: this user's alone."""
    folder = _STAND_INS.format(uid=os.geteuid())
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise planted(folder)
    return folder


def _is_same(folder: int, name: str, fd: int) -> bool:
    try:
        named = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(fd))
