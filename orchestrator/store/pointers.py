"""The two pointers to a run, by which programs of the early version find it (contract, section 4)."""

from __future__ import annotations

from orchestrator.base.files import Folder
from orchestrator.base.json_values import json_text
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.layout import (
    CLI,
    MANIFEST,
    OLD_POINTERS,
    Location,
)
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make_pointers(pointers: Folder, mcp: Folder, store: RunStore, manifest: Manifest) -> None:
    """Make both pointers to a run that is claimed."""
    where = Location(manifest.task_id, manifest.run_id)
    with mcp.sub(where.run_id, create=True, sync=False) as pointer:
        pointer.write(MANIFEST, pointer_bytes(store, manifest))
    point_older(pointers, where)
    mcp.sync()


def point_newly(store: RunStore, mcp: Folder, run: OpenRun) -> None:
    """Make both pointers to a prepared run."""
    where = run.where
    with (
        store.runs() as runs,
        runs.sub(OLD_POINTERS, create=True) as pointers,
        mcp.sub(where.run_id, create=True, sync=False) as pointer,
        pointers.sub(where.run_id, create=True, sync=False) as older,
    ):
        # Journals write all that was changed so far at the first sync; what is changed before it shares it.
        older.link(MANIFEST, _older_target(where))
        pointer.write(MANIFEST, pointer_bytes(store, run.manifest))
        for folder in (mcp, older, pointers):
            folder.sync()
    run.is_pointed = True


def _older_target(where: Location) -> str:
    return f"../../{where.task_id}/{CLI}/{where.run_id}/{MANIFEST}"


def point_older(pointers: Folder, where: Location) -> None:
    """Make the pointer to a run that early programs follow, a link in ``.runs/local-mcp``."""
    with pointers.sub(where.run_id, create=True, sync=False) as older:
        older.link(MANIFEST, _older_target(where))
        older.sync()
        pointers.sync()


def pointer_bytes(store: RunStore, manifest: Manifest) -> bytes:
    """Return the compatibility pointer of a run (contract, section 4) as it is written."""
    return json_text(pointer_document(store, manifest), indent=2).encode() + b"\n"


def pointer_document(store: RunStore, manifest: Manifest) -> dict[str, Any]:
    """Return what the compatibility pointer of a run says."""
    paths = store.paths(Location(manifest.task_id, manifest.run_id))
    return {
        "redirect_to": paths.folder,
        "manifest": paths.manifest,
        "status": manifest.status,
        "completed_at": manifest.completed_at,
        "updated_at": manifest.updated_at,
    }
