"""Writing the pointers to runs anew, and removing those that lead nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id
from orchestrator.store.doctor.finding import Repaired, repaired
from orchestrator.store.doctor.records import is_pointer, is_temp, older_target, pointer_faults, redirect_of
from orchestrator.store.doctor.workspace import older_orphans
from orchestrator.store.find import run_ids
from orchestrator.store.layout import CLI, MANIFEST, MCP, OLD_POINTERS, Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.pointers import pointer_bytes
from orchestrator.store.store import RunStore


def point_again(store: RunStore, run: OpenRun) -> Iterator[Repaired]:
    """Write the pointers anew that don't say what the record says."""
    where = run.where
    for finding in pointer_faults(store, run.manifest):
        if finding.code.startswith("older-"):
            _link_again(store, where)
            yield repaired(finding, "made anew")
        else:
            with (
                store.task(where.task_id) as task,
                task.sub(MCP, create=True) as mcp,
                mcp.sub(where.run_id, create=True) as pointer,
            ):
                for name in filter(is_temp, pointer.names()):
                    pointer.remove(name)
                pointer.write(MANIFEST, pointer_bytes(store, run.manifest))
            yield repaired(finding, "removed" if finding.code == "leftover-temp" else "written anew")


def _link_again(store: RunStore, where: Location) -> None:
    with (
        store.runs() as runs,
        runs.sub(OLD_POINTERS, create=True) as pointers,
        pointers.sub(where.run_id, create=True) as folder,
    ):
        folder.remove(MANIFEST)
        folder.link(MANIFEST, older_target(where))
        folder.sync()


def drop_pointer(store: RunStore, where: Location) -> None:
    """Remove both pointers to a run that is not there any more; what else lies beside them stays."""
    with suppress(FileNotFoundError), store.task(where.task_id) as task, task.sub(MCP) as mcp:
        _drop(mcp, where.run_id)
    with suppress(FileNotFoundError), store.runs() as runs, runs.sub(OLD_POINTERS) as pointers:
        with pointers.sub(where.run_id) as folder:
            mine = redirect_of(folder) == older_target(where)
        if mine:
            _drop(pointers, where.run_id)


def _drop(pointers: Folder, run_id: str) -> bool:
    with suppress(FileNotFoundError), pointers.sub(run_id) as folder:
        if set(folder.names()) - {MANIFEST}:
            return False
        folder.remove(MANIFEST)
        pointers.seam.rmdir(run_id, pointers.fd)
        return True
    return False


def drop_pointers(store: RunStore, task: Folder) -> Iterator[Repaired]:
    """Remove the pointers of a task that lead to runs that aren't there."""
    there = set(run_ids(store, os.path.basename(task.path)))
    with task.sub(MCP) as mcp:
        for run_id in sorted(filter(is_run_id, set(mcp.names()) - there)):
            if not _exists(task, run_id) and _leads_elsewhere(mcp, run_id) and _drop(mcp, run_id):
                yield Repaired("pointer-dangling", store.workspace.shown(os.path.join(mcp.path, run_id)), "removed")


def _leads_elsewhere(mcp: Folder, run_id: str) -> bool:
    with suppress(FileNotFoundError), mcp.sub(run_id) as folder:
        return is_pointer(folder)
    return False


def _exists(task: Folder, run_id: str) -> bool:
    with suppress(FileNotFoundError), task.sub(CLI) as cli:
        return cli.has(run_id)
    return False


def drop_older_pointers(store: RunStore, known: set[str]) -> Iterator[Repaired]:
    """Remove the older pointers, but those of ``known`` runs, that lead to runs that aren't there."""
    with suppress(FileNotFoundError), store.runs() as runs, runs.sub(OLD_POINTERS) as pointers:
        for run_id in older_orphans(store, known):
            if _drop(pointers, run_id):
                place = store.workspace.shown(os.path.join(pointers.path, run_id))
                yield Repaired("older-pointer-dangling", place, "removed")
