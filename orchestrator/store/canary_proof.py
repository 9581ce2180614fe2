"""Which canary run proved a guardrail last: noted beside the runs, and looked up in that run's own record.

The note only says where to look. What counts is the record, compared with its line in the chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.json_values import json_text
from orchestrator.model.canary import CANARY, canaries_of, clean_stage, command_digest, results
from orchestrator.model.manifest.digest import manifest_digest
from orchestrator.model.manifest.manifest import Proof
from orchestrator.model.plan import stages_of
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location
from orchestrator.store.record_proof import prove
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = ".proofs"
"""Below the runs folder; no task can have that name, since names don't begin with a dot."""

_LIMIT = 4096
_LOCK = ".lock"


def note_proof(store: RunStore, project: str, guardrail: str, where: Location) -> None:
    """Note the canary run at ``where`` as the newest proof of a project's guardrail. Raises StorageError."""
    with store.runs(create=True) as runs, runs.sub(FOLDER, create=True) as folder:
        lock = folder.lock(_LOCK, blocking=True)
        try:
            note = json_text({"task_id": where.task_id, "run_id": where.run_id})
            folder.write(_name(project, guardrail), note.encode() + b"\n")
        finally:
            if lock is not None:
                lock.release()


def proofs_of(store: RunStore, project: str, stages: Sequence[Mapping[str, Any]]) -> dict[str, Proof]:
    """Return the proofs of those guardrails, given by their recorded stages, whose command a canary run proves."""
    found = {}
    for stage in stages:
        proof = _proof(store, project, stage)
        if proof is not None:
            found[str(stage["id"])] = proof
    return found


def _proof(store: RunStore, project: str, stage: Mapping[str, Any]) -> Proof | None:
    guardrail = str(stage["id"])
    where = _noted(store, project, guardrail)
    if where is None:
        return None
    with suppress(
        FileNotFoundError, StorageError, NotFound, DamagedRecord, KeyError, TypeError, ValueError, AttributeError
    ):
        record = read_document(store, where)
        named = (record.get("version"), record.get("pipeline_id"), record.get("project"))
        if named != (2, CANARY, project) or not prove(store, where, record, "events").holds:
            return None
        clean = stages_of(record["plan"])[clean_stage(guardrail)]
        count = canaries_of(record["plan"]).get(guardrail, 0)
        shown = next(results(record, {guardrail: count}))
        wanted = command_digest(stage)
        if shown.fault is None and command_digest(clean) == wanted:
            ended = str(record["completed_at"])
            return Proof(where.run_id, where.task_id, record["attempt"], manifest_digest(record), wanted, ended)
    return None


def _noted(store: RunStore, project: str, guardrail: str) -> Location | None:
    with suppress(FileNotFoundError, StorageError, ValueError, KeyError, TypeError):
        with store.runs() as runs, runs.sub(FOLDER) as folder:
            note = json.loads(folder.read(_name(project, guardrail), _LIMIT))
        where = Location(note["task_id"], note["run_id"])
        if name_fault("task", where.task_id) is None and is_run_id(where.run_id):
            return where
    return None


def noted_proofs(store: RunStore) -> frozenset[str]:
    """Return the runs that prove guardrails; what can't be read names none."""
    found = set()
    with suppress(FileNotFoundError, StorageError), store.runs() as runs, runs.sub(FOLDER) as folder:
        for name in folder.names():
            with suppress(FileNotFoundError, StorageError, ValueError, KeyError, TypeError):
                if name.endswith(".json"):
                    found.add(str(json.loads(folder.read(name, _LIMIT))["run_id"]))
    return frozenset(found)


def _name(project: str, guardrail: str) -> str:
    # '@' stands in no name, so that no two pairs have the same file.
    return f"{guardrail}@{project}.json"
