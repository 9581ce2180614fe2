"""Reading the files of a run's folder: sizes, digests and names, flat in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, whole_lines
from orchestrator.base.sha256 import sha256_for

_CHUNK = 1 << 20


def whole_lines_size(folder: Folder, name: str) -> int:
    """Return the size of a file up to its last newline: what is torn behind it is cut off one day.

    Raises FileNotFoundError, StorageError.
    """
    fd = folder.open_read(name)
    try:
        return whole_lines(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def chunks_of(folder: Folder, name: str, most: int) -> Iterator[bytes]:
    """Yield the first ``most`` bytes of a file in pieces. Raises FileNotFoundError, StorageError."""
    fd = folder.open_read(name)
    try:
        while most > 0 and (chunk := os.read(fd, min(_CHUNK, most))):
            most -= len(chunk)
            yield chunk
    except OSError as error:
        raise StorageError(f"'{folder.path}/{name}' can't be read: {error.strerror}") from error
    finally:
        os.close(fd)


def file_digest(folder: Folder, name: str, most: int | None = None) -> tuple[int, str]:
    """Return size and sha256 of a file, or of its first ``most`` bytes; flat in memory.

    Raises FileNotFoundError, StorageError.
    """
    if most is None:
        most = size_of(folder, name)
    digest, size = sha256_for(most), 0
    for chunk in chunks_of(folder, name, most):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def size_of(folder: Folder, name: str) -> int:
    """Return the size of a regular file. Raises FileNotFoundError, StorageError."""
    fd = folder.open_read(name)
    try:
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


@contextmanager
def parent_of(folder: Folder, path: str) -> Iterator[tuple[Folder, str]]:
    """Open the folder of a file below a run's folder, by its relative path, and yield it with the file's name.

    Raises FileNotFoundError, StorageError.
    """
    *above, name = path.split("/")
    with ExitStack() as opened:
        inner = folder
        for part in above:
            inner = opened.enter_context(inner.sub(part))
        yield inner, name


def files_below(folder: Folder, name: str) -> list[str]:
    """Return the paths of all that is no folder below the folder ``name`` of a run's folder, sorted; hidden ones too.

    No link is followed: one to a folder is a path of its own. Empty when there is no such folder. Raises StorageError.
    """
    found: list[str] = []
    waiting = [name]
    while waiting:
        path = waiting.pop()
        with suppress(FileNotFoundError), parent_of(folder, f"{path}/") as (inner, _):
            for entry in inner.names():
                (waiting if inner.has_folder(entry) else found).append(f"{path}/{entry}")
    return sorted(found)


def names_in(folder: Folder, names: Iterable[str]) -> Iterator[str]:
    """Yield the paths of the files in the folders ``names`` of a run's folder; hidden ones are nobody's."""
    for name in names:
        with suppress(FileNotFoundError, StorageError), folder.sub(name) as inner:
            yield from (f"{name}/{entry}" for entry in sorted(inner.names()) if not entry.startswith("."))
