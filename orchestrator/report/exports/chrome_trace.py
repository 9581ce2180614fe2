"""Trace Event JSON, which Perfetto and ``chrome://tracing`` open: a process for each run, a row for each lane.

Source: "Trace Event Format" of the Chromium project; ``ts`` and ``dur`` are microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.base.clock import parse_stamp
from orchestrator.base.json_values import json_text
from orchestrator.report.exports.exported import ExportedRun, attempts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RUN_ROW = 0


def chrome_trace(runs: Sequence[ExportedRun]) -> bytes:
    """Return the trace of runs, live ones too. Time begins where the first of them was asked for."""
    zero = min(_micros(run.body["started_at"]) for run in runs)
    events = [event for number, run in enumerate(runs, 1) for event in _of_run(number, run, zero)]
    return json_text({"displayTimeUnit": "ms", "traceEvents": events}, ensure_ascii=False).encode() + b"\n"


def _of_run(number: int, run: ExportedRun, zero: int) -> Iterator[dict[str, Any]]:
    body = run.body
    yield _meta(number, "process_name", {"name": f"{run.suite} {body['run_id']}"})
    yield _meta(number, "process_sort_index", {"sort_index": number})
    yield _meta(number, "thread_name", {"name": "run"}, _RUN_ROW)
    until = _micros(body["completed_at"] or body["updated_at"])
    for attempt in attempts_of(body):
        args = {"outcome": attempt.outcome, "run": body["run_id"], "parent": run.parent, "url": run.link}
        end = _micros(attempt.completed_at) if attempt.completed_at else until
        yield _slice(
            number, _RUN_ROW, f"attempt {attempt.number}", "run", (_micros(attempt.started_at), end), zero, args
        )
    if body.get("queued_seconds") and body.get("began_at"):
        begin, end = _micros(body["started_at"]), _micros(body["began_at"])
        yield _slice(number, _RUN_ROW, "queue", "queue", (begin, end), zero, {})
    for phase in run.environments:
        moments = _micros(phase.started_at), _micros(phase.completed_at)
        yield _slice(number, _RUN_ROW, "environment", "environment", moments, zero, {"outcome": phase.outcome})
    yield from _stages(number, body, until, zero)


def _stages(number: int, body: Mapping[str, Any], until: int, zero: int) -> Iterator[dict[str, Any]]:
    pieces = []
    for command in body["commands"]:
        for attempt, entry in enumerate(command["attempts"], 1):
            end = _micros(entry["completed_at"]) if entry["completed_at"] else until
            args = {
                "outcome": entry["outcome"],
                "exit_code": entry["exit_code"],
                "signal": entry["signal"],
                "attempt": attempt,
                "child_run": command["sub_run_id"],
            }
            pieces.append((_micros(entry["started_at"]), end, command["index"], attempt, command["id"], args))
    lanes: list[int] = []
    for begin, end, _, _, name, args in sorted(pieces, key=lambda piece: piece[:4]):
        lane = next((lane for lane, busy in enumerate(lanes) if busy <= begin), len(lanes))
        if lane == len(lanes):
            lanes.append(0)
            yield _meta(number, "thread_name", {"name": f"lane {lane + 1}"}, lane + 1)
        lanes[lane] = end
        yield _slice(number, lane + 1, name, "stage", (begin, end), zero, args)


def _meta(number: int, name: str, args: Mapping[str, object], row: int = _RUN_ROW) -> dict[str, Any]:
    return {"ph": "M", "pid": number, "tid": row, "name": name, "args": args}


def _slice(
    number: int, row: int, name: str, kind: str, moments: tuple[int, int], zero: int, args: Mapping[str, object]
) -> dict[str, Any]:
    begin, end = moments
    return {
        "ph": "X",
        "pid": number,
        "tid": row,
        "name": name,
        "cat": kind,
        "ts": begin - zero,
        "dur": max(0, end - begin),
        "args": {key: value for key, value in args.items() if value is not None},
    }


def _micros(moment: str) -> int:
    return round(parse_stamp(moment).timestamp() * 1_000_000)
