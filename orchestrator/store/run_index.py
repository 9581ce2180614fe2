"""The names of a task's runs, sorted, with a proof that they are those of ``cli/``: ``.runs/<task>/.index``.

It only saves time. Who shows the newest of very many runs reads its end in place of the folder's listing. The first
line says of which state of the folder the names are: inode, times, number of links, and the boot of the machine, since
nothing here is synced. Whatever comes into the folder or leaves it changes its times, so that a run which was put there
or taken away by hand, by another program, or by a process that was killed in between is noticed. The time that a claim
gives the folder is of nanoseconds, and the kernel's are of ticks: a change within the same tick is noticed too.

A claim that finds the names out of date lists the folder, others add theirs. Readers write nothing and take no lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import FILE_MODE, Folder, refuse_irregular, write_all
from orchestrator.base.identifiers import RUN_ID_LENGTH, only_run_ids
from orchestrator.store.layout import INDEX
from orchestrator.store.owner import boot_id
from orchestrator.store.store import is_pruning

_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_HEAD = 256
"""Bytes of the first line, filled up with spaces."""
_LINE = RUN_ID_LENGTH + 1
_BLOCK = 1000
"""Names that are read at a time, from the end on."""
_USELESS = b"0 the times of the folder can't be set, or are rounded"
_LOOKS, _LOOK_SECONDS = 50, 0.01


def move_in(task: Folder, staging: Folder, cli: Folder, run_id: str, made_as: str | None = None) -> None:
    """Rename a run from ``staging``, where it was made as ``made_as`` (else its id), to ``cli``, and note its name.

    Raises StorageError of the renaming; a disk that refuses the note is no harm.
    """
    with changing(task) as fd:
        before = None if fd is None else _proven_size(fd, cli)
        links = os.fstat(cli.fd).st_nlink
        staging.move_to(made_as or run_id, cli, run_id)
        if fd is None or not _can_prove(fd):
            return
        with suppress(OSError, StorageError):
            if before is None:
                size = _write_all_names(fd, cli)
            elif os.fstat(cli.fd).st_nlink not in (links + 1, 1):  # 1 of file systems that don't count folders
                return
            else:
                size = _insert(fd, cli, run_id, before)
            _prove(fd, cli, size, lambda: not is_pruning(task))


def renew(task: Folder, cli: Folder) -> None:
    """Note the names of all runs, after many of them came or went. A disk that refuses it is no harm."""
    with suppress(OSError, StorageError), changing(task) as fd:
        if fd is not None and boot_id() is not None:
            _prove(fd, cli, _write_all_names(fd, cli), lambda: True)


@contextmanager
def changing(task: Folder) -> Iterator[int | None]:
    """Hold the lock of who puts runs into ``cli`` or takes them out; yields the open index, None where it can't be had.

    Another process holds it for a few system calls. Of one that was stopped meanwhile the file is removed: it then
    proves a file without a name.
    """
    fd = None
    for looks_left in range(3 * _LOOKS, -1, -1):
        fd, is_held = _locked(task)
        if fd is not None or not is_held:
            break
        if looks_left and looks_left % _LOOKS == 0:
            with suppress(OSError):
                task.seam.unlink(INDEX, task.fd)
        else:
            time.sleep(_LOOK_SECONDS)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _locked(task: Folder) -> tuple[int | None, bool]:
    """Return the open and locked index; or None, and whether another process has it, or has just removed it."""
    try:
        fd = task.seam.open(INDEX, _OPEN, FILE_MODE, task.fd)
    except OSError:
        return None, False
    is_ours, is_held = False, True
    try:
        refuse_irregular(fd, f"{task.path}/{INDEX}")
        task.seam.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.fstat(fd).st_ino == os.stat(INDEX, dir_fd=task.fd, follow_symlinks=False).st_ino
    except (BlockingIOError, FileNotFoundError):
        pass
    except (OSError, StorageError):
        is_held = False
    finally:
        if not is_ours:
            os.close(fd)
    return (fd, True) if is_ours else (None, is_held)


def _write_all_names(fd: int, cli: Folder) -> int:
    data = "".join(f"{name}\n" for name in only_run_ids(cli.names())).encode()
    _write_at(cli, fd, _HEAD, data)
    return len(data)


def _insert(fd: int, cli: Folder, run_id: str, size: int) -> int:
    """Put a name in its place, nearly always the last one; return how many bytes of names there are."""
    at = _first_from(fd, size, run_id)
    behind = os.pread(fd, size - at, _HEAD + at)
    _write_at(cli, fd, _HEAD + at, run_id.encode() + b"\n" + behind)
    return size + _LINE


def _prove(fd: int, cli: Folder, size: int, may: Callable[[], bool]) -> None:
    """Say in the first line that the names are those of the folder as it is."""
    found = os.fstat(cli.fd)
    moment = time.time_ns()
    if moment == found.st_mtime_ns:
        moment += 1
    with suppress(PermissionError):  # a folder that is shared belongs to somebody else
        cli.seam.set_times(cli.fd, found.st_atime_ns, moment)
    if os.fstat(cli.fd).st_mtime_ns != moment:
        _write_at(cli, fd, 0, _USELESS.ljust(_HEAD - 1) + b"\n")
    elif may():
        _write_at(cli, fd, 0, _head(cli, size))


def _write_at(cli: Folder, fd: int, offset: int, data: bytes) -> None:
    os.lseek(fd, offset, os.SEEK_SET)
    write_all(cli.seam, fd, data)


def _head(cli: Folder, size: int) -> bytes:
    found = os.fstat(cli.fd)
    state = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink)
    return " ".join(map(str, ("1", boot_id(), *state, size))).ljust(_HEAD - 1).encode() + b"\n"


def _can_prove(fd: int) -> bool:
    """Tell whether names can be proven at all here: else no claim lists the folder for it."""
    return boot_id() is not None and os.pread(fd, len(_USELESS), 0) != _USELESS


def _proven_size(fd: int, cli: Folder) -> int | None:
    """Return how many bytes of names are proven to be those of the folder as it is; None when they are not."""
    head = os.pread(fd, _HEAD, 0)
    size = head.rstrip().rpartition(b" ")[2]
    if boot_id() is None or not size.isdigit() or head != _head(cli, int(size)):
        return None
    return int(size) if os.fstat(fd).st_size >= _HEAD + int(size) else None


def _first_from(fd: int, size: int, least: str) -> int:
    """Return where the first name begins that is ``least`` or greater (bytes behind the first line)."""
    low, high = 0, size // _LINE
    wanted = least.encode()
    if not wanted:
        return 0
    if high and os.pread(fd, _LINE, _HEAD + size - _LINE) < wanted:
        return size
    while low < high:
        middle = (low + high) // 2
        if os.pread(fd, _LINE, _HEAD + middle * _LINE) < wanted:
            low = middle + 1
        else:
            high = middle
    return low * _LINE


def newest_names(task: Folder, cli: Folder, least: str = "") -> tuple[int, Iterator[str]]:
    """Return how many runs there are from the id ``least`` on, and their ids, newest first, read as they are asked for.

    Raises StorageError when the folder can't be listed where that is needed.
    """
    found = _end_of_index(task, cli, least)
    if found is not None:
        return found
    names = [name for name in reversed(only_run_ids(cli.names())) if name >= least]
    return len(names), iter(names)


def _end_of_index(task: Folder, cli: Folder, least: str) -> tuple[int, Iterator[str]] | None:
    """Read the end of the index; None unless it is proven to be whole, before that and afterwards."""
    try:
        fd = task.open_read(INDEX)
    except (OSError, StorageError):
        return None
    try:
        size = _proven_size(fd, cli)
        if size is None:
            return None
        begin = _first_from(fd, size, least)
        names = _names_before(fd, begin, size)
        if names is None or _proven_size(fd, cli) != size:
            return None
        count = (size - begin) // _LINE
        if len(names) == count:
            return count, iter(names)
        same = Folder(os.dup(cli.fd), cli.path, cli.seam)
        return count, _further(os.dup(fd), same, (begin, size), names, least)
    finally:
        os.close(fd)


def _names_before(fd: int, begin: int, end: int) -> list[str] | None:
    """Return the last names between two places (bytes behind the first line), newest first; None when they are none."""
    begin = max(begin, end - _BLOCK * _LINE)
    names = os.pread(fd, end - begin, _HEAD + begin).decode("ascii", "replace").split("\n")[:-1]
    is_whole = len(names) * _LINE == end - begin and only_run_ids(names) == names
    return names[::-1] if is_whole else None


def _further(fd: int, cli: Folder, part: tuple[int, int], names: list[str], least: str) -> Iterator[str]:
    """Yield ``names``, and those before them: from the folder as soon as something came or went."""
    begin, size = part
    end = size
    try:
        while True:
            yield from names
            end -= len(names) * _LINE
            if end <= begin:
                return
            last = names[-1]
            before = _names_before(fd, begin, end)
            if before is None or _proven_size(fd, cli) != size:
                there = reversed(only_run_ids(cli.names()))
                yield from (name for name in there if least <= name < last)
                return
            names = before
    finally:
        os.close(fd)
        cli.close()
