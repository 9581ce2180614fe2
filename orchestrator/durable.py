"""Crash-safe files and locks, never through a symbolic link.

Every durable operation goes through one ``Seam``, so that a test can stop the world, or make it fail,
at each of them. A ``Folder`` is an open directory: what is below it is opened by descriptor, one name
at a time, without following links.

Write recipe: temporary file in the same folder, fsync, replace, fsync of the folder. Without the first
fsync a power cut leaves an empty file, without the second the old one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from orchestrator.errors import StorageError

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_TOUCH = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_CAUSES = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "the operation is not permitted",
    errno.EIO: "input/output error",
    errno.EMFILE: "too many open files in this process",
    errno.ENFILE: "too many open files on this machine",
}
_PLANTED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK})


class MissingError(FileNotFoundError):
    """A file or folder of the records is not there; ``filename`` is its whole path.

    Where it may be missing, it is caught as FileNotFoundError. Where it may not, somebody took it away.
    """


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

    def reserve(self, fd: int, size: int) -> None:
        """Allocate ``size`` bytes for a file."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:
            os.write(fd, bytes(size))

    def flock(self, fd: int, operation: int) -> None:
        """Take or give back the lock of an open file (BSD semantics: it belongs to the open file)."""
        fcntl.flock(fd, operation)


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


