"""The order in which runs were claimed: what ``latest`` goes by, since clocks go wrong.

``.runs/.claims`` has a line with the id of each run. It is appended to without a sync, and nothing else rests on
it: runs that are not in it come before those that are. A prune leaves out the runs that it has removed.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Container, Iterator
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import FILE_MODE, Folder, explained, write_all
from orchestrator.base.identifiers import is_run_id
from orchestrator.store.layout import CLAIMS
from orchestrator.store.store import RunStore

_BLOCK = 1 << 16
_LIMIT = 1 << 30
_LOOKS = 50
_LOOK_SECONDS = 0.01
_OPEN = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def note_claim(store: RunStore, run_id: str) -> None:
    """Append a run that was claimed. A disk that refuses it is no reason for the run to fail."""
    with suppress(StorageError, FileNotFoundError), store.runs() as runs, explained(f"{runs.path}/{CLAIMS}"):
        fd = _opened(runs, fcntl.LOCK_SH)
        try:
            size = os.fstat(fd).st_size
            # What a crash tore off gets an end of its own, and is no id then.
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            write_all(runs.seam, fd, b"\n" * torn + run_id.encode() + b"\n")
        finally:
            os.close(fd)


def forget_claims(store: RunStore, pruned: Container[str]) -> None:
    """Leave out the runs that were pruned, so that the file does not grow without end; the order of others stays.

    A claim that comes meanwhile waits, or writes behind. It only saves room, so a disk that refuses it is no harm.
    """
    refused = (StorageError, FileNotFoundError, BlockingIOError)
    with suppress(*refused), store.runs() as runs, explained(f"{runs.path}/{CLAIMS}"):
        if not runs.has(CLAIMS):
            return
        fd = _opened(runs, fcntl.LOCK_EX)
        try:
            lines = runs.read(CLAIMS, _LIMIT).splitlines(keepends=True)
            kept = [line for line in lines if line.strip().decode("ascii", "replace") not in pruned]
            if len(kept) < len(lines):
                runs.write(CLAIMS, b"".join(kept), sync=False, sync_folder=False)
        finally:
            os.close(fd)


def _opened(runs: Folder, lock: int) -> int:
    """Return the open file, locked, so that nobody writes to one that is being replaced.

    Where the lock is not to be had in half a second it is done without: one place in an order is at stake.
    """
    for left in range(_LOOKS, -1, -1):
        fd = runs.seam.open(CLAIMS, _OPEN, FILE_MODE, runs.fd)
        try:
            runs.seam.flock(fd, lock | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.fstat(fd).st_ino == os.stat(CLAIMS, dir_fd=runs.fd, follow_symlinks=False).st_ino:
                    return fd
        except OSError:
            if left and lock == fcntl.LOCK_SH:
                time.sleep(_LOOK_SECONDS)
            elif lock == fcntl.LOCK_EX:
                os.close(fd)
                raise
        if not left:
            return fd
        os.close(fd)
    raise AssertionError("unreachable")


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
