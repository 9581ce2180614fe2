"""Exported runs for tests of the forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.report.exports.exported import ExportedRun
from orchestrator.report.failures import failed_stages
from orchestrator.report.status_document import status_document
from tests.records import FakeClock, make_manifest, make_plan, make_stage

NASTY = ']]> ``` ```` <b> & "q" | @everyone \x1b[31m \x00 \ud800 ::set-env name=A::b ##[add-path]x \r\n%0A'


def stage_attempt(outcome: str, exit_code: int | None, *, run_attempt: int = 1) -> dict[str, Any]:
    """Return one attempt of a stage, of one second."""
    return {
        "run_attempt": run_attempt,
        "started_at": "2026-11-22T08:43:06.000Z",
        "completed_at": "2026-11-22T08:43:07.000Z",
        "outcome": outcome,
        "exit_code": exit_code,
        "signal": None,
        "duration_seconds": 1.0,
    }


def exported(
    results: Mapping[str, str],
    *,
    last_lines: Mapping[str, list[str]] | None = None,
    number: int = 1,
    parent: str | None = None,
    **keys: object,
) -> ExportedRun:
    """Return an ended run whose stages have these outcomes; ``keys`` replace those of its status document."""
    plan = make_plan(*(make_stage(stage) for stage in results or ("build",)))
    body = status_document(
        make_manifest(number, plan).as_json(), alive=False, now=FakeClock().now(), manifest="manifest.json"
    )
    status = {"success": "succeeded", "skip": "skipped"}
    body["commands"] = [
        {
            **command,
            "status": status.get(outcome, "failed"),
            "outcome": outcome,
            "summary": (last_lines or {}).get(command["id"], [f"{outcome} it is"])[-1],
            "exit_code": 3 if outcome == "failure" else None,
            "duration_seconds": 1.0,
            "log_path": f"logs/{command['id']}.log",
            "attempts": [] if outcome == "skip" else [stage_attempt(outcome, 3 if outcome == "failure" else None)],
        }
        for command, outcome in zip(body["commands"], results.values(), strict=False)
    ]
    bad = next((outcome for outcome in results.values() if outcome not in status), None)
    body |= {"status": "failed" if bad else "succeeded", "outcome": bad or "success", "status_detail": None, **keys}
    return ExportedRun(
        body, failed_stages(body, last_lines=last_lines or {}, causes={}), parent=parent, link="https://ci.example/1"
    )
