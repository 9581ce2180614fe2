"""What a run ends with: the document that ``start`` and ``resume`` print, and its closing lines for people."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.model.manifest.command import EXTERNAL_PROGRAM
from orchestrator.report.layout import Ink, clean, clip, duration, labelled, test_place
from orchestrator.report.next_step import PROGRAM, first_in_words, with_next
from orchestrator.report.stage_words import how_it_ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_DIGEST_LINES = 10


_KEYS = ("run_id", "task_id", "project", "pipeline_id", "status", "outcome", "attempt")


def run_document(
    body: Mapping[str, Any],
    *,
    exit_code: int | None,
    failed: Sequence[Mapping[str, Any]] = (),
    next_argv: Sequence[str] | None,
) -> dict[str, Any]:
    """Return the run document (contract, section 2, "start, resume") of a record or status document.

    ``exit_code`` is the process's, None when the run goes on without it; ``failed`` are its failed stages
    (``failures.failed_stages``), ``next_argv`` is the next command, None when nothing is left to do.
    """
    return {
        **{key: body[key] for key in _KEYS},
        "exit_code": exit_code,
        "artifact_root": body["artifact_root"],
        "manifest": os.path.join(body["artifact_root"], "manifest.json"),
        "log_path": body["log_path"],
        "failed": list(failed),
        **with_next(next_argv),
    }


def failure_digest(answer: Mapping[str, Any], body: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the closing lines of a run, of its run document and its record or status document.

    Of one that did not succeed: each failed stage with its last lines and its log, then what to type
    next. Of one that succeeded: how long it took, its guardrails, why it is not ready for review if it is not, which
    programs of another environment it ran, and where its manifest is. ``body`` has ``ready``, as a status document.
    """
    ink = Ink(color)
    width = max(width, 20)
    lines = _headline(ink, answer, body, width)
    for failure in answer["failed"]:
        lines += _failure(ink, failure, width)
    for guardrail in body["guardrails"]:
        lines += _guardrail(ink, guardrail, width)
    if answer["status"] == "succeeded" and not body["ready"]["ready"]:
        reasons = [clean(f"- {reason['message']}") for reason in body["ready"]["reasons"]]
        lines += labelled(ink, "Ready", ["no", *reasons], width, "yellow")
    for note in body.get("notes", ()):
        if note["code"] == EXTERNAL_PROGRAM:
            lines += labelled(ink, "Note", [clean(note["message"])], width, "yellow")
    lines += labelled(ink, "Manifest", [clean(answer["manifest"])], width, whole=True)
    if (first := first_in_words(answer["status"], answer["next_argv"])) is not None:
        lines += labelled(ink, "First", [f"{first}: {' '.join([PROGRAM, 'status', clean(answer['run_id'])])}"], width)
    if answer["next_command"] is not None:
        lines += labelled(ink, "Next", [clean(answer["next_command"])], width, "bold", whole=True)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _headline(ink: Ink, answer: Mapping[str, Any], body: Mapping[str, Any], width: int) -> list[str]:
    style = {"succeeded": "green", "failed": "red", "cancelled": "yellow"}.get(answer["status"], "cyan")
    outcome = f" ({answer['outcome']})" if answer["outcome"] in ("error", "timeout") else ""
    status = clean(f"{answer['status'].replace('_', ' ')}{outcome}{_time(body['sla'])}")
    return [
        *labelled(ink, "Run", [clean(answer["run_id"])], width, "bold"),
        *labelled(ink, "Status", [status], width, style),
    ]


def _time(sla: Mapping[str, Any] | None) -> str:
    if sla is None:
        return ""
    took = f" after {duration(sla['active_seconds'])} of {duration(sla['limit_seconds'])}"
    late = ", longer than allowed" if sla["breached"] else ""
    slowest = f"; slowest: {sla['slowest_stage']}" if sla["slowest_stage"] else ""
    return f"{took}{late}{slowest}"


def _failure(ink: Ink, failure: Mapping[str, Any], width: int) -> list[str]:
    cause = failure["cause"]
    how = how_it_ended(failure) if cause is None else cause["line"]
    head = f"Failed: {clean(failure['stage'])}" + (f" ({clean(how)})" if how else "")
    if cause is not None:
        failure = cause
    from orchestrator.model.failure_lines import telling

    shown = telling(failure["last_lines"], _DIGEST_LINES)
    lines = [ink("red", head), *(clip(f"  | {clean(line)}", width) for line in shown)]
    for test in failure["tests"]:
        lines += [clip(f"  - {clean(test['name'])}", width), *_about_test(test, width)]
    if failure["tests_failed"] > len(failure["tests"]) > 0:
        lines.append(f"  and {failure['tests_failed'] - len(failure['tests'])} failed tests more")
    if failure["log_path"]:
        lines += labelled(ink, "Log", [clean(failure["log_path"])], width, whole=True)
    return lines


def _about_test(test: Mapping[str, Any], width: int) -> list[str]:
    """Return where a failed test stands, which is never cut, and what it said."""
    place, message = clean(test_place(test)), clean(test["message"] or "")
    text = f"    {place}: {message}" if place and message else f"    {place or message}"
    return [clip(text, max(width, len(place) + 4))] if text.strip() else []


def _guardrail(ink: Ink, entry: Mapping[str, Any], width: int) -> list[str]:
    passed = entry["outcome"] == "passed"
    reason = f": {entry['reason']}" if entry["reason"] and not passed else ""
    style = "green" if passed else "yellow"
    outcome = entry["outcome"] or "no verdict yet"
    return labelled(ink, "Guardrail", [clean(f"{entry['id']} {outcome}{reason}")], width, style)
