"""The seam: every call that a record rests on, where a test can stop the world."""

from __future__ import annotations

import errno
import fcntl
import os

FILE_MODE = 0o664
"""Mode of a record's files before the account's umask: a team's (002) lets its group write, nobody lets others."""

FOLDER_MODE = 0o775
"""The same of folders."""


_OWNER = 0o700


def leave_owner_rights() -> None:
    """Take from this process's umask what would keep the owner from the files that it makes: it could not go on.

    What it starts inherits that.
    """
    umask = os.umask(0o077)
    os.umask(umask & ~_OWNER)


class Seam:
    """The operating system's calls that a record rests on, one method each."""

    def open(self, name: str, flags: int, mode: int, folder: int | None) -> int:
        """Open or create a file or folder by name below the descriptor ``folder``."""
        return os.open(name, flags, mode, dir_fd=folder)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write once; the count may be short."""
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Make a file's bytes, or a folder's names, survive a power cut."""
        os.fsync(fd)

    def replace(self, source: str, target: str, folder: int, target_folder: int) -> None:
        """Rename a file or folder, over an old file where there is one."""
        os.replace(source, target, src_dir_fd=folder, dst_dir_fd=target_folder)

    def mkdir(self, name: str, mode: int, folder: int) -> None:
        """Make a folder."""
        os.mkdir(name, mode, dir_fd=folder)

    def symlink(self, target: str, name: str, folder: int) -> None:
        """Make a symbolic link."""
        os.symlink(target, name, dir_fd=folder)

    def unlink(self, name: str, folder: int) -> None:
        """Remove a file's name."""
        os.unlink(name, dir_fd=folder)

    def rmdir(self, name: str, folder: int) -> None:
        """Remove an empty folder."""
        os.rmdir(name, dir_fd=folder)

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file to ``size`` bytes."""
        os.ftruncate(fd, size)

    def set_times(self, fd: int, accessed: int, modified: int) -> None:
        """Set the times of an open file or folder (nanoseconds)."""
        os.utime(fd, ns=(accessed, modified))

    def reserve(self, fd: int, size: int) -> None:
        """Allocate ``size`` bytes for a file."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:
            os.write(fd, bytes(size))

    def flock(self, fd: int, operation: int) -> None:
        """Take or give back the lock of an open file (BSD semantics: it belongs to the open file)."""
        fcntl.flock(fd, operation)


def write_all(seam: Seam, fd: int, data: bytes) -> None:
    """Write all of ``data``; a full disk shortens a write without an error, so the count is checked."""
    view = memoryview(data)
    while view:
        written = seam.write(fd, view)
        if written <= 0:
            raise OSError(errno.ENOSPC, "nothing was written")
        view = view[written:]
