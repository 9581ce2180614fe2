"""The status document: what ``status --format json`` prints, key by key described in docs/status.md.

Source of the keys and their order: contract, section 2, "Commands"; of what a run whose process died
looks like: section 5, promise 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from orchestrator.base.clock import CLOCK_TOLERANCE, datetime, parse_stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.identifiers import FLEET
from orchestrator.base.json_values import plain
from orchestrator.base.kinds import Count, is_moment
from orchestrator.base.record import Record
from orchestrator.model.approvals import ReviewContext, freshness, subject_of, validities
from orchestrator.model.canary import UNPROVEN, unproven
from orchestrator.model.manifest.command import EXTERNAL_PROGRAM
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.outcome import TERMINAL, Outcome, RunStatus
from orchestrator.report.next_step import next_argv, with_next
from orchestrator.report.readiness import counting_children, readiness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

ChildLookup: TypeAlias = "Callable[[str, str], Mapping[str, Any] | None]"
"""From a child's task and run id to its current ``standing``, or None when its record can't be read."""

ReasonLookup: TypeAlias = "Callable[[str, str], Sequence[Mapping[str, str]]]"
"""From a child's task and run id to the reasons why that run, which succeeded, is not ready but for approvals."""

KEYS = (
    *("run_id", "status", "status_detail", "started_at", "completed_at", "manifest", "artifact_root", "log_path"),
    *("heartbeat_at", "commands", "child_runs"),
    *("task_id", "project", "pipeline_id", "outcome", "attempt", "alive", "lineage", "guardrails", "approvals"),
    *("sla", "provenance", "session", "mode", "ready"),
    *("freshness", "review", "drift"),
    *("version", "pipeline_title", "summary", "approval_policy", "updated_at", "resume_events", "plan"),
    *("next_command", "next_argv", "alive_by", "notes", "pruned", "imported_from", "attended"),
)
"""The first keys, in their order: version 1's, those that the contract adds, and what a reviewer needs besides."""

_NOT_SHOWN = frozenset(
    {"resume_token", "metrics_recorded", "run_summary_path", "compat_path", "task_slug", "parent_run_id", "runner"}
    | {"heartbeat_interval_seconds", "heartbeat_stale_after_seconds", "revision"}
)
_LATER = tuple(key for key in Manifest._fields if key not in KEYS and key not in _NOT_SHOWN)
"""Keys that were added to the record since: they are shown as they are, after the others."""


