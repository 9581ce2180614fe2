"""The status document of a fleet: its own, with how each of its projects stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

from orchestrator.base.errors import EXIT_RUN_FAILED, DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.commands.look.run_view import child_reasons, child_standing, observe, record_fault, with_decisions
from orchestrator.commands.review.project_policy import review_policy
from orchestrator.commands.review.review_context import review_context_of
from orchestrator.model.approvals import ReviewContext
from orchestrator.report.fleet_document import Child, fleet_next, fleet_part, fleet_ready, newest_children
from orchestrator.report.next_step import with_next
from orchestrator.report.status_document import status_document
from orchestrator.store.failed_stage import failed_stage
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def with_fleet(
    store: RunStore,
    document: Mapping[str, Any],
    environ: Mapping[str, str],
    known: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the status document of a fleet with ``fleet``, and ready and next as its projects have it.

    ``known`` are the documents of children that this process has just recorded, by project.
    """
    children = children_of(store, document, environ, known)
    found = {**document, "fleet": fleet_part(document, children), "ready": fleet_ready(document, children)}
    return {**found, **with_next(fleet_next(found, children))}


def children_of(
    store: RunStore,
    document: Mapping[str, Any],
    environ: Mapping[str, str],
    known: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Child]:
    """Return the runs of a fleet's projects, by project; one whose record is gone or can't be read is none."""
    found = {}
    for project, child in newest_children(document).items():
        run_id, task_id = str(child["run_id"]), str(child["task_id"])
        if project in known and known[project]["run_id"] == run_id:
            found[project] = Child(known[project])
        elif is_run_id(run_id) and name_fault("task", task_id) is None:
            try:
                found[project] = child_of(store, Location(task_id, run_id), environ)
            except (NotFound, DamagedRecord, StorageError) as error:
                store.warn(f"run '{run_id}' of project '{project}' can't be shown: {error.message}")
    if document["dedup_key"] is not None:
        for project, where in _runs_of_keys(store, document, found):
            found[project] = child_of(store, where, environ)
    return found


def _runs_of_keys(
    store: RunStore, document: Mapping[str, Any], known: Collection[str]
) -> Iterator[tuple[str, Location]]:
    """Yield the projects of a fleet whose keys had been used before, each with the run that its start found.

    Nobody started that run here, so that no link leads to it. A start that was refused (5) found none.
    """
    from orchestrator.commands.run.child_start import (
        read_child_start,
    )  # few fleets have a key, and few of those need it
    from orchestrator.store.keys import key_name, keyed_run

    for command in document["commands"]:
        if command["id"] in known or not (command["status"] == "succeeded" or command["exit_code"] == EXIT_RUN_FAILED):
            continue
        with suppress(FileNotFoundError, NotFound, DamagedRecord, StorageError):
            with store.run_folder(Location(document["task_id"], document["run_id"])) as folder:
                key = read_child_start(folder).key
            name = key_name(command["id"], str(document["pipeline_id"]), f"{key}/{command['id']}")
            where = None if key is None else keyed_run(store, name)
            if where is not None:
                read_document(store, where)
                yield command["id"], where


def child_of(store: RunStore, where: Location, environ: Mapping[str, str]) -> Child:
    """Return a project's run as its record has it; its tree is looked at only where it has an approval, to be stale.

    Raises NotFound, DamagedRecord, StorageError.
    """
    seen = observe(store, where)
    record, altered = with_decisions(store, where, seen.record)
    policy, fault = review_policy(store.workspace.root, str(record.get("project")))
    context = ReviewContext(policy, fault)
    if record.get("approvals"):
        context = review_context_of(store, record, environ)
    document = status_document(
        record,
        alive=seen.alive,
        alive_by=seen.alive_by,
        record_fault=record_fault(store, where, seen) or altered,
        now=store.clock.now(),
        manifest=store.paths(where).manifest,
        child=child_standing(store),
        child_reasons=child_reasons(store),
        review_context=context,
    )
    if document["outcome"] in (None, "success"):
        return Child(document)
    cause = failed_stage(store, where)
    if document["status"] == "cancelled" or cause is None or not cause.stage:
        return Child(document, None, document["status_detail"])
    return Child(document, cause.stage, cause.line)
