"""What a keeper has to know besides the record, in the run's folder: who attaches to the run goes on from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.json_values import json_text, plain
from orchestrator.base.record import Record
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.plan import Plan

NOTES = ".cloud"
"""Hidden, as all that is a machine's own: no line of a chain names it."""

PACK = ".snapshot"
PLAN = ".cloud-plan"
_LIMIT = 1 << 20
_PLAN_LIMIT = 16 << 20


class KeeperNotes(Record):
    """Of one attempt: the submission's mark, the stages that need not run, and how far its incarnation is mirrored.

    ``earlier`` counts the incarnations of earlier attempts, ``n`` is the hub's number of the one that is mirrored (0:
    none). ``attempts`` are how many each stage had before it, ``logs`` the local names of its logs.
    """

    attempt: int
    ticket: str
    done: tuple[str, ...] = ()
    earlier: int = 0
    n: int = 0
    attempts: Mapping[str, int] = MappingProxyType({})
    logs: Mapping[str, str] = MappingProxyType({})


def write_notes(folder: Folder, notes: KeeperNotes) -> None:
    """Write the notes, so that they survive the keeper. Raises StorageError."""
    fields = {**notes._asdict(), "attempts": dict(notes.attempts), "logs": dict(notes.logs)}
    folder.write(NOTES, json_text(fields).encode() + b"\n", mode=0o600, sync=False, sync_folder=False)


def read_notes(folder: Folder, attempt: int) -> KeeperNotes | None:
    """Return the notes of an attempt, None when there are none that can be read."""
    with suppress(FileNotFoundError, StorageError, ValueError, DamagedRecord):
        notes = KeeperNotes.from_json(json.loads(folder.read(NOTES, _LIMIT)))
        if notes.attempt == attempt:
            return notes
    return None


def notes_without(manifest: Manifest) -> KeeperNotes:
    """Return the notes that follow from the record alone, where a keeper left none that can be read."""
    attempt = manifest.attempt
    attempts = {
        command.id: sum(entry.run_attempt < attempt for entry in command.attempts) for command in manifest.commands
    }
    done = tuple(
        command.id
        for command in manifest.commands
        if command.status == "succeeded" and len(command.attempts) == attempts[command.id]
    )
    held = () if manifest.engine is None else manifest.engine.incarnations
    earlier = sum(entry.recorded_by is not None and entry.recorded_by.attempt < attempt for entry in held)
    return KeeperNotes(attempt, "", done, earlier, 0, attempts)


def write_plan(folder: Folder, plan: Plan) -> None:
    """Keep the plan of an attempt: it is judged by it, whatever becomes of the config. Raises StorageError."""
    data = json_text(plain(plan)).encode("utf-8", "backslashreplace")
    folder.write(PLAN, data + b"\n", mode=0o600, sync=False, sync_folder=False)


def read_plan(folder: Folder) -> Plan | None:
    """Return the plan that was kept, None without one that can be read; the record says whether it is the one."""
    with suppress(FileNotFoundError, StorageError, ValueError, DamagedRecord):
        return Plan.from_json(json.loads(folder.read(PLAN, _PLAN_LIMIT)), exact=True)
    return None
