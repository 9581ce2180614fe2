"""What the events of a run hold (``runner.ndjson``): pure functions of the record."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orchestrator.model.manifest.command import Report
    from orchestrator.model.manifest.manifest import Manifest
    from orchestrator.model.outcome import Ended


def run_start(manifest: Manifest) -> dict[str, Any]:
    """Return the fields of ``run:start``: which run begins, and its stages."""
    return {
        "project": manifest.project,
        "task_id": manifest.task_id,
        "pipeline_id": manifest.pipeline_id,
        "parent_run_id": manifest.parent_run_id,
        "manifest": f"{manifest.artifact_root}/manifest.json",
        "stages": [
            {"id": item.id, "title": item.title, "needs": list(item.needs), "guardrail": item.guardrail}
            for item in manifest.commands
        ],
        "sla_seconds": manifest.sla.limit_seconds,
        "deadline_at": manifest.sla.deadline_at,
    }


def stage_end(ended: Ended) -> dict[str, Any]:
    """Return the fields of ``stage:end`` that say how an attempt of a stage ended."""
    return {
        "outcome": ended.outcome,
        "exit_code": ended.exit_code,
        "signal": ended.signal,
        "duration_seconds": round(ended.wall_seconds, 3),
        "detail": ended.detail,
        **({"external": list(ended.external)} if ended.external else {}),
    }


def stage_reports(stage_id: str, reports: Sequence[Report]) -> dict[str, Any]:
    """Return the event of what an attempt of a stage reported, with its kind: which files, and what is wrong."""
    return {"kind": "stage:reports", "stage": stage_id, "reports": [report._asdict() for report in reports]}


def run_end(manifest: Manifest) -> dict[str, Any]:
    """Return the fields of ``run:end`` by the record that is about to be written."""
    return {
        "status": manifest.status,
        "outcome": manifest.outcome,
        "completed_at": manifest.completed_at,
        "status_detail": manifest.status_detail,
        "duration_seconds": manifest.sla.active_seconds,
    }
