"""How the projects of a fleet stand: entries and totals, folded from its record and its children's documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.base.record import Record
from orchestrator.model.outcome import TERMINAL
from orchestrator.report.next_step import PROGRAM, attaching, is_refused_to_resume, resuming, starting, watching
from orchestrator.report.stage_words import how_it_ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TOTALS = ("queued", "running", "succeeded", "failed", "cancelled", "skipped")
_ORDER = {"failed": 0, "cancelled": 1, "in_progress": 2, "queued": 3, "skipped": 4, "succeeded": 5}
_NAMED = 5
_OF_REVIEWERS = frozenset(
    {"approval-missing", "approval-role-missing", "approval-stale", "approval-own-run", "policy-softened"}
)
"""Reasons that only a decision removes."""


CHILD_KEYS = (
    *("version", "run_id", "task_id", "project", "pipeline_id", "status", "outcome", "attempt", "completed_at"),
    *("alive", "attended", "engine", "provenance", "guardrails", "sla", "manifest", "ready", "next_argv"),
)
"""What of a child's status document a fleet's is made of."""


class Child(Record):
    """The run of a project in a fleet: its status document, and its cause of failure with the stage, if it failed."""

    document: Mapping[str, Any]
    failed_stage: str | None = None
    cause: str | None = None


def totals_text(totals: Mapping[str, int]) -> str:
    """Return the totals in one line, without those that are 0 or not there."""
    return ", ".join(f"{totals[key]} {key}" for key in TOTALS if totals.get(key)) or "no project"


def newest_children(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the newest child run of each stage of a status document, by stage."""
    found: dict[str, Mapping[str, Any]] = {}
    for child in sorted(body["child_runs"], key=lambda child: str(child["run_id"])):
        found[str(child["stage_id"])] = child
    return found


def fleet_part(body: Mapping[str, Any], children: Mapping[str, Child]) -> dict[str, Any]:
    """Return ``{"totals", "projects"}`` of a fleet's status document, failed projects first.

    ``children`` are the runs of its projects, as far as there are any. What never began is queued while the fleet
    lives and skipped after. A project whose process failed after its run had succeeded is failed, as the fleet is, and
    ``run_status`` and ``cause`` say what its record has.
    """
    entries = [_entry(command, children.get(command["id"]), alive=body["alive"]) for command in body["commands"]]
    entries.sort(key=lambda entry: (_ORDER.get(entry["status"], 0), entry["project"]))
    totals = dict.fromkeys(TOTALS, 0)
    for entry in entries:
        totals["running" if entry["status"] == "in_progress" else entry["status"]] += 1
    return {"totals": totals, "projects": entries}


def fleet_ready(body: Mapping[str, Any], children: Mapping[str, Child]) -> dict[str, Any]:
    """Return whether a fleet is ready: its own reasons, and those of its children by code, the projects named."""
    own = [reason for reason in body["ready"]["reasons"] if reason["code"] != "child-not-succeeded"]
    by_code: dict[str, list[str]] = {}
    waited_for = [] if body["status"] not in TERMINAL else children.items()
    for project, child in waited_for:
        for code in dict.fromkeys(reason["code"] for reason in child.document["ready"]["reasons"]):
            # That a child failed is what makes the fleet fail: said of each once.
            code = "child-not-succeeded" if code in _ENDED_BADLY else code
            by_code.setdefault(code, []).append(project)
    found = [
        {"code": code, "message": f"{_WORDS.get(code, f'{code} of projects')}: {_named(list(dict.fromkeys(projects)))}"}
        for code, projects in by_code.items()
    ]
    unknown = [one["id"] for one in body["commands"] if one["status"] == "succeeded" and one["id"] not in children]
    if unknown and body["status"] in TERMINAL:
        message = f"projects whose run is not known: {_named(unknown)}"
        found.append({"code": "child-not-succeeded", "message": message})
    return {"ready": not own and not found, "reasons": [*own, *found]}


_ENDED_BADLY = frozenset({"run-in-progress", "run-interrupted", "run-not-succeeded"})
_WORDS = {"child-not-succeeded": "projects whose run has not succeeded"}


