"""``prune --acknowledge RUN``: somebody says that a run was removed by hand, or that a clock went back before it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from orchestrator.base.clock import stamp
from orchestrator.base.errors import EXIT_DONE, EXIT_USAGE, NotFound, Refused, UsageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.quoting import shown
from orchestrator.commands.context import Answer
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.chain import Line, is_end, lines_of, metrics_digest, parsed
from orchestrator.store.doctor.repair_folds import fold_state
from orchestrator.store.doctor.repair_pointers import drop_pointer
from orchestrator.store.find import place, task_ids
from orchestrator.store.find_pruned import pruned_record
from orchestrator.store.layout import CHAIN, METRICS, Location
from orchestrator.store.prune_lines import Level, NamedAttempt, NamedRun, PruneLine, add_prune, find_pruned
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.verification.chain_lines import read_chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OUTCOME_OF = {"succeeded": "success", "failed": "failure", "cancelled": "cancellation"}
"""What a status comes to where no metrics line says more."""


def acknowledge(
    store: RunStore, run_id: str, actor: str, reason: str | None, agrees: Callable[[str], bool] | None
) -> Answer:
    """Write the line that explains a finding about ``run_id``: that it is lost, or that a clock went back before it.

    ``agrees`` asks; None: nobody can be asked. Raises UsageError, NotFound for a run that no chain names, Refused for
    one that is there, StorageError.
    """
    if reason is None or not reason.strip():
        raise UsageError("--acknowledge needs --reason", hint="say why, for the record", code="no-reason")
    if not is_run_id(run_id):
        raise UsageError(
            f"{shown(run_id)} is no run id", hint="give the whole id, as 'verify' shows it", code="bad-run-id"
        )
    task_id, ends = _named(store, run_id)
    recover_task(store, task_id, interrupted)
    level = _level(store, Location(task_id, run_id))
    what = "is lost" if level == "record" else "was recorded after the clock had gone back"
    if agrees is None:
        raise UsageError("there is no terminal to ask at, and nobody agreed", hint="agree with --yes", code="unasked")
    if not agrees(f"Acknowledge that run {run_id} {what}? [y/N] "):
        error = {"code": "declined", "message": "Nothing was written: it was declined.", "hint": "--yes"}
        return Answer(EXIT_USAGE, {"error": error}, f"{error['message']}\n")
    with store.task(task_id) as task:
        with store.lock_task(task):
            run = _run(task, run_id, ends)
            line = PruneLine(level, level == "record", actor, reason, {}, (run,), stamp(store.clock.now()), "")
            add_prune(task, line)
        if level == "record":
            drop_pointer(store, Location(task_id, run_id))
            list(fold_state(store, task_id, task))
    document = {"acknowledged": {"run_id": run_id, "task_id": task_id, "lost": level == "record"}, "reason": reason}
    return Answer(EXIT_DONE, document, f"Acknowledged: run {run_id} {what}.\n")


def _named(store: RunStore, run_id: str) -> tuple[str, list[Line]]:
    """Return the task whose chain names a run, and the ends of its attempts. Raises NotFound."""
    for task_id in task_ids(store):
        with suppress(FileNotFoundError), store.task(task_id) as task:
            ends = [
                line for line in map(parsed, lines_of(task)) if line and is_end(line) and line.get("run_id") == run_id
            ]
            if ends:
                return task_id, ends
    raise NotFound(f"no chain of this workspace names run '{run_id}'", hint="codex-orchestrator verify")


def _level(store: RunStore, where: Location) -> Level:
    """Return what there is to acknowledge. Raises Refused where nothing is, NotFound for a run that was pruned."""
    with store.task(where.task_id) as task:
        chain = read_chain(b"".join(line + b"\n" for line in lines_of(task)), CHAIN)
        if any(each.code == "clock-went-back" and f" {where.run_id} " in each.message for each in chain.findings):
            return "clock"
        if place(store, where.run_id) is not None:
            raise Refused(
                f"the record of run '{where.run_id}' is there",
                hint=f"codex-orchestrator status {where.run_id}",
                code="not-lost",
            )
        pruned = find_pruned(task, where.run_id)
    if pruned is not None:
        raise pruned_record(pruned)
    return "record"


def _run(task: Folder, run_id: str, ends: list[Line]) -> NamedRun:
    """Return what is known of a run by its chain and, where the chain proves it, its metrics line."""
    last = ends[-1]
    known: dict[str, Any] = {}
    with suppress(FileNotFoundError):
        for data in task.read(METRICS, 1 << 30).split(b"\n"):
            line = parsed(data) if run_id.encode() in data else None
            if line is not None and line.get("event_id") == last.get("event_id"):
                known = line if metrics_digest(line) == last.get("metrics_digest") else {}
    status = last["status"]
    started = f"{run_id[:13]}:{run_id[14:16]}:{run_id[17:19]}.{run_id[20:23]}Z"
    attempts = tuple(NamedAttempt(end["attempt"], end["manifest_digest"]) for end in ends)
    return NamedRun(
        run_id,
        attempts,
        status,
        known.get("outcome", _OUTCOME_OF.get(status, "error")),
        known.get("project", ""),
        known.get("pipeline_id", ""),
        known.get("started_at", started),
        known.get("completed_at", str(last.get("recorded_at"))),
    )