class Folder:
    """An open folder. Close it, or use it in a ``with`` statement.

    Methods raise StorageError when the disk refuses or when a link, a pipe or a device stands where a
    file or folder belongs; FileNotFoundError when a name that must exist does not.
    """

    def __init__(self, fd: int, path: str, seam: Seam) -> None:
        self.fd = fd
        self.path = path
        self.seam = seam

    @classmethod
    def at(cls, path: str, seam: Seam, *, create: bool = False) -> Folder:
        """Open the folder ``path``, whose last part may not be a link; make it when ``create`` is set."""
        parent, name = os.path.split(path.rstrip("/") or "/")
        with explained(path):
            if not name:
                return cls(seam.open("/", _FOLDER, 0, None), "/", seam)
            with cls._above(parent, seam, create=create) as above:
                return above.sub(name, create=create)

    @classmethod
    def _above(cls, path: str, seam: Seam, *, create: bool) -> Folder:
        """Open a folder that lies above what is ours, where links are the user's own affair."""
        try:
            return cls(seam.open(path, _FOLDER & ~os.O_NOFOLLOW, 0, None), path, seam)
        except FileNotFoundError:
            if not create or path == "/":
                raise
        parent, name = os.path.split(path)
        with cls._above(parent, seam, create=True) as above:
            return above.sub(name, create=True)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; harmless when repeated."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def sub(self, name: str, *, create: bool = False, sync: bool = True) -> Folder:
        """Open the folder ``name`` in this one; make it (mode 0755) first when ``create`` is set.

        ``sync`` makes a new folder's name survive a power cut before this returns.
        """
        path = os.path.join(self.path, name)
        with explained(path):
            try:
                return Folder(self.seam.open(name, _FOLDER, 0, self.fd), path, self.seam)
            except FileNotFoundError:
                if not create:
                    raise
            with _creating(path):
                with contextlib.suppress(FileExistsError):
                    self.seam.mkdir(name, 0o755, self.fd)
                if sync:
                    self.seam.fsync(self.fd)
                return Folder(self.seam.open(name, _FOLDER, 0, self.fd), path, self.seam)

    def sync(self) -> None:
        """Make the names in this folder survive a power cut."""
        with explained(self.path):
            self.seam.fsync(self.fd)

    def sync_name(self) -> None:
        """Make this folder's own name survive a power cut, where whoever made it may not have come to that."""
        with explained(self.path):
            fd = self.seam.open("..", _FOLDER, 0, self.fd)
            try:
                self.seam.fsync(fd)
            finally:
                os.close(fd)

    def sync_file(self, name: str) -> None:
        """Make the bytes of ``name`` survive a power cut, where whoever wrote them may not have come to that."""
        fd = self.open_read(name)
        try:
            with explained(os.path.join(self.path, name)):
                self.seam.fsync(fd)
        finally:
            os.close(fd)

    def names(self) -> list[str]:
        """Return the names in this folder, unsorted."""
        with explained(self.path):
            return os.listdir(self.fd)

    def has(self, name: str) -> bool:
        """Tell whether something of that name is here, a dangling link included."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def has_folder(self, name: str) -> bool:
        """Tell whether a folder of that name is here; a link to one is not."""
        try:
            return stat.S_ISDIR(os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of the regular file ``name``; StorageError when it has more than ``limit`` bytes."""
        path = os.path.join(self.path, name)
        with explained(path):
            fd = self.seam.open(name, _READ, 0, self.fd)
            try:
                _refuse_irregular(fd, path)
                chunks: list[bytes] = []
                size = 0
                while size <= limit and (chunk := os.read(fd, min(1 << 20, limit + 1 - size))):
                    chunks.append(chunk)
                    size += len(chunk)
            finally:
                os.close(fd)
        if size > limit:
            raise StorageError(f"'{path}' is larger than {limit} bytes, which is the limit", code="too-large")
        return b"".join(chunks)

    def write(self, name: str, data: bytes, *, mode: int = 0o644, sync: bool = True, sync_folder: bool = True) -> None:
        """Replace the file ``name`` by one that holds ``data``: at every moment it is whole, old or new.

        One writer at a time per name (the holder of a lock). ``sync`` makes the bytes survive a power
        cut before the name points to them, ``sync_folder`` the name before this returns.
        """
        temporary = f".{name.lstrip('.')}.tmp"
        with _creating(os.path.join(self.path, name)):
            self._put(temporary, data, mode, sync=sync)
            self.seam.replace(temporary, name, self.fd, self.fd)
            if sync_folder:
                self.seam.fsync(self.fd)

    def create(self, name: str, data: bytes, *, mode: int = 0o644, sync: bool = True) -> None:
        """Write a new file in a folder that nobody sees yet; FileExistsError when the name is taken."""
        with _creating(os.path.join(self.path, name)):
            fd = self.seam.open(name, _CREATE, mode, self.fd)
            self._fill(fd, data, sync=sync)

    def _put(self, name: str, data: bytes, mode: int, *, sync: bool) -> None:
        try:
            fd = self.seam.open(name, _CREATE, mode, self.fd)
        except FileExistsError:
            self.seam.unlink(name, self.fd)
            fd = self.seam.open(name, _CREATE, mode, self.fd)
        try:
            self._fill(fd, data, sync=sync)
        except OSError:
            with contextlib.suppress(OSError):
                self.seam.unlink(name, self.fd)
            raise

    def _fill(self, fd: int, data: bytes, *, sync: bool) -> None:
        try:
            write_all(self.seam, fd, data)
            if sync:
                self.seam.fsync(fd)
        finally:
            os.close(fd)

    def append_line(self, name: str, line: bytes, *, sync: bool = False) -> int:
        """Append ``line`` and a newline to ``name``; returns how many bytes of a torn last line were cut off.

        A last line without its newline was torn by a crash or a full disk: it is cut, so that this
        line survives. One writer at a time per file.
        """
        path = os.path.join(self.path, name)
        with _creating(path):
            fd = self.seam.open(name, _APPEND, 0o644, self.fd)
            try:
                _refuse_irregular(fd, path)
                size = os.fstat(fd).st_size
                whole = whole_lines(fd, size)
                if whole < size:
                    self.seam.truncate(fd, whole)
                try:
                    write_all(self.seam, fd, line + b"\n")
                    if sync:
                        self.seam.fsync(fd)
                except OSError:
                    # After a failed fsync the kernel may count the bytes as written: they are taken back.
                    self.seam.truncate(fd, whole)
                    raise
                return size - whole
            finally:
                os.close(fd)

    def touch(self, name: str, data: bytes) -> None:
        """Overwrite the few bytes of ``name`` in place; for content that nobody relies on after a crash."""
        path = os.path.join(self.path, name)
        with _creating(path):
            fd = self.seam.open(name, _TOUCH, 0o644, self.fd)
            try:
                _refuse_irregular(fd, path)
                self.seam.write(fd, data)
            finally:
                os.close(fd)

    def reserve(self, name: str, size: int) -> None:
        """Make a file of ``size`` allocated bytes, to be removed when the disk is full."""
        with _creating(os.path.join(self.path, name)):
            fd = self.seam.open(name, _CREATE, 0o600, self.fd)
            try:
                self.seam.reserve(fd, size)
            finally:
                os.close(fd)

    def open_new(self, name: str, mode: int = 0o644) -> int:
        """Create ``name`` and return a descriptor to write to; FileExistsError when the name is taken."""
        with _creating(os.path.join(self.path, name)):
            return self.seam.open(name, (_CREATE & ~os.O_WRONLY) | os.O_RDWR, mode, self.fd)

    def open_read(self, name: str) -> int:
        """Return a descriptor to read the regular file ``name`` with."""
        path = os.path.join(self.path, name)
        with explained(path):
            fd = self.seam.open(name, _READ, 0, self.fd)
            try:
                _refuse_irregular(fd, path)
            except StorageError:
                os.close(fd)
                raise
            return fd

    def move_to(self, name: str, target: Folder, new_name: str) -> None:
        """Rename ``name`` into another folder."""
        with explained(os.path.join(target.path, new_name)):
            self.seam.replace(name, new_name, self.fd, target.fd)

    def link(self, name: str, target: str) -> None:
        """Make the symbolic link ``name`` unless something of that name is here."""
        with _creating(os.path.join(self.path, name)), contextlib.suppress(FileExistsError):
            self.seam.symlink(target, name, self.fd)

    def remove(self, name: str) -> None:
        """Remove a file's name; harmless when there is none."""
        with explained(os.path.join(self.path, name)), contextlib.suppress(FileNotFoundError):
            self.seam.unlink(name, self.fd)

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all that is in it, without following links; harmless when there is none."""
        with contextlib.suppress(FileNotFoundError), self.sub(name) as doomed:
            for inner in doomed.names():
                entry = os.stat(inner, dir_fd=doomed.fd, follow_symlinks=False)
                if stat.S_ISDIR(entry.st_mode):
                    doomed.remove_folder(inner)
                else:
                    doomed.remove(inner)
            with explained(doomed.path):
                self.seam.rmdir(name, self.fd)

    def lock(self, name: str, *, blocking: bool) -> Lock | None:
        """Take the lock file ``name``; None when somebody holds it and ``blocking`` is not set.

        Lock files are never deleted: one that was moved away meanwhile would have two holders, so the
        name is compared with the locked file and taken again when they differ.
        """
        path = os.path.join(self.path, name)
        operation = fcntl.LOCK_EX if blocking else fcntl.LOCK_EX | fcntl.LOCK_NB
        with _creating(path):
            while True:
                fd = self.seam.open(name, _LOCK, 0o644, self.fd)
                try:
                    _refuse_irregular(fd, path)
                    self.seam.flock(fd, operation)
                    if self._is_same(name, fd):
                        return Lock(fd, path)
                except BlockingIOError:
                    os.close(fd)
                    return None
                except BaseException:
                    os.close(fd)
                    raise
                os.close(fd)

    def is_locked(self, name: str) -> bool:
        """Tell whether somebody holds the lock file ``name``, without writing; False when there is none."""
        path = os.path.join(self.path, name)
        with explained(path):
            try:
                fd = self.seam.open(name, _READ, 0, self.fd)
            except FileNotFoundError:
                return False
            try:
                _refuse_irregular(fd, path)
                self.seam.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(fd)
            return False

    def _is_same(self, name: str, fd: int) -> bool:
        try:
            named = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(fd))


def write_all(seam: Seam, fd: int, data: bytes) -> None:
    """Write all of ``data``; a full disk shortens a write without an error, so the count is checked."""
    view = memoryview(data)
    while view:
        written = seam.write(fd, view)
        if written <= 0:
            raise OSError(errno.ENOSPC, "nothing was written")
        view = view[written:]


def whole_lines(fd: int, size: int) -> int:
    """Return how many of the first ``size`` bytes of an open file are lines that have their newline."""
    end = size
    while end > 0:
        begin = max(0, end - 65536)
        chunk = os.pread(fd, end - begin, begin)
        newline = chunk.rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _refuse_irregular(fd: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise _planted(path)


def _planted(path: str) -> StorageError:
    return StorageError(
        f"'{path}' is not what belongs there: a link, a pipe or a device stands in its place",
        hint="remove it; nothing was written through it",
        code="planted-link",
    )


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn the operating system's refusals into StorageError; names that are missing or taken pass through."""
    try:
        yield
    except FileNotFoundError as error:
        if isinstance(error, MissingError):
            raise
        raise MissingError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
    except (FileExistsError, BlockingIOError):
        raise
    except OSError as error:
        if error.errno in _PLANTED:
            raise _planted(path) from error
        cause = _CAUSES.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
        raise StorageError(
            f"'{path}' can't be read or written: {cause}",
            hint="make room or mend the disk, then run the command again",
            code=errno.errorcode.get(error.errno or 0, "storage").lower(),
        ) from error


@contextlib.contextmanager
def _creating(path: str) -> Iterator[None]:
    """As ``explained``; a name that can be made is missing only when somebody took the open folder away."""
    try:
        with explained(path):
            yield
    except FileNotFoundError as error:
        raise StorageError(
            f"'{path}' can't be written: its folder was taken away meanwhile",
            hint="see who moves or removes folders of runs, then run the command again",
            code="enoent",
        ) from error
