"""Taking in the record of a run that another machine ran for this one: put in its place, published as any other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.sha256 import sha256
from orchestrator.model.manifest.document import render
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.child_links import leave_link
from orchestrator.store.imports import copy_files
from orchestrator.store.layout import CLI, MANIFEST, MCP, OPEN, RUN_LOCK, STAGING, TOKEN, Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.owner import write_owner
from orchestrator.store.publish import check_publishable
from orchestrator.store.recovery import finish
from orchestrator.store.run_index import move_in
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def take_in(store: RunStore, where: Location, path: str, document: Mapping[str, Any]) -> None:
    """Take the run whose files lie at ``path`` into this workspace, with ``document`` for its manifest.

    One that is here already stays as it is. The record gets a token of its own, so that it can be resumed here; one
    that did not end is closed as interrupted. Raises StorageError and DamagedRecord.
    """
    check_publishable(store, where.task_id)
    token = os.urandom(32).hex()
    manifest = load({**document, "resume_token": sha256(token.encode()).hexdigest()}, f"{where.task_id}/{where.run_id}")
    with ExitStack() as stack:
        runs = stack.enter_context(store.runs(create=True))
        task = stack.enter_context(runs.sub(where.task_id, create=True))
        staging, opened, cli, _ = (
            stack.enter_context(task.sub(name, create=True)) for name in (STAGING, OPEN, CLI, MCP)
        )
        if cli.has(where.run_id):
            return
        staging.remove_folder(where.run_id)
        folder = staging.sub(where.run_id, create=True)
        lock = folder.lock(RUN_LOCK, blocking=True)
        assert lock is not None  # noqa: S101 -- a blocking lock is always granted
        run = OpenRun(where, folder, lock, manifest, store.clock)
        try:
            write_owner(folder, lock, "close")
            with stack.enter_context(Folder.at(path, store.seam)) as source:
                copy_files(source, folder)
            folder.write(TOKEN, token.encode() + b"\n", mode=0o600)
            folder.write(MANIFEST, render(manifest.as_json()))
            opened.create(where.run_id, b"", sync=False)
            opened.sync()
            move_in(task, staging, cli, where.run_id)
            folder.path = os.path.join(cli.path, where.run_id)
            cli.sync()
            leave_link(store, manifest)
            finish(store, run, interrupted)
        except BaseException:
            with suppress(StorageError, FileNotFoundError):
                staging.remove_folder(where.run_id)
            raise
        finally:
            run.close()
