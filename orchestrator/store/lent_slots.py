"""A child that waits in the queue gives the slot of its stage back to the fleet, and takes its own when it begins.

The child leaves ``children/<run>.waits`` in the folder of its parent. The parent renames it, and frees the slot; or the
child takes it away first, and keeps the slot. One of the two succeeds, so that no slot is counted twice or lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.child_links import parent_location
from orchestrator.store.layout import CHILDREN
from orchestrator.store.store import RunStore

_WAITS = ".waits"
_FREED = ".freed"
_LIMIT = 256
_TICK_NS = 100_000_000


def offer_slot(store: RunStore, child: Manifest) -> None:
    """Leave word with the parent that ``child`` needs no slot while it waits; nothing where there is no parent."""
    parent, stage = parent_location(child), child.lineage.parent_stage_id
    if parent is None or stage is None:
        return
    with (
        suppress(FileNotFoundError, StorageError),
        store.run_folder(parent) as folder,
        folder.sub(CHILDREN, create=True, sync=False) as children,
    ):
        with suppress(FileNotFoundError):
            children.remove(f"{child.run_id}{_FREED}")
        children.write(f"{child.run_id}{_WAITS}", stage.encode(), sync=False, sync_folder=False)


def keeps_slot(store: RunStore, child: Manifest) -> bool:
    """Tell whether ``child``, which begins, still has the slot that its stage was given; it is not offered any more."""
    parent = parent_location(child)
    if parent is None:
        return True
    with (
        suppress(FileNotFoundError, StorageError),
        store.run_folder(parent) as folder,
        folder.sub(CHILDREN) as children,
    ):
        with suppress(FileNotFoundError):
            os.unlink(f"{child.run_id}{_WAITS}", dir_fd=children.fd)
            return True
        return not children.has(f"{child.run_id}{_FREED}")
    return True


class SlotOffers:
    """What the children of the run in ``folder`` offer. Asked again and again, it costs one call of the system."""

    def __init__(self, folder: Folder, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._folder = folder
        self._now_ns = now_ns
        self._seen_at: int | None = None

    def accept(self, most: int) -> Iterator[str]:
        """Yield the stage of each child that waits and whose slot is free from now on, ``most`` of them."""
        with suppress(OSError, StorageError):
            changed_at = os.stat(CHILDREN, dir_fd=self._folder.fd, follow_symlinks=False).st_mtime_ns
            if changed_at == self._seen_at or most <= 0:
                return
            with self._folder.sub(CHILDREN) as children:
                yield from islice(_accepted(children), most)
            # The disk's clock does not tell a change within the same tick from this one.
            self._seen_at = changed_at if self._now_ns() - changed_at > _TICK_NS else None


def _accepted(children: Folder) -> Iterator[str]:
    for name in sorted(children.names()):
        run_id = name.removesuffix(_WAITS)
        if run_id == name or not is_run_id(run_id):
            continue
        with suppress(FileNotFoundError, StorageError, UnicodeDecodeError):
            stage = children.read(name, _LIMIT).decode("ascii")
            if name_fault("stage", stage) is None:
                children.move_to(name, children, f"{run_id}{_FREED}")
                yield stage
