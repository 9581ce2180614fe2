"""Looking into the folders that the early version left: records and pointers distinguished. Reads only."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, suppress

from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder
from orchestrator.model.manifest.document import MANIFEST_LIMIT, parse
from orchestrator.store.find import task_ids
from orchestrator.store.layout import CLI, MANIFEST, MCP
from orchestrator.store.legacy.early_records import Document
from orchestrator.store.store import RunStore

RESULT = "result.json"


def early_record(parent: Folder, name: str) -> tuple[Document | None, str]:
    """Return the record in the folder ``name``; None for a pointer or no record, with a reason where it is odd."""
    try:
        with parent.sub(name) as folder:
            with suppress(OSError):
                os.readlink(MANIFEST, dir_fd=folder.fd)
                return None, ""
            raw = folder.read(MANIFEST, MANIFEST_LIMIT)
    except FileNotFoundError:
        return None, ""
    except StorageError as error:
        return None, "" if error.code == "planted-link" and _is_file(parent, name) else error.message
    if raw.strip().startswith(b"../"):
        return None, ""  # a link's text, in a checkout whose file system has no links
    try:
        document = parse(raw, os.path.join(parent.path, name, MANIFEST))
    except DamagedRecord as error:
        return None, error.message
    return (None, "") if "redirect_to" in document else (document, "")


def result_of(folder: Folder) -> Document | None:
    """Return what a session's ``result.json`` holds, None when there is none that can be read."""
    try:
        return parse(folder.read(RESULT, MANIFEST_LIMIT), RESULT)
    except (FileNotFoundError, StorageError, DamagedRecord):
        return None


def _is_file(parent: Folder, name: str) -> bool:
    return stat.S_ISREG(os.stat(name, dir_fd=parent.fd, follow_symlinks=False).st_mode)


def is_task(store: RunStore, name: str) -> bool:
    """Tell whether a folder below the runs folder is laid out as a task's, whatever its name."""
    with suppress(StorageError):
        return holds(store, (name,), CLI, MCP)
    return False


def holds(store: RunStore, parts: tuple[str, ...], *names: str) -> bool:
    """Tell whether one of ``names`` is in the folder ``parts`` below the runs folder; False where there is none."""
    with suppress(FileNotFoundError), ExitStack() as stack:
        folder = stack.enter_context(store.runs())
        for part in parts:
            folder = stack.enter_context(folder.sub(part))
        return any(folder.has(name) for name in names)
    return False


def is_indexed(store: RunStore, run_id: str | None) -> bool:
    """Tell whether a run is below some task's ``cli/``."""
    return run_id is not None and any(holds(store, (task_id, CLI), run_id) for task_id in task_ids(store))


def shown(store: RunStore, *parts: str) -> str:
    """Return the path of ``parts`` below the runs folder as the record shows it."""
    return store.workspace.shown(os.path.join(store.workspace.runs_dir, *parts))
