"""Seams that end the process at a chosen operation, tear a write, or make operations fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from orchestrator.base.files import Seam

Hook = Callable[[int, str], None]


def _nothing(number: int, name: str) -> None:
    """Let the operation happen."""


class Crash(BaseException):
    """The process ended here: nothing after it happens, ``finally`` clauses apart."""


class CountingSeam(Seam):
    """Counts operations that change the disk; ``before`` is called with the number and name of each.

    After a Crash every further operation crashes too, so that clean-up code can't mend the scene: a dead
    process cleans nothing up. With ``reads`` set, opening something that is there counts as well.
    """

    def __init__(self, before: Hook = _nothing, *, reads: bool = False) -> None:
        self.before = before
        self.reads = reads
        self.count = 0
        self.dead = False

    def _step(self, name: str) -> None:
        if self.dead:
            raise Crash
        self.count += 1
        try:
            self.before(self.count, name)
        except Crash:
            self.dead = True
            raise

    def open(self, name: str, flags: int, mode: int, folder: int | None) -> int:
        if flags & os.O_CREAT or self.reads:
            self._step("create" if flags & os.O_CREAT else "open")
        elif self.dead:
            raise Crash
        return super().open(name, flags, mode, folder)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._step("write")
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self._step("fsync")
        super().fsync(fd)

    def replace(self, source: str, target: str, folder: int, target_folder: int) -> None:
        self._step("replace")
        super().replace(source, target, folder, target_folder)

    def mkdir(self, name: str, mode: int, folder: int) -> None:
        self._step("mkdir")
        super().mkdir(name, mode, folder)

    def symlink(self, target: str, name: str, folder: int) -> None:
        self._step("symlink")
        super().symlink(target, name, folder)

    def unlink(self, name: str, folder: int) -> None:
        self._step("unlink")
        super().unlink(name, folder)

    def rmdir(self, name: str, folder: int) -> None:
        self._step("rmdir")
        super().rmdir(name, folder)

    def truncate(self, fd: int, size: int) -> None:
        self._step("truncate")
        super().truncate(fd, size)

    def set_times(self, fd: int, accessed: int, modified: int) -> None:
        self._step("set_times")
        super().set_times(fd, accessed, modified)

    def reserve(self, fd: int, size: int) -> None:
        self._step("reserve")
        super().reserve(fd, size)


class QuickSeam(CountingSeam):
    """Doesn't wait for the disk: what is enumerated is the order of operations, which the kernel keeps."""

    def fsync(self, fd: int) -> None:
        self._step("fsync")


class TornSeam(QuickSeam):
    """Writes half of the write that is the ``target``-th operation, and then ends the process."""

    def __init__(self, target: int) -> None:
        super().__init__()
        self.target = target

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.count + 1 == self.target and not self.dead:
            os.write(fd, bytes(data)[: len(data) // 2])
            self.dead = True
            raise Crash
        return super().write(fd, data)


class ShortSeam(QuickSeam):
    """Writes at most ``most`` bytes at a time, as a disk that is nearly full or a signal may."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return super().write(fd, bytes(data[: self.most]))


def crash_at(target: int) -> Hook:
    """Return what ends the process before its ``target``-th operation."""

    def before(number: int, name: str) -> None:
        if number == target:
            raise Crash

    return before


_NEEDS_SPACE = frozenset({"create", "write", "mkdir", "symlink", "reserve"})
_CHANGES = _NEEDS_SPACE | {"replace", "unlink", "rmdir", "truncate"}
_OPENS = frozenset({"create", "open"})
_MEETS = {
    errno.ENOSPC: _NEEDS_SPACE | {"replace", "fsync"},
    errno.EROFS: _CHANGES,
    errno.EMFILE: _OPENS,
    errno.EIO: _CHANGES | _OPENS | {"fsync"},
}
"""Which operations a fault meets: a full disk refuses no unlink, a read-only one no reading (POSIX)."""


def fail_from(target: int, code: int, *, once: bool) -> Hook:
    """Return what makes the ``target``-th operation fail with ``code``; every later one too unless ``once``.

    Operations that the fault does not meet happen; a full disk has room again once something was removed.
    """
    failed = False
    freed = False

    def before(number: int, name: str) -> None:
        nonlocal failed, freed
        if number >= target and code == errno.ENOSPC and name == "unlink" and failed:
            freed = True
        if number < target or name not in _MEETS[code] or (once and failed) or freed:
            return
        failed = True
        raise OSError(code, os.strerror(code))

    return before
