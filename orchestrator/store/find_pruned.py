"""Refusing runs that were pruned: when, by whom and why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord, NotFound, Refused, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.json_values import json_text
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record
from orchestrator.base.workspace import Workspace
from orchestrator.store.chain import PRUNE_BEGIN
from orchestrator.store.chain_index import PRUNES, lines_about
from orchestrator.store.layout import LOGS_PRUNED, Location
from orchestrator.store.pending_prune import on_their_way
from orchestrator.store.prune_lines import PrunedRun, find_pruned, is_prune, last_prune_of, pruned_runs
from orchestrator.store.store import RunStore

_LIMIT = 256


class _Note(Record):
    """Where the prune of a run's logs stands."""

    offset: Count


_HINT = "what the task's chain and metrics say of it is still there: codex-orchestrator metrics"


def pruned_record(pruned: PrunedRun) -> NotFound:
    """Return the refusal of a run whose record was pruned (exit code 6)."""
    run_id = pruned.run.run_id
    return NotFound(f"run '{run_id}', which {_ended(pruned)}, was {_what(pruned)}", hint=_HINT, code="pruned")


def pruned_logs(pruned: PrunedRun) -> NotFound:
    """Return the refusal to show logs that were pruned (exit code 6)."""
    run_id = pruned.run.run_id
    hint = f"the record is still there: codex-orchestrator status {run_id}"
    return NotFound(f"the logs of run '{run_id}' were {_what(pruned)}", hint=hint, code="pruned")


def not_resumable(pruned: PrunedRun) -> Refused:
    """Return the refusal to go on with a run whose events are gone (exit code 5)."""
    message = f"the events and logs of run '{pruned.run.run_id}' were {_what(pruned)}, so it can't be resumed"
    return Refused(message, hint="start a new run", code="logs-pruned")


def _what(pruned: PrunedRun) -> str:
    word = "acknowledged as lost" if pruned.lost else "pruned"
    said = f": {pruned.reason}" if pruned.reason else ""
    return f"{word} on {pruned.at} by {pruned.actor}{said}"


def _ended(pruned: PrunedRun) -> str:
    return f"{pruned.run.status} on {pruned.run.completed_at}"


def refuse_on_its_way(store: RunStore, where: Location) -> None:
    """Raise NotFound when a prune that is not over has named the run, whose folder may be there still."""
    with suppress(FileNotFoundError, StorageError), store.task(where.task_id) as task:
        found = on_their_way(task).get(where.run_id)
        if found is not None:
            raise pruned_record(found)


def refuse_pruned(store: RunStore, reference: str, tasks: Iterable[str]) -> None:
    """Raise NotFound when the run of ``tasks`` that a whole id or a prefix names was pruned, and is the only one."""
    found: list[PrunedRun] = []
    for task_id in tasks:
        with suppress(FileNotFoundError, StorageError), store.task(task_id) as task:
            if is_run_id(reference):
                one = pruned_by_index(task, store.workspace, reference)
                found += [one] if one is not None else []
            else:
                found += [entry for run_id, entry in pruned_runs(task).items() if run_id.startswith(reference)]
    if len(found) == 1:
        raise pruned_record(found[0])


def pruned_by_index(task: Folder, workspace: Workspace, run_id: str) -> PrunedRun | None:
    """Return what the chain says of one pruned run, as ``prune_lines.find_pruned`` does. Raises StorageError."""
    return last_prune_of(lines_about(task, workspace, PRUNES, PRUNE_BEGIN, 0, is_prune), run_id)


def logs_pruned_in(task: Folder, folder: Folder, run_id: str) -> PrunedRun | None:
    """Return what the chain says of a run whose logs were pruned, wholly or in part; None where they were not.

    ``folder`` is the run's. Raises StorageError.
    """
    return find_pruned(task, run_id, "logs", read_logs_pruned(folder))


def note_logs_pruned(folder: Folder, offset: int) -> None:
    """Note in a run's folder where in the chain the prune of its logs stands. It only saves time."""
    with suppress(StorageError):
        folder.write(LOGS_PRUNED, json_text({"offset": offset}).encode() + b"\n", sync=False, sync_folder=False)


def read_logs_pruned(folder: Folder) -> int | None:
    """Return where in the chain the prune of a run's logs may stand (bytes); None when that isn't noted."""
    with suppress(FileNotFoundError, StorageError, ValueError, RecursionError, DamagedRecord):
        return _Note.from_json(json.loads(folder.read(LOGS_PRUNED, _LIMIT))).offset
    return None
