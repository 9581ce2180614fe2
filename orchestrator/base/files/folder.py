"""Open folders: files below them are read, replaced, appended to and removed without following links."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

from orchestrator.base.errors import StorageError
from orchestrator.base.files.locks import Lock, is_lock_held, take_lock, usual_patience
from orchestrator.base.files.refusals import creating, explained, refuse_irregular
from orchestrator.base.files.system_calls import FILE_MODE, FOLDER_MODE, Seam, write_all

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CHUNK = 1 << 16
_TOUCH = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


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
        path = path.rstrip("/") or "/"
        with explained(path):
            try:
                return cls(seam.open(path, _FOLDER, 0, None), path, seam)
            except FileNotFoundError:
                if not create or path == "/":
                    raise
            parent, name = os.path.split(path)
            with cls._above(parent, seam) as above:
                return above.sub(name, create=True)

    @classmethod
    def _above(cls, path: str, seam: Seam) -> Folder:
        """Open a folder that lies above what is ours, where links are the user's own affair; make it if need be."""
        try:
            return cls(seam.open(path, _FOLDER & ~os.O_NOFOLLOW, 0, None), path, seam)
        except FileNotFoundError:
            if path == "/":
                raise
        parent, name = os.path.split(path)
        with cls._above(parent, seam) as above:
            return above.sub(name, create=True)

    def _place(self, name: str) -> str:
        """Return the path of a name in this folder, as messages have it; a cached start makes two hundred."""
        return f"{self.path}/{name}" if self.path != "/" else f"/{name}"

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
        """Open the folder ``name`` in this one; make it first when ``create`` is set.

        ``sync`` makes a new folder's name survive a power cut before this returns.
        """
        path = self._place(name)
        with explained(path):
            try:
                return Folder(self.seam.open(name, _FOLDER, 0, self.fd), path, self.seam)
            except FileNotFoundError:
                if not create:
                    raise
            with creating(path):
                with contextlib.suppress(FileExistsError):
                    self.seam.mkdir(name, FOLDER_MODE, self.fd)
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
            with explained(self._place(name)):
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
        path = self._place(name)
        with explained(path):
            fd = self.seam.open(name, _READ, 0, self.fd)
            try:
                refuse_irregular(fd, path)
                chunks: list[bytes] = []
                size = 0
                while size <= limit and (chunk := os.read(fd, min(_CHUNK, limit + 1 - size))):
                    chunks.append(chunk)
                    size += len(chunk)
            finally:
                os.close(fd)
        if size > limit:
            raise StorageError(f"'{path}' is larger than {limit} bytes, which is the limit", code="too-large")
        return b"".join(chunks)

    def write(
        self, name: str, data: bytes, *, mode: int = FILE_MODE, sync: bool = True, sync_folder: bool = True
    ) -> None:
        """Replace the file ``name`` by one that holds ``data``: at every moment it is whole, old or new.

        One writer at a time per name (the holder of a lock). ``sync`` makes the bytes survive a power
        cut before the name points to them, ``sync_folder`` the name before this returns.
        """
        temporary = f".{name.lstrip('.')}.tmp"
        with creating(self._place(name)):
            self._put(temporary, data, mode, sync=sync)
            self.seam.replace(temporary, name, self.fd, self.fd)
            if sync_folder:
                self.seam.fsync(self.fd)

    def create(self, name: str, data: bytes, *, mode: int = FILE_MODE, sync: bool = True) -> None:
        """Write a new file in a folder that nobody sees yet; FileExistsError when the name is taken."""
        with creating(self._place(name)):
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
        path = self._place(name)
        with creating(path):
            fd = self.seam.open(name, _APPEND, FILE_MODE, self.fd)
            try:
                refuse_irregular(fd, path)
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
        path = self._place(name)
        with creating(path):
            fd = self.seam.open(name, _TOUCH, FILE_MODE, self.fd)
            try:
                refuse_irregular(fd, path)
                self.seam.write(fd, data)
            finally:
                os.close(fd)

    def reserve(self, name: str, size: int) -> None:
        """Make a file of ``size`` allocated bytes, to be removed when the disk is full."""
        with creating(self._place(name)):
            fd = self.seam.open(name, _CREATE, 0o600, self.fd)
            try:
                self.seam.reserve(fd, size)
            finally:
                os.close(fd)

    def open_new(self, name: str, mode: int = FILE_MODE) -> int:
        """Create ``name`` and return a descriptor to write to; FileExistsError when the name is taken."""
        with creating(self._place(name)):
            return self.seam.open(name, (_CREATE & ~os.O_WRONLY) | os.O_RDWR, mode, self.fd)

    def open_read(self, name: str) -> int:
        """Return a descriptor to read the regular file ``name`` with."""
        path = self._place(name)
        with explained(path):
            fd = self.seam.open(name, _READ, 0, self.fd)
            try:
                refuse_irregular(fd, path)
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
        with creating(self._place(name)), contextlib.suppress(FileExistsError):
            self.seam.symlink(target, name, self.fd)

    def remove(self, name: str) -> None:
        """Remove a file's name; harmless when there is none."""
        with explained(self._place(name)), contextlib.suppress(FileNotFoundError):
            self.seam.unlink(name, self.fd)

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all that is in it, without following links; harmless when there is none."""
        with contextlib.suppress(FileNotFoundError), self.sub(name) as doomed:
            with explained(doomed.path), os.scandir(doomed.fd) as found:
                entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
            for inner, is_folder in entries:
                if is_folder:
                    doomed.remove_folder(inner)
                else:
                    doomed.remove_from_any(inner)
            with explained(doomed.path):
                self.seam.rmdir(name, self.fd)

    def remove_from_any(self, name: str) -> None:
        """Remove a file's name from a folder that is to go, also from one of ours that was made read-only."""
        try:  # what is refused is explained below: very many go without a word
            self.seam.unlink(name, self.fd)
        except FileNotFoundError:
            return
        except OSError as error:
            with explained(self._place(name)), contextlib.suppress(FileNotFoundError):
                if not isinstance(error, PermissionError):
                    raise
                os.fchmod(self.fd, 0o700)
                self.seam.unlink(name, self.fd)

    def lock(self, name: str, *, blocking: bool, patience: Callable[[], float] = usual_patience) -> Lock | None:
        """Take the lock file ``name``; None when somebody holds it and ``blocking`` is not set.

        Raises StorageError when it is still held after ``patience`` seconds, which is asked again and again.
        """
        path = self._place(name)
        return take_lock(self.seam, self.fd, name, path, blocking=blocking, patience=patience)

    def is_locked(self, name: str) -> bool:
        """Tell whether somebody holds the lock file ``name``, without writing; False when there is none."""
        return is_lock_held(self.seam, self.fd, name, self._place(name))


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
