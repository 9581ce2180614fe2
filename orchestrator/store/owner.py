"""Who holds a run's lock: written into the lock file by its holder, and verified before anybody signals it.

The lock itself is the truth about whether a run is alive. What is written says which process to ask to
stop; a pid alone would not do, since pids are used again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder, Lock, explained, write_all
from orchestrator.base.json_values import json_text
from orchestrator.base.record import Record
from orchestrator.store.layout import RUN_LOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

Purpose: TypeAlias = "Literal['run', 'close']"
"""What the lock is held for: running stages, or a short look or write at a run that nobody runs."""

_LIMIT = 4096
_STARTED_FIELD = 19
"""Place of ``starttime`` behind the command's name in ``/proc/<pid>/stat`` (proc(5): field 22, in clock ticks)."""


class Owner(Record):
    """The holder of a run's lock. ``started`` and ``boot_id`` are None where the system doesn't tell them.

    ``started`` is in clock ticks since the machine's start, so that pid, start and boot name one process.
    """

    pid: int
    host: str
    purpose: Purpose
    started: int | None = None
    boot_id: str | None = None


def write_owner(folder: Folder, lock: Lock, purpose: Purpose) -> None:
    """Write into a held lock file that this process holds it, and for what."""
    pid = os.getpid()
    owner = Owner(pid, os.uname().nodename, purpose, started_at(pid), boot_id())
    with explained(lock.path):
        folder.seam.truncate(lock.fd, 0)
        os.lseek(lock.fd, 0, os.SEEK_SET)
        write_all(folder.seam, lock.fd, json_text(owner._asdict()).encode() + b"\n")


def read_owner(folder: Folder) -> Owner | None:
    """Return who wrote last that it holds the run's lock; None when that can't be read (just now, or at all)."""
    with suppress(FileNotFoundError, StorageError, ValueError, DamagedRecord):
        owner = Owner.from_json(json_codec.loads(folder.read(RUN_LOCK, _LIMIT)))
        if owner.pid > 1:
            return owner
    return None


def is_here(owner: Owner) -> bool:
    """Tell whether the process was started on this machine, since it was switched on last."""
    return owner.host == os.uname().nodename and owner.boot_id == boot_id()


def holds(owner: Owner, folder: Folder) -> bool:
    """Tell whether the process ``owner`` still lives and holds the lock file of ``folder``.

    Its start time must be the written one, and the lock file must be among its open files, as far as
    this user may see them. Where there is no ``/proc``, ``lsof`` is asked, and without it the answer is no.
    """
    lock = os.stat(RUN_LOCK, dir_fd=folder.fd, follow_symlinks=False)
    if owner.started is None:
        return _lsof_names(owner.pid, os.path.join(folder.path, RUN_LOCK))
    if started_at(owner.pid) != owner.started:
        return False
    table = f"/proc/{owner.pid}/fd"
    try:
        for name in os.listdir(table):
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(os.path.join(table, name)), lock):
                    return True
    except FileNotFoundError:
        return False
    except PermissionError:
        # Another user's process: its start time has to do, and a signal is refused by the system anyway.
        return True
    return False


def started_at(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since the machine's start; None where that can't be known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[_STARTED_FIELD])
    except (OSError, IndexError, ValueError):
        return None


@lru_cache(maxsize=1)
def boot_id() -> str | None:
    """Return the id of the machine's present uptime (random(4)), None where there is none; no process outlives it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def _lsof_names(pid: int, path: str) -> bool:
    import subprocess

    try:
        found = subprocess.run(["lsof", "-t", "--", path], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return str(pid) in found.stdout.split()
