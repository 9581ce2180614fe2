"""Which run of a project's pipeline was approved last: noted beside the runs, so that nobody looks through history.

The note only says where to look. What counts is the approval in that run's own record.
"""

from __future__ import annotations

from contextlib import suppress

from orchestrator.base import json_codec
from orchestrator.base.errors import StorageError
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.json_values import json_text
from orchestrator.base.record import Record
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

FOLDER = ".approved"
"""Below the runs folder; no task can have that name, since names don't begin with a dot."""

_LIMIT = 16 * 1024
_LOCK = ".lock"


class ApprovedRun(Record):
    """Where the run is, and the digest of the plan that it executed."""

    where: Location
    plan_digest: str


def note_approved(store: RunStore, project: str, pipeline: str, run: ApprovedRun) -> None:
    """Note ``run`` as the one that was approved last. Raises StorageError."""
    note = {"task_id": run.where.task_id, "run_id": run.where.run_id, "plan_digest": run.plan_digest}
    with store.runs(create=True) as runs, runs.sub(FOLDER, create=True) as folder:
        # Two reviewers of two runs come one after the other: a file has one writer at a time (``Folder.write``).
        lock = folder.lock(_LOCK, blocking=True)
        try:
            folder.write(_name(project, pipeline), json_text(note).encode() + b"\n")
        finally:
            if lock is not None:
                lock.release()


def noted_run(store: RunStore, project: str, pipeline: str) -> ApprovedRun | None:
    """Return the run that was approved last, or None where nothing that can be read is noted."""
    with suppress(FileNotFoundError, StorageError, ValueError, KeyError, TypeError):
        with store.runs() as runs, runs.sub(FOLDER) as folder:
            note = json_codec.loads(folder.read(_name(project, pipeline), _LIMIT))
        run = ApprovedRun(Location(note["task_id"], note["run_id"]), str(note["plan_digest"]))
        if name_fault("task", run.where.task_id) is None and is_run_id(run.where.run_id):
            return run
    return None


def _name(project: str, pipeline: str) -> str:
    # '@' stands in no name, so that no two pairs have the same file.
    return f"{pipeline}@{project}.json"
