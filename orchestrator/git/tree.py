"""The digest of a project's tree: equal for equal paths, modes and contents, committed or not."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping

from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256_for
from orchestrator.git.scope import Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash
    from typing import Literal

FILES_LIMIT = 20_000
BYTES_LIMIT = 512 * 1024 * 1024
"""Beyond these, hashing would cost a run seconds: the digest is left out, with a note."""

LINK, FOLDER = b"120000", b"160000"
_CHUNK = 1 << 20

Entry = tuple[bytes, bytes]
"""A file's mode as git writes it (``100644``, ``100755``, ``120000``, ``160000``) and its blob id in hex."""

UNREADABLE: Entry = (b"100000", b"unreadable")


class TreeAtStart(Record):
    """A tree as it was when an attempt began, at ``began_ns`` (Unix time).

    ``index_status`` is None outside of git; ``changed`` is what differed from ``commit``, with its entry;
    ``entries`` all files, None where they are the commit's. ``is_plain``: git looks at every file itself.
    """

    began_ns: int
    commit: str | None = None
    index_status: list[int] | None = None
    changed: Mapping[bytes, Entry | None] = {}
    entries: Mapping[bytes, Entry] | None = None
    is_plain: bool = True


def status_of(index: str) -> list[int] | None:
    """Return what changes when git writes its index, None where there is none."""
    try:
        status = os.stat(index)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


class TooMuch(Exception):  # noqa: N818 - named by what happened, as in errors
    """The tree can't be hashed within the limits; the text says which."""


class Hasher:
    """Computes blob ids as git does, within limits of files, bytes and time (``deadline`` on ``monotonic``)."""

    def __init__(
        self,
        algorithm: Literal["sha1", "sha256"] = "sha1",
        deadline: float = float("inf"),
        monotonic: Callable[[], float] = time.monotonic,
        files_limit: int = FILES_LIMIT,
        bytes_limit: int = BYTES_LIMIT,
    ) -> None:
        self.algorithm: Literal["sha1", "sha256"] = algorithm
        self.deadline = deadline
        self.monotonic = monotonic
        self.files_limit = files_limit
        self.bytes_limit = bytes_limit
        self._files = 0
        self._bytes = 0

    def entry(self, path: bytes) -> Entry | None:
        """Return the entry of a file or link; None for what is neither, or is gone.

        A file that can't be read gets an id of its own, so that it is not taken for an unchanged one.
        Raises TooMuch beyond a limit.
        """
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                self._count(0)
                return LINK, self.blob(os.readlink(path))
            if not stat.S_ISREG(status.st_mode):
                return None
            self._count(status.st_size)
            mode = b"100755" if status.st_mode & stat.S_IXUSR else b"100644"
            return mode, self._blob_of_file(path, status.st_size)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return UNREADABLE

    def _count(self, size: int) -> None:
        self._files += 1
        self._bytes += size
        if self._files > self.files_limit:
            raise TooMuch(f"more than {self.files_limit} files would have to be hashed")
        self._check()

    def _check(self) -> None:
        if self._bytes > self.bytes_limit:
            raise TooMuch(f"more than {self.bytes_limit} bytes would have to be hashed")
        if self.monotonic() > self.deadline:
            raise TooMuch("hashing the tree took too long")

    def blob(self, content: bytes) -> bytes:
        """Return the blob id (hex) of a content."""
        state = self._begun(len(content))
        state.update(content)
        return state.hexdigest().encode()

    def _begun(self, size: int) -> _Hash:
        import hashlib

        return hashlib.new(self.algorithm, b"blob %d\0" % size, usedforsecurity=False)

    def _blob_of_file(self, path: bytes, size: int) -> bytes:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        state = self._begun(size)
        try:
            # What the kernel makes up says size 0 and may have no end (proc_pid_pagemap(5)); a log grows meanwhile.
            while chunk := os.read(fd, _CHUNK):
                state.update(chunk)
                size -= len(chunk)
                self._bytes -= min(size, 0)
                size = max(size, 0)
                self._check()
        finally:
            os.close(fd)
        return state.hexdigest().encode()


def digest(entries: Mapping[bytes, Entry]) -> str:
    """Return the sha256 (hex) over the sorted paths with their modes and blob ids."""
    return digest_of_lines(b"".join([b"%b %b\t%b\0" % (*entries[path], path) for path in sorted(entries)]))


def digest_of_lines(data: bytes) -> str:
    """Return the digest of entries that are sorted and written as ``digest`` writes them."""
    state = sha256_for(len(data))
    state.update(data)
    return state.hexdigest()


def walk(folder: bytes, scope: Scope, hasher: Hasher, prefix: bytes = b"") -> dict[bytes, Entry]:
    """Return the entries of all files below ``folder`` that ``scope`` holds, links not followed.

    ``prefix`` goes before their paths, in ``scope`` and in the result. Raises TooMuch.
    """
    return dict(_walked(folder, scope, hasher, prefix))


def _walked(folder: bytes, scope: Scope, hasher: Hasher, prefix: bytes) -> Iterator[tuple[bytes, Entry]]:
    try:
        with os.scandir(folder) as found:
            inner = sorted(found, key=lambda entry: entry.name)
    except OSError:
        yield prefix.rstrip(b"/") or b".", UNREADABLE
        return
    for entry in inner:
        path = prefix + entry.name
        if not scope.holds_untracked(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walked(entry.path, scope, hasher, path + b"/")
        else:
            hashed = hasher.entry(entry.path)
            if hashed is not None:
                yield path, hashed
