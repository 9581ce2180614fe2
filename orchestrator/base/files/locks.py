"""Locks of open files (flock): held until every copy of the descriptor is closed.

Where a file system knows no such locks, a file on this machine stands for the lock file: its lock keeps out, and
tells of, every process of this user on this machine. What runs elsewhere is known by ``store.liveness``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable

from orchestrator.base.errors import StorageError
from orchestrator.base.files.refusals import creating, explained, planted, refuse_irregular
from orchestrator.base.files.system_calls import FILE_MODE, Seam

HELD = "lock-held"
"""The code of the error for a lock that somebody else does not give back."""

PATIENCE_SECONDS = 30.0
"""How long a lock is waited for: what is done under it takes milliseconds, and hundreds may stand in line."""

_LOOK_SECONDS = 0.05

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


def usual_patience() -> float:
    """Return the seconds that any lock is waited for."""
    return PATIENCE_SECONDS


def take_lock(
    seam: Seam, folder: int, name: str, path: str, *, blocking: bool, patience: Callable[[], float] = usual_patience
) -> Lock | None:
    """Take the lock file ``name`` below the descriptor ``folder``; None when it is held and ``blocking`` is not set.

    With ``blocking``, it is waited for as ``take_patiently`` does, and StorageError is raised in the end.

    Lock files are never deleted: one that was moved away meanwhile would have two holders, so the name
    is compared with the locked file and taken again when they differ.
    """
    began = time.monotonic()
    with creating(path):
        while True:
            fd = seam.open(name, _LOCK, FILE_MODE, folder)
            try:
                refuse_irregular(fd, path)
                if blocking:
                    stand_in = take_patiently(seam, fd, path, lambda: began + patience() - time.monotonic())
                else:
                    stand_in = take_open(seam, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock = Lock(fd, path, stand_in)
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


def take_patiently(seam: Seam, fd: int, path: str, left: Callable[[], float] | None = None) -> int | None:
    """Take the lock of the open file or folder ``fd`` for itself, as ``take_open`` does, once it is free.

    ``left`` returns the seconds for which it may still be waited, and is asked again and again; left out, the usual
    patience. The system's own queue is kept. Raises StorageError when it is still held then.
    """
    try:
        return take_open(seam, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    began = time.monotonic()
    left = left or (lambda: began + PATIENCE_SECONDS - time.monotonic())
    waiter = _Waiter(seam, os.dup(fd))
    try:
        while waiter.waits and left() > 0:
            waiter.join(_LOOK_SECONDS)
    finally:
        waiter.leave()
    if (end := waiter.end()) is not None:
        return end[0]
    raise StorageError(
        f"'{path}' is locked by another process, which did not give it back in {time.monotonic() - began:.0f} s",
        hint=f"find that process with: fuser '{path}'; then run the command again",
        code=HELD,
    )


class _Waiter:
    """A thread that waits for the lock of ``fd``, its own: flock knows no limit, and a thread may be left waiting."""

    def __init__(self, seam: Seam, fd: int) -> None:
        import threading

        self._seam, self._fd = seam, fd
        self._ends: list[int | BaseException | None] = []
        self._left = False
        self._thread = threading.Thread(target=self._wait, name="lock", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            os.close(fd)
            raise StorageError(
                "a lock is held, and no thread can be started to wait for it: this user has no more processes",
                hint="see 'ulimit -u' and the container's limit of processes",
                code="no-process",
            ) from error

    def _wait(self) -> None:
        try:
            self._ends.append(take_open(self._seam, self._fd, fcntl.LOCK_EX))
        except BaseException as error:  # raised by the thread that asks
            self._ends.append(error)
        finally:
            os.close(self._fd)  # the file is open twice: the other descriptor holds the lock on
        if self._left:
            self._drop()

    def join(self, seconds: float) -> None:
        """Wait that long at most."""
        self._thread.join(seconds)

    @property
    def waits(self) -> bool:
        """Whether there is no end yet."""
        return not self._ends

    def end(self) -> tuple[int | None] | None:
        """Return what ``take_open`` returned, or raise what it raised; None when it has not ended."""
        try:
            end = self._ends.pop()
        except IndexError:
            return None
        if isinstance(end, BaseException):
            raise end
        return (end,)

    def leave(self) -> None:
        """Say that nobody waits for the thread any more."""
        self._left = True

    def _drop(self) -> None:
        with contextlib.suppress(IndexError):
            end = self._ends.pop()
            if isinstance(end, int):
                os.close(end)


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
