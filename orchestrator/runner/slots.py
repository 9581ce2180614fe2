"""How many stages run at once in a whole tree of runs: slots that are locks, as make's job server has tokens.

The topmost run that runs now has a file ``.jobs`` in its folder, whose first byte it keeps locked while it lives; each
byte after it is a slot, and a stage runs while its run holds one. A run that a stage starts finds the file through its
environment. Its first stage runs in the slot of the stage that started it, so that nothing waits for itself; each
further one takes a slot of its own. Record locks belong to a process: whoever is killed has given its slots back.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.files import FILE_MODE
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record
from orchestrator.model.lineage import RUN_FOLDER_VARIABLE

JOBS_FILE = ".jobs"
RETRY_SECONDS = 0.05
"""How long a run that is short of a slot waits before it asks again: no lock tells when another one is free."""

_MOST_BYTES = 64 * 1024
_MOST_POOLS = 32
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class _Pool:
    """The slots of one run, ``size`` of them; with ``lent``, a first stage runs in the slot of the stage above."""

    def __init__(self, fd: int, size: int, *, lent: bool) -> None:
        self.fd = fd
        self.size = size
        self.lent = lent
        self._held: set[int] = set()

    def take(self, running: int) -> bool:
        """Take what one more stage beside ``running`` others needs; False when nothing is free."""
        if self.lent and running == 0:
            return True
        for slot in range(1, self.size + 1):
            if slot not in self._held and _lock(self.fd, slot):
                self._held.add(slot)
                return True
        return False

    def give(self, running: int) -> None:
        """Give back what is no longer needed for ``running`` stages."""
        while len(self._held) > max(0, running - self.lent):
            fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, self._held.pop())


class Slots:
    """The slots that one run may take, for its own stages; ``close`` gives all of them back.

    A first stage may always run. Where no pool could be made, ``most`` alone is the limit of this run.
    """

    def __init__(self, most: int, pools: tuple[_Pool, ...] = (), *, lent: bool = True) -> None:
        self._most = most
        self._lent = lent
        self._pools = pools
        self._running = 0
        self._short = False

    @classmethod
    def open(cls, run_folder: str, environ: Mapping[str, str], jobs: int | None, *, lent: bool = True) -> Slots:
        """Return the slots of the run in ``run_folder``, which begins now in ``environ``.

        Below another run that lives these are that one's, and ``jobs`` (None: not asked for) only narrows them;
        else ``jobs`` of its own, by default as many as there are usable cores. Not ``lent``, the stage above has
        given its slot back, and the first stage here needs one too.
        """
        above = _chain(environ, lent=lent)
        size = jobs if jobs is not None or above else usable_cores()
        try:
            own = _begin(run_folder, size, environ if above else None)
        except OSError:  # no place for the file, or no locks: the limit holds for this run alone
            for pool in above:
                os.close(pool.fd)
            return cls(size or usable_cores())
        pools = above if own is None else (own, *above)
        return cls(max(pool.size for pool in pools), pools, lent=lent)

    def take(self, *, beside: bool = False, leaving: int = 0) -> bool:
        """Take what one more stage needs; False when it has to wait, also where fewer than ``leaving`` would be left.

        A first stage runs also where nothing is free, as after a descendant that escaped; not one ``beside`` stages
        that gave their slots back, nor that of a run whose slot was not lent.
        """
        taken = 0
        while taken <= leaving and self._take_one(beside=beside):
            taken += 1
        is_enough = taken > leaving
        for _ in range(taken - is_enough):
            self.give()
        return is_enough

    def _take_one(self, *, beside: bool) -> bool:
        self._short = False
        if not self._take_of_all() and (self._running or beside or not self._lent):
            return False
        self._short = False
        self._running += 1
        return True

    def give(self) -> None:
        """Give back what a stage took that has ended, or that need not run."""
        self._running -= 1
        for pool in self._pools:
            pool.give(self._running)

    def patience(self) -> float | None:
        """Return the seconds after which to ask again, None where nobody else could have given a slot back."""
        return RETRY_SECONDS if self._short else None

    def close(self) -> None:
        """Give everything back; harmless when repeated."""
        for pool in self._pools:
            os.close(pool.fd)
        self._pools = ()

    def _take_of_all(self) -> bool:
        if not self._pools:
            return self._running < self._most
        for pool in self._pools:
            if not pool.take(self._running):
                for other in self._pools:
                    other.give(self._running)
                self._short = True
                return False
        return True


def usable_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _begin(run_folder: str, size: int | None, above: Mapping[str, str] | None) -> _Pool | None:
    """Write the run's file, and return its own pool, or None where it has only those above it."""
    upper = None if above is None else os.path.join(above[RUN_FOLDER_VARIABLE], JOBS_FILE)
    fd = os.open(os.path.join(run_folder, JOBS_FILE), _FLAGS | os.O_CREAT, FILE_MODE)
    try:
        content = json_codec.dumps({"jobs": size, "above": upper}).encode() + b"\n"
        os.ftruncate(fd, 0)
        os.pwrite(fd, content, 0)
        if size is not None:
            if not _lock(fd, 0):
                raise BlockingIOError(f"'{JOBS_FILE}' of this run is held by another process")
            return _Pool(fd, size, lent=False)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _chain(environ: Mapping[str, str], *, lent: bool) -> tuple[_Pool, ...]:
    """Return the pools of the runs around this one that run now, the nearest first; none for the topmost run."""
    folder = environ.get(RUN_FOLDER_VARIABLE)
    path = os.path.join(folder, JOBS_FILE) if folder else None
    pools: list[_Pool] = []
    try:
        while path is not None and len(pools) < _MOST_POOLS:
            fd = os.open(path, _FLAGS)
            try:
                size, path = _parsed(os.pread(fd, _MOST_BYTES, 0))
                alive = size is not None and not _free(fd)
            except BaseException:
                os.close(fd)
                raise
            if alive and size is not None:
                pools.append(_Pool(fd, size, lent=lent))
                continue
            os.close(fd)
            if size is not None:  # its process died: what it was part of is not around this run any more
                break
    except (OSError, ValueError, RecursionError, DamagedRecord):
        pass  # no such file, of another version, or not ours to read
    return tuple(pools)


class _Slots(Record):
    """What the file of a run's slots says: how many, None where it has none of its own, and the file above."""

    jobs: Count | None
    above: str | None


def _parsed(data: bytes) -> tuple[int | None, str | None]:
    held = _Slots.from_json(json_codec.loads(data))
    if held.jobs == 0:
        raise ValueError("no file of slots")
    return held.jobs, held.above


def _lock(fd: int, byte: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: POSIX leaves the choice
        return False
    return True


def _free(fd: int) -> bool:
    """Tell whether nobody holds the sign of life."""
    if not _lock(fd, 0):
        return False
    with suppress(OSError):
        fcntl.lockf(fd, fcntl.LOCK_UN, 1, 0)
    return True
