"""Whether a run is alive: its lock tells, and where that can't be seen, its owner's process or its heartbeat.

A held lock is proof. A free one is proof of death, but for two cases: the lock may be another machine's, on a file
system that does not share locks; or another user's of this machine, where the file system has none at all.
"""

from __future__ import annotations

import os
from contextlib import suppress

from orchestrator.base.clock import UTC, datetime, parse_stamp, timedelta
from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.model.manifest.document import HEARTBEAT_STALE_SECONDS
from orchestrator.store.layout import HEARTBEAT, RUN_LOCK
from orchestrator.store.owner import Owner, boot_id, holds, is_here, read_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

Sign: TypeAlias = "Literal['lock', 'process', 'heartbeat']"
"""What tells that a run is alive: its lock, its owner with the lock file open, or its heartbeat elsewhere."""

_STALE = timedelta(seconds=HEARTBEAT_STALE_SECONDS)


def sign_of_life(folder: Folder, now: datetime) -> Sign | None:
    """Return what tells that the run in ``folder`` is alive at ``now`` (UTC), or None when it is not."""
    if folder.is_locked(RUN_LOCK):
        return "lock"
    found = beyond_locks(folder, now)
    return None if found is None else found[0]


def beyond_locks(folder: Folder, now: datetime) -> tuple[Sign, Owner] | None:
    """Return what tells that a run is alive though its lock is free, and its owner; None when nothing does."""
    owner = read_owner(folder)
    if owner is None or owner.purpose != "run":
        return None
    if is_here(owner):
        # A start time is asked for, since without one it takes lsof. This process has the lock file open to look.
        alive = owner.started is not None and owner.pid != os.getpid() and holds(owner, folder)
        return ("process", owner) if alive else None
    if _locks_reach(owner) or not _beats(folder, now):
        return None
    return "heartbeat", owner


def _locks_reach(owner: Owner) -> bool:
    """Tell whether the owner's lock would be seen here: it ran on this kernel, or here before the last restart."""
    return owner.host == os.uname().nodename or (owner.boot_id is not None and owner.boot_id == boot_id())


def _beats(folder: Folder, now: datetime) -> bool:
    """Tell whether the last heartbeat is recent, by the writer's clock or by that of the disk's server."""
    with suppress(FileNotFoundError, StorageError):
        fd = folder.open_read(HEARTBEAT)
        try:
            moments = [datetime.fromtimestamp(os.fstat(fd).st_mtime, UTC)]
            with suppress(ValueError):
                moments.append(parse_stamp(os.read(fd, 64).decode("ascii", "replace").strip()))
        finally:
            os.close(fd)
        return any(abs(now - moment) <= _STALE for moment in moments)
    return False
