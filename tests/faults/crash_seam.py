"""A seam that ends the process at a chosen operation, or makes it fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from orchestrator.durable import Seam


class Crash(BaseException):
    """The process ended here: nothing after it happens, ``finally`` clauses apart."""


class CountingSeam(Seam):
    """Counts operations that change the disk; ``before`` is called with the number and name of each.

    After a Crash every further operation crashes too, so that clean-up code can't mend the scene: a dead
    process cleans nothing up.
    """

    def __init__(self, before: Callable[[int, str], None] = lambda number, name: None) -> None:
        self.before = before
        self.count = 0
        self.names: list[str] = []
        self.dead = False

    def _step(self, name: str) -> None:
        if self.dead:
            raise Crash
        self.count += 1
        self.names.append(name)
        try:
            self.before(self.count, name)
        except Crash:
            self.dead = True
            raise

    def open(self, name: str, flags: int, mode: int, folder: int | None) -> int:
        if flags & os.O_CREAT:
            self._step("create")
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

    def reserve(self, fd: int, size: int) -> None:
        self._step("reserve")
        super().reserve(fd, size)


def crash_at(target: int) -> Callable[[int, str], None]:
    """Return what ends the process before its ``target``-th operation."""

    def before(number: int, name: str) -> None:
        if number == target:
            raise Crash

    return before


def torn_write_at(target: int) -> type[CountingSeam]:
    """Return a seam whose ``target``-th operation, if it is a write, writes half and then ends the process."""

    class Torn(CountingSeam):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            if self.count + 1 == target and not self.dead:
                os.write(fd, bytes(data)[: len(data) // 2])
                self.dead = True
                raise Crash
            return super().write(fd, data)

    return Torn


def fail_from(target: int, code: int, *, once: bool) -> Callable[[int, str], None]:
    """Return what makes the ``target``-th operation fail with ``code``; every later one too unless ``once``."""

    def before(number: int, name: str) -> None:
        if name == "unlink" and code == errno.ENOSPC:
            return
        if number == target or (number > target and not once):
            raise OSError(code, os.strerror(code))

    return before
