"""What may be forgotten: small files below the runs folder that only save a later command work.

Nothing here waits for the disk, and nothing here is needed: a file that can't be read counts as none,
and a disk that refuses one only costs the next command time.
"""

from __future__ import annotations

import os
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, Seam
from orchestrator.base.workspace import Workspace

CACHE_FOLDER = ".cache"
"""Below the runs folder; no task can have that name, since names don't begin with a dot."""


def read_cached(workspace: Workspace, name: str, limit: int, seam: Seam | None = None) -> bytes | None:
    """Return the bytes of a file, of at most ``limit``, or None where there is none that can be read."""
    with (
        suppress(StorageError, OSError),
        Folder.at(workspace.runs_dir, seam or Seam()) as runs,
        runs.sub(CACHE_FOLDER) as cache,
    ):
        return cache.read(name, limit)
    return None


def write_cached(workspace: Workspace, name: str, data: bytes, seam: Seam | None = None) -> None:
    """Put a file there, whole or not at all, readable by its owner only; another's of that name is replaced."""
    with (
        suppress(StorageError, OSError),
        Folder.at(workspace.runs_dir, seam or Seam()) as runs,
        runs.sub(CACHE_FOLDER, create=True, sync=False) as cache,
    ):
        mark = f".{os.getpid()}-{os.urandom(4).hex()}.new"
        try:
            cache.create(mark, data, mode=0o600, sync=False)
            cache.move_to(mark, cache, name)
        except (StorageError, OSError):
            cache.remove(mark)


def remove_cached(workspace: Workspace, name: str, seam: Seam | None = None) -> None:
    """Remove a file; harmless where there is none. Raises StorageError when the disk refuses."""
    with (
        suppress(FileNotFoundError),
        Folder.at(workspace.runs_dir, seam or Seam()) as runs,
        runs.sub(CACHE_FOLDER) as cache,
    ):
        cache.remove(name)
