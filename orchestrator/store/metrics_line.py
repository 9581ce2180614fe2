"""The metrics line: what one terminal transition of a run adds to ``.runs/<task>/metrics.json``."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.json_values import plain
from orchestrator.base.sha256 import sha256
from orchestrator.model.fleet import KIND, is_fleet
from orchestrator.model.stage_tries import tried_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.model.manifest.manifest import GuardrailEntry, Manifest

_VERDICTS = frozenset({"passed", "failed"})
TRIED = "tried"
"""The key of what each stage's tries came to; lines of earlier versions don't have it."""


def in_form_of(written: Mapping[str, Any], made: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the line ``made`` of an end without what the line that an earlier version has ``written`` of it lacks."""
    return made if TRIED in written else {key: value for key, value in made.items() if key != TRIED}


def event_id(run_id: str, attempt: int) -> str:
    """Return the id of the line of one attempt's end: the same however often it is computed."""
    return sha256(f"{run_id}#{attempt}".encode()).hexdigest()[:32]


def metrics_line(manifest: Manifest, recorded_at: str) -> dict[str, Any]:
    """Return the line for a run that has ended (contract, section 4); ``duration_seconds`` is active time."""
    required = [entry for entry in manifest.guardrails if entry.required and entry.outcome != "waived"]
    line: dict[str, Any] = {
        "run_id": manifest.run_id,
        "task_id": manifest.task_id,
        "project": manifest.project,
        "pipeline_id": manifest.pipeline_id,
        "status": manifest.status,
        "outcome": manifest.outcome,
        "attempt": manifest.attempt,
        "started_at": manifest.started_at,
        "completed_at": manifest.completed_at,
        "duration_seconds": manifest.sla.active_seconds,
        "commands_passed": sum(command.status == "succeeded" for command in manifest.commands),
        "commands_failed": sum(command.status == "failed" for command in manifest.commands),
        "guardrails_present": _all_in(required, frozenset({"passed"})),
        "guardrails_required": bool(required),
        "guardrails_executed": _all_in(required, _VERDICTS),
        "sla_seconds": manifest.sla.limit_seconds,
        "sla_breached": manifest.sla.breached,
        "child_runs": len(manifest.child_runs),
        "parent_run_id": manifest.parent_run_id,
        "recorded_at": recorded_at,
        "artifact_path": manifest.artifact_root,
        "event_id": event_id(manifest.run_id, manifest.attempt),
    }
    if is_fleet({"plan": manifest.plan}):
        line["kind"] = KIND
    if manifest.digest_form == 2:  # there was no queue before, and a line that is made again stays what it was
        line |= {"began_at": manifest.began_at, "queued_seconds": manifest.queued_seconds}
    tried = tried_in(manifest.attempt, manifest.provenance, manifest.commands)
    if tried is not None:
        line[TRIED] = tried
    made: dict[str, Any] = plain(line)
    return made


def _all_in(entries: list[GuardrailEntry], wanted: frozenset[str]) -> bool:
    """Version 1 said False where there is no guardrail; so does this."""
    return bool(entries) and all(entry.outcome in wanted for entry in entries)