def status_document(
    record: Mapping[str, Any],
    *,
    alive: bool,
    alive_by: str | None = None,
    now: datetime,
    manifest: str,
    heartbeat: str | None = None,
    child: ChildLookup = lambda task_id, run_id: None,
    child_reasons: ReasonLookup = lambda task_id, run_id: (),
    review_context: ReviewContext | None = None,
    record_fault: tuple[str, str] | None = None,
    logs_pruned: str | None = None,
    imported_from: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what is known of a run, from its manifest ``record`` (version 1 or 2).

    Without ``review_context``, reviews are judged by the default policy, and the current tree is not known.
    ``record_fault`` says, by code and words, why the record is not proved; ``logs_pruned`` when, by whom and why its
    logs were pruned; ``imported_from`` where it was taken from by ``import``.

    ``alive`` tells whether it goes on and ``alive_by`` what says so (its lock, unless given), ``manifest``
    where the record was read, ``heartbeat`` what the ``.heartbeat`` file says. Times of a live run are
    computed up to ``now`` (UTC). ``child_reasons`` is asked of the child runs that count; a fleet has its own way.
    An open run of mode cloud that is not alive here goes on elsewhere: ``alive`` is
    null, ``attended`` false. Raises DamagedRecord, naming the key, when a field can't be read.
    """
    with of_run(record):
        body = _first_version(record) if record.get("version") == 1 else _body(record)
    if heartbeat is not None and is_moment(heartbeat):
        body["heartbeat_at"] = max(body["heartbeat_at"], heartbeat, key=parse_stamp)
    body["alive"] = alive and body["status"] not in TERMINAL
    body["alive_by"] = (alive_by or "lock") if body["alive"] else None
    body["attended"] = None
    if is_open_in_cloud(record):
        body.update(alive=alive or None, attended=alive, engine={**body["engine"], "attended": alive})
    if body["status"] not in TERMINAL:
        goes_on = alive or body["attended"] is not None
        body = _live(body, now) if goes_on else _died(body, _is_end_known(record))
    body["child_runs"] = [_child(entry, child) for entry in body["child_runs"]]
    body["child_trees"] = {entry["run_id"]: entry.pop("tree_digest", None) for entry in body["child_runs"]}
    body["child_reasons"] = {
        entry["run_id"]: child_reasons(entry["task_id"], entry["run_id"])
        for entry in counting_children(body)
        if entry["status"] == "succeeded" and body["project"] != FLEET
    }
    body["manifest"] = manifest
    body.update(_reviewed(record, body, review_context or ReviewContext()))
    body["notes"] = list(_notes(body, now))
    body["pruned"] = None if logs_pruned is None else "logs"
    if logs_pruned is not None:
        body["notes"].append({"code": "logs-pruned", "message": logs_pruned})
    body["imported_from"] = imported_from
    if imported_from is not None:
        message = f"it was imported: its chain is that of '{imported_from['host']}', and its token stayed there"
        body["notes"].append({"code": "imported", "message": message})
    body["ready"] = readiness(body, record_fault)
    body.update(with_next(next_argv(body)))
    document = {key: body[key] for key in KEYS}
    document.update((key, body[key]) for key in _LATER if key in body)
    return document


# A record of version 1, and a run whose process died, are few: each has a module of its own, 0.3 ms, imported for it.


def _first_version(record: Mapping[str, Any]) -> dict[str, Any]:
    from orchestrator.store.legacy.documents import body

    return body(record)


def _first_outcome(status: RunStatus) -> str | None:
    from orchestrator.store.legacy.documents import RUN_OUTCOME

    return RUN_OUTCOME.get(status)


def _died(body: dict[str, Any], is_end_known: bool) -> dict[str, Any]:
    from orchestrator.report.interrupted import as_died, without_end

    return as_died(body) if is_end_known else without_end(as_died(body))


def _is_end_known(record: Mapping[str, Any]) -> bool:
    """Tell whether a record has any sign of its end: some of before version 1 have only their begin."""
    origin = record.get("migrated_from")
    return not isinstance(origin, Mapping) or origin.get("end_known") is not False


def _notes(body: Mapping[str, Any], now: datetime) -> Iterator[dict[str, str]]:
    if in_future(body, now):
        moment = body["completed_at"] or body["started_at"]
        yield {"code": "record-in-future", "message": f"its clock was ahead: {moment} has not come yet"}
    for guardrail in unproven(body) if body["version"] == 2 else ():
        yield {"code": UNPROVEN, "message": f"guardrail '{guardrail}' is unproven: no canary shows that it can fail"}
    for command in body["commands"]:
        last = command["attempts"][-1] if command.get("attempts") else {}
        if last.get("external"):
            yield {"code": EXTERNAL_PROGRAM, "message": _external(command["id"], last["external"])}


def _external(stage: str, programs: Sequence[str]) -> str:
    advice = "install it by [session] install, or call it by its path"
    return f"stage '{stage}' ran {', '.join(programs)}, which the session's environment does not have ({advice})"


def in_future(body: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether a run began or ended at a time that has not come yet, some minutes of difference apart."""
    moments = (body["started_at"], body["completed_at"])
    return any(moment is not None and parse_stamp(moment) > now + CLOCK_TOLERANCE for moment in moments)


def _reviewed(record: Mapping[str, Any], body: Mapping[str, Any], around: ReviewContext) -> dict[str, Any]:
    """Return the parts of the document that say how the run stands with its reviewers, and with the world around it."""
    fresh = freshness(body, around.tree)
    subject = subject_of(record, fresh["tree"], around.signed) if body["approvals"] and body["version"] == 2 else None
    judged = validities(body["approvals"], subject, around.policy)
    return {
        "approvals": [
            {**entry, "validity": validity.as_json()} for entry, validity in zip(body["approvals"], judged, strict=True)
        ],
        "freshness": fresh,
        "review": {**around.policy.as_json(), "fault": around.fault},
        "drift": {"approved_run": around.approved_run, "changes": list(around.drift)},
    }


class _Standing(Record):
    """What is read of a record to say how its run stands."""

    status: RunStatus
    outcome: Outcome | None = None


def standing(record: Mapping[str, Any], *, alive: bool) -> dict[str, Any]:
    """Return the current ``status``, ``outcome``, ``alive`` and ``attended`` of a run. Raises DamagedRecord."""
    read = _Standing.from_json(record)
    found: dict[str, Any] = {"attended": alive if is_open_in_cloud(record) else None}
    found["tree_digest"] = _last_tree(record)
    if read.status not in TERMINAL and not alive:
        if found["attended"] is not None:
            return {"status": read.status, "outcome": None, "alive": None, **found}
        return {"status": "failed", "outcome": "error", "alive": False, **found}
    outcome = _first_outcome(read.status) if record.get("version") == 1 else read.outcome
    return {"status": read.status, "outcome": outcome, "alive": alive and read.status not in TERMINAL, **found}


def _last_tree(record: Mapping[str, Any]) -> str | None:
    """Return the digest of the tree that the last attempt of a run ran on, None where the record names none."""
    entries = record.get("provenance")
    last = entries[-1] if isinstance(entries, list) and entries else None
    tree = last.get("tree_digest") if isinstance(last, Mapping) else None
    return tree if isinstance(tree, str) else None


class _Flag(Record):
    stage: str | None
    code: str
    message: str


class _Waiver(Record):
    reason: str
    approved_by: str
    until: str
    guardrail: str | None = None
    stage: str | None = None


class _Stage(Record):
    id: str
    allow_failure: bool
    project: str | None = None


class _Plan(Record):
    """What is shown of a plan, and needed to judge its run."""

    digest: str
    flags: tuple[_Flag, ...]
    waivers: tuple[_Waiver, ...]
    stages: tuple[_Stage, ...]


class _Provenance(Record):
    """What must hold of each attempt's provenance; everything else of it is shown as it is."""

    attempt: Count
    commit: str | None
    branch: str | None
    dirty: bool | None
    tree_digest: str | None


class _Nested(Record):
    plan: _Plan
    provenance: tuple[_Provenance, ...]


def _body(record: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = plain(Manifest.from_json(record))
    plan = _Nested.from_json(record).plan
    body["plan"] = {"digest": plan.digest, "flags": plain(plan.flags), "waivers": plain(plan.waivers)}
    body["plan_stages"] = {stage.id: stage.allow_failure for stage in plan.stages}
    body["plan_projects"] = {stage.id: stage.project for stage in plan.stages}
    return body


@contextmanager
def of_run(record: Mapping[str, Any]) -> Iterator[None]:
    """Say in every DamagedRecord from inside which run's record it is."""
    try:
        yield
    except DamagedRecord as error:
        message = f"run '{record.get('run_id')}': {error.message}"
        raise DamagedRecord(message, hint=error.hint, code=error.code) from None


def _live(body: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return the document of a run that goes on, its times computed up to ``now``."""
    body["commands"] = [_running(command, now) for command in body["commands"]]
    body["guardrails"] = [_undecided(entry, body["commands"]) for entry in body["guardrails"]]
    sla = body["sla"]
    if body["status"] == "queued":
        from orchestrator.report.interrupted import with_wait_until

        return with_wait_until(body, now)
    if sla is not None:
        since = max(0.0, (now - parse_stamp(body["updated_at"])).total_seconds())
        active = round(sla["active_seconds"] + since, 3)
        over = active > sla["limit_seconds"]
        body["sla"] = {
            **sla,
            "active_seconds": active,
            "breached": sla["breached"] or over,
            "breached_at": sla["breached_at"] or (sla["deadline_at"] if over else None),
            "slowest_stage": slowest_stage(body["commands"]),
            "remaining_seconds": round(sla["limit_seconds"] - active, 3),
        }
    return body


def slowest_stage(commands: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the id of the stage that took, or has taken so far, longest; None when none ran."""
    ran = [command for command in commands if command["duration_seconds"] is not None]
    return max(ran, key=lambda command: command["duration_seconds"])["id"] if ran else None


def _running(command: dict[str, Any], now: datetime) -> dict[str, Any]:
    if command["status"] != "running" or command["started_at"] is None:
        return command
    elapsed = (now - parse_stamp(command["started_at"])).total_seconds()
    return {**command, "duration_seconds": round(max(0.0, elapsed), 3)}


def _undecided(entry: dict[str, Any], commands: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A guardrail whose stage has not ended is not missing: it has no verdict yet."""
    status = next((command["status"] for command in commands if command["id"] == entry["id"]), None)
    if entry["outcome"] == "waived" or status not in ("pending", "running"):
        return entry
    return {**entry, "outcome": None, "reason": "is running" if status == "running" else "has not run yet"}


def _child(entry: dict[str, Any], lookup: ChildLookup) -> dict[str, Any]:
    found = lookup(entry["task_id"], entry["run_id"])
    if found is None:
        return {**entry, "outcome": None, "alive": None}
    return {**entry, **found}
