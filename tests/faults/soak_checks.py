"""What must hold of a task on which nothing runs, after the next writing command has recovered what died."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.base.files import Folder, Seam
from orchestrator.base.identifiers import make_run_id
from orchestrator.model.outcome import TERMINAL
from tests.harness import WorkspaceFolder

_STAGED_SECONDS = 75.0
"""What a claim left that died before it could be seen is swept after a minute (``run_store.recovery``)."""


def locks_held(workspace: WorkspaceFolder) -> list[str]:
    """Return the lock files below the runs folder that somebody holds."""
    return [str(path) for path in (workspace.root / ".runs").rglob(".lock") if _is_held(path)]


def _is_held(path: Path) -> bool:
    with Folder.at(str(path.parent), Seam()) as folder:
        return folder.is_locked(path.name)


def checked_task(workspace: WorkspaceFolder, task: str) -> tuple[Counter[str], list[str]]:
    """Return figures of a task, and a line for each promise that does not hold."""
    faults: list[str] = []
    records = {run.name: _record(run, faults) for run in workspace.runs(task)}
    known = {run_id: record for run_id, record in records.items() if record is not None}
    faults += _metrics_faults(workspace, task, known)
    faults += _state_faults(workspace, task, known)
    for run_id, record in known.items():
        if record["status"] not in TERMINAL:
            faults.append(f"{task}: {run_id} is {record['status']}")
        pointer = workspace.pointer(task, run_id)
        if (pointer["status"], pointer["completed_at"]) != (record["status"], record["completed_at"]):
            faults.append(f"{task}: the pointer of {run_id} says {pointer['status']}, the record {record['status']}")
        if not record["metrics_recorded"]:
            faults.append(f"{task}: {run_id} is not marked as published")
    folder = workspace.root / ".runs" / task
    faults += [f"{task}: left in .open: {path.name}" for path in (folder / ".open").iterdir()]
    limit = make_run_id(datetime.now(UTC) - timedelta(seconds=_STAGED_SECONDS), bytes(4))
    staged = [path.name for path in (folder / ".staging").iterdir()]
    faults += [f"{task}: left in .staging: {name}" for name in staged if name < limit]
    left = [path for top in (folder, workspace.root / "out" / task) for path in top.rglob("*") if _is_temporary(path)]
    faults += [f"{task}: a temporary file was left: {path}" for path in left]
    figures = Counter({"runs": len(records), "attempts": sum(record["attempt"] for record in known.values())})
    figures["closed by recovery"] = sum(_was_interrupted(workspace, task, run_id) for run_id in known)
    return figures, faults


def _record(run: Path, faults: list[str]) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        faults.append(f"{run}: {error}")
        return None
    return record


def _is_temporary(path: Path) -> bool:
    return path.name.endswith((".tmp", ".new"))


def _was_interrupted(workspace: WorkspaceFolder, task: str, run_id: str) -> bool:
    path = workspace.root / ".runs" / task / "cli" / run_id / "runner.ndjson"
    return path.exists() and b'"run:interrupted"' in path.read_bytes()


def _metrics_faults(workspace: WorkspaceFolder, task: str, known: dict[str, dict[str, Any]]) -> list[str]:
    lines = Counter((line["run_id"], line["attempt"]) for line in workspace.metrics(task))
    faults = [f"{task}: {key} has {number} metrics lines" for key, number in lines.items() if number != 1]
    wanted = {(run_id, attempt) for run_id, record in known.items() for attempt in range(1, record["attempt"] + 1)}
    faults += [f"{task}: {key} has no metrics line" for key in wanted - set(lines)]
    faults += [f"{task}: a metrics line is about {key}, which is not there" for key in set(lines) - wanted]
    return faults


def _state_faults(workspace: WorkspaceFolder, task: str, known: dict[str, dict[str, Any]]) -> list[str]:
    totals = Counter(record["status"] for record in known.values())
    wanted = {"runs": len(known), **{name: totals[name] for name in ("succeeded", "failed", "cancelled")}}
    state = workspace.state(task)
    faults = [] if state["totals"] == wanted else [f"{task}: totals are {state['totals']}, records say {wanted}"]
    for entry in state["runs"]:
        record = known.get(entry["runId"])
        if record is None or (record["status"], record["attempt"]) != (entry["status"], entry["attempt"]):
            faults.append(f"{task}: the state's entry of {entry['runId']} is not what its record says")
    return faults
