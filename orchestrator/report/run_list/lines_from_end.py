"""Lines of a file from its end, in blocks: what is read follows from how far back the reader goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from orchestrator.base.files import Folder

BLOCK_BYTES = 64 * 1024
LINE_LIMIT = 256 * 1024
"""No line is longer (bytes); of one that is, nothing is kept."""

Read = Callable[[int, int], bytes]
"""From an offset and a number of bytes to the bytes there."""


def lines_backwards(
    read: Read, size: int, *, block: int = BLOCK_BYTES, limit: int = LINE_LIMIT
) -> Iterator[bytes | None]:
    """Yield the lines of a file of ``size`` bytes, the last one first; None for one that is longer than ``limit``.

    First comes what stands behind the last newline: nothing, unless the last line was torn. At most
    ``limit`` and two blocks are held at a time.
    """
    end, held, lost = size, b"", False
    while end > 0:
        begin = max(0, end - block)
        first, *rest = read(begin, end - begin).split(b"\n")
        end = begin
        if rest:
            yield _within(rest.pop() + held, lost, limit)
            yield from (line if len(line) <= limit else None for line in reversed(rest))
            held, lost = first, False
        else:
            held = first + held
        if len(held) > limit:
            held, lost = b"", True
    yield _within(held, lost, limit)


def file_backwards(folder: Folder, name: str, *, limit: int = LINE_LIMIT) -> Iterator[bytes]:
    """Yield the lines of a file in ``folder`` that hold anything and are not too long, the last one first.

    There are none where there is no file. Raises StorageError.
    """
    try:
        fd = folder.open_read(name)
    except FileNotFoundError:
        return
    try:
        lines = lines_backwards(lambda at, count: os.pread(fd, count, at), os.fstat(fd).st_size, limit=limit)
        yield from (line for line in lines if line)
    finally:
        os.close(fd)


def _within(line: bytes, lost: bool, limit: int) -> bytes | None:
    return None if lost or len(line) > limit else line
