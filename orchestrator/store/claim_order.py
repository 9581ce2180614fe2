"""The order in which runs were claimed: what ``latest`` goes by, since clocks go wrong.

``.runs/.claims`` has a line with the id of each run. It is appended to without a sync, and nothing else rests on
it: runs that are not in it come before those that are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, explained, write_all
from orchestrator.base.identifiers import is_run_id
from orchestrator.store.layout import CLAIMS
from orchestrator.store.store import RunStore

_BLOCK = 1 << 16
_OPEN = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def note_claim(store: RunStore, run_id: str) -> None:
    """Append a run that was claimed. A disk that refuses it is no reason for the run to fail."""
    with suppress(StorageError, FileNotFoundError), store.runs() as runs, explained(f"{runs.path}/{CLAIMS}"):
        fd = runs.seam.open(CLAIMS, _OPEN, 0o644, runs.fd)
        try:
            size = os.fstat(fd).st_size
            # What a crash tore off gets an end of its own, and is no id then.
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            write_all(runs.seam, fd, b"\n" * torn + run_id.encode() + b"\n")
        finally:
            os.close(fd)


def claims_backwards(runs: Folder) -> Iterator[str]:
    """Yield the ids of the claimed runs, the last one first, each once; lines that hold none are left out."""
    try:
        fd = runs.open_read(CLAIMS)
    except (FileNotFoundError, StorageError):
        return
    known: set[str] = set()
    try:
        at, rest = os.fstat(fd).st_size, b""
        while at > 0:
            begin = max(0, at - _BLOCK)
            first, *lines = (os.pread(fd, at - begin, begin) + rest).split(b"\n")
            at, rest = begin, first
            for line in [*reversed(lines), *([first] if begin == 0 else [])]:
                name = line.decode("ascii", "replace")
                if is_run_id(name) and name not in known:
                    known.add(name)
                    yield name
    finally:
        os.close(fd)