def fleet_next(body: Mapping[str, Any], children: Mapping[str, Child]) -> list[str] | None:
    """Return the next command of a fleet, by its document with ``fleet_ready``; None when nothing is left to do."""
    run_id = str(body["run_id"])
    if body["status"] not in TERMINAL:
        return watching(run_id)
    unattended = [child.document for child in children.values() if child.document["attended"] is False]
    if unattended:
        return attaching(str(unattended[0]["run_id"]))
    if body["status"] != "succeeded":
        return starting(body) if is_refused_to_resume(body) else resuming(run_id)
    codes = {reason["code"] for reason in body["ready"]["reasons"]}
    if not codes:
        return None
    if codes <= _OF_REVIEWERS:
        return [PROGRAM, "review", run_id]
    waiting = [child.document for child in children.values() if not child.document["ready"]["ready"]]
    argv = waiting[0]["next_argv"] if waiting else None
    return list(argv) if argv is not None else [PROGRAM, "status", run_id]


def children_to_resume(part: Mapping[str, Any]) -> list[str] | None:
    """Return the command that resumes the only failed project alone; None where another number of them failed."""
    failed = [entry for entry in part["projects"] if entry["status"] in ("failed", "cancelled")]
    if failed and "run_status" in failed[0]:
        return None  # that run has succeeded: the fleet's resume takes it as it is
    return resuming(failed[0]["run_id"]) if len(failed) == 1 and failed[0]["run_id"] else None


def _entry(command: Mapping[str, Any], child: Child | None, *, alive: bool) -> dict[str, Any]:
    if child is None:
        return {
            "project": command["id"],
            "run_id": None,
            "status": _without_run(command, alive=alive),
            "outcome": command["outcome"],
            "attempt": None,
            "alive": False,
            "attended": None,
            "failed_stage": None,
            "cause": _cause_without_run(command),
            "guardrails": {},
            "sla_breached": False,
            "manifest": None,
        }
    document = child.document
    if _failed_after(command, document):
        cause = f"{how_it_ended(command)} after its run had succeeded"
        judged = {"status": _without_run(command, alive=alive), "outcome": command["outcome"], "cause": cause}
        return {**_with_run(command, child), **judged, "run_status": document["status"]}
    return _with_run(command, child)


def _failed_after(command: Mapping[str, Any], child: Mapping[str, Any]) -> bool:
    """Tell whether a stage's process is known to have failed when its run had succeeded already.

    A run that succeeded after the stage's end was resumed alone: then its record is the news.
    """
    if command["status"] != "failed" or child["status"] != "succeeded":
        return False
    is_known = command["signal"] is not None or command["exit_code"] is not None
    return is_known and str(child["completed_at"]) <= str(command["completed_at"])


def _with_run(command: Mapping[str, Any], child: Child) -> dict[str, Any]:
    document = child.document
    return {
        "project": command["id"],
        "run_id": document["run_id"],
        "status": document["status"],
        "outcome": document["outcome"],
        "attempt": document["attempt"],
        "alive": document["alive"],
        "attended": document["attended"],
        "failed_stage": child.failed_stage,
        "cause": child.cause,
        "guardrails": {entry["id"]: entry["outcome"] for entry in document["guardrails"] if entry["required"]},
        "sla_breached": bool((document["sla"] or {}).get("breached")),
        "manifest": document["manifest"],
    }


def _cause_without_run(command: Mapping[str, Any]) -> str | None:
    if command["outcome"] == "success":
        return "its run is not known"
    return command["summary"] or ("cancelled" if command["outcome"] == "cancellation" else None)


def _without_run(command: Mapping[str, Any], *, alive: bool) -> str:
    if command["status"] == "running":
        return "in_progress"
    if command["status"] == "succeeded":
        return "succeeded"
    if command["status"] == "failed":
        return "cancelled" if command["outcome"] == "cancellation" else "failed"
    return "queued" if alive and command["status"] == "pending" else "skipped"


def _named(projects: Sequence[str]) -> str:
    more = f" and {len(projects) - _NAMED} more" if len(projects) > _NAMED else ""
    return ", ".join(projects[:_NAMED]) + more
