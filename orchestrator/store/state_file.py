"""``out/<task>/state.json``: a bounded fold of a task's ended runs, which can be rebuilt from their manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.model.manifest.digest import manifest_digest
from orchestrator.model.outcome import TERMINAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

SCHEMA_VERSION = 2
KEPT_RUNS = 100
"""The last runs by their start that stay in ``runs`` (contract, section 4); ``totals`` counts all."""

State: TypeAlias = "dict[str, Any]"


def entry_of(document: Mapping[str, Any], digest: str | None = None) -> dict[str, Any]:
    """Return the state's entry for the manifest of a run that has ended; ``digest`` is its own, where it is known."""
    return {**_outline_of(document), "manifestDigest": digest or manifest_digest(document)}


def _outline_of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "runId": document["run_id"],
        "attempt": document["attempt"],
        "status": document["status"],
        "outcome": document["outcome"],
        "startedAt": document["started_at"],
        "completedAt": document["completed_at"],
        "manifest": f"{document['artifact_root']}/manifest.json",
    }


def is_countable(document: Mapping[str, Any]) -> bool:
    """Tell whether a manifest read without its model is of a run that has ended, and has what ``entry_of`` takes.

    A damaged record must not hinder the runs beside it.
    """
    texts = ("run_id", "outcome", "started_at", "completed_at", "artifact_root")
    status = document.get("status")
    return (
        isinstance(status, str)
        and status in TERMINAL
        and isinstance(document.get("attempt"), int)
        and all(isinstance(document.get(key), str) for key in texts)
    )


def empty(task_id: str, project: str) -> State:
    """Return the state of a task without runs."""
    totals = {"runs": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
    return {
        "schema_version": SCHEMA_VERSION,
        "taskId": task_id,
        "project": project,
        "lastRunAt": None,
        "revision": 0,
        "totals": totals,
        "runs": [],
    }


def is_readable(state: object, task_id: str) -> bool:
    """Tell whether ``state`` has the shape that ``added`` can go on from."""
    if not isinstance(state, dict) or state.get("schema_version") != SCHEMA_VERSION or state.get("taskId") != task_id:
        return False
    totals, runs, last = state.get("totals"), state.get("runs"), state.get("lastRunAt")
    counted = isinstance(totals, dict) and all(
        _is_count(totals.get(key)) for key in ("runs", "succeeded", "failed", "cancelled")
    )
    listed = isinstance(runs, list) and all(_is_entry(run) for run in runs)
    named = all(value is None or isinstance(value, str) for value in (state.get("project"), last))
    return counted and listed and named and _is_count(state.get("revision"))


def _is_entry(run: object) -> bool:
    # Written out: a state has a hundred entries, each of which a start looks at.
    return (
        isinstance(run, dict)
        and isinstance(run.get("runId"), str)
        and isinstance(run.get("startedAt"), str)
        and isinstance(run.get("completedAt"), str)
        and isinstance(run.get("status"), str)
        and _is_count(run.get("attempt"))
        and run["status"] in TERMINAL
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def added(state: State, entry: Mapping[str, Any], *, certain: bool) -> State | None:
    """Return the state with an ended run's entry in it: the same state when it is in already.

    ``certain`` says that the caller knows that this transition was never added. None when the state
    alone can't tell (the run is older than what it keeps): then it is rebuilt.
    """
    known = next((run for run in state["runs"] if run["runId"] == entry["runId"]), None)
    if known == entry:
        return state
    if known is None and not (certain and entry["attempt"] == 1):
        return None
    totals = dict(state["totals"])
    if known is None:
        totals["runs"] += 1
    else:
        totals[known["status"]] -= 1
    totals[entry["status"]] += 1
    others = [run for run in state["runs"] if run["runId"] != entry["runId"]]
    return _with(state, [*others, dict(entry)], totals)


def rebuilt(
    task_id: str,
    project: str,
    revision: int,
    documents: Iterable[Mapping[str, Any]],
    pruned: Iterable[Mapping[str, Any]] = (),
) -> State:
    """Return the state folded from the manifests of runs that have ended, and the entries of runs that were ``pruned``.

    A run of which there is a record counts by that. Only what stays in ``runs`` is digested.
    """
    records = {document["run_id"]: document for document in documents}
    entries = [_outline_of(document) for document in records.values()]
    entries += [dict(entry) for entry in pruned if entry["runId"] not in records]
    totals = {"runs": len(entries), "succeeded": 0, "failed": 0, "cancelled": 0}
    for entry in entries:
        totals[entry["status"]] += 1
    state = _with({**empty(task_id, project), "revision": revision}, entries, totals)
    return {**state, "runs": [_digested(run, records.get(run["runId"])) for run in state["runs"]]}


def _digested(entry: dict[str, Any], document: Mapping[str, Any] | None) -> dict[str, Any]:
    return entry if document is None else {**entry, "manifestDigest": manifest_digest(document)}


def _with(state: State, runs: list[dict[str, Any]], totals: dict[str, int]) -> State:
    runs.sort(key=lambda run: (run["startedAt"], run["runId"]))
    ends = [run["completedAt"] for run in runs]
    last = max([*ends, state["lastRunAt"] or ""], default="") or None
    return {**state, "lastRunAt": last, "revision": state["revision"] + 1, "totals": totals, "runs": runs[-KEPT_RUNS:]}
