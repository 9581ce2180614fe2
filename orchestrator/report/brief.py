"""The shortest answer about a run: ``status --brief``, for who asks often and reads little."""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.report.fleet_document import totals_text
from orchestrator.report.layout import Ink, clean, clip, labelled
from orchestrator.report.next_step import first_in_words
from orchestrator.report.stage_words import how_it_ended
from orchestrator.store.layout import ENVIRONMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT = 2048
"""Bytes of the document as JSON, however it is printed (contract, section 2)."""

_CAUSE = 160
"""Characters of a cause or reason; a sixth of that when there is more than fits."""

_KEYS = ("run_id", "project", "task_id", "status", "outcome", "attempt", "alive", "attended")


def brief_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the brief form of a status document, which has ``failed`` besides: at most 2 KiB of JSON.

    What does not fit is left out from the end of ``failed``, where cancelled stages stand, and counted in
    ``failed_left_out``. A fleet has its totals besides.
    """
    known = _known_causes(document.get("fleet"))
    failed = [_failed(entry, known.get(entry["stage"])) for entry in sorted(document["failed"], key=_is_cancelled)]
    for longest in (_CAUSE, _CAUSE // 6):
        for count in range(min(len(failed), 20), 0, -1) if longest == _CAUSE // 6 else (len(failed),):
            found = _assembled(document, failed[:count], len(failed) - count, longest)
            if _size(found) <= LIMIT:
                return found
    return _assembled(document, [], len(failed), _CAUSE // 6)


def brief_text(brief: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the brief form for people: a line for the run, one for each failed stage, what to type next."""
    ink = Ink(color)
    outcome = f" ({brief['outcome']})" if brief["outcome"] not in (None, "success", "failure") else ""
    ready = "ready" if brief["ready"]["ready"] else "not ready"
    style = {"succeeded": "green", "failed": "red", "cancelled": "yellow"}.get(brief["status"], "cyan")
    unattended = ", unattended" if brief["attended"] is False else ""
    status = f"{brief['status'].replace('_', ' ')}{outcome}{unattended}, {ready}"
    lines = labelled(ink, "Run", [clean(brief["run_id"])], width, "bold")
    lines += labelled(ink, "Status", [clean(status)], width, style)
    if "fleet" in brief:
        lines += labelled(ink, "Totals", [totals_text(brief["fleet"]["totals"])], width)
    for entry in brief["failed"]:
        lines += labelled(ink, "Failed", [clean(f"{entry['stage']}: {entry['cause']}")], width, "red")
        if entry["log_path"]:
            lines += labelled(ink, "Log", [clean(entry["log_path"])], width, whole=True)
    if brief["failed_left_out"]:
        lines += labelled(ink, "Failed", [f"and {brief['failed_left_out']} more"], width)
    if (first := first_in_words(brief["status"], brief["next_argv"])) is not None:
        lines += labelled(ink, "Not ready", [clean(reason["message"]) for reason in brief["ready"]["reasons"]], width)
        lines += labelled(ink, "First", [first], width)
    if brief["next_command"]:
        lines += labelled(ink, "Next", [clean(brief["next_command"])], width, "bold", whole=True)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _is_cancelled(entry: Mapping[str, Any]) -> bool:
    return bool(entry["outcome"] == "cancellation")


def _known_causes(fleet: Mapping[str, Any] | None) -> dict[str, str]:
    """Return why projects of a fleet failed whose runs had succeeded: their output says nothing of it."""
    return {entry["project"]: entry["cause"] for entry in (fleet or {}).get("projects", ()) if "run_status" in entry}


def _failed(entry: Mapping[str, Any], known: str | None) -> dict[str, Any]:
    cause = entry["cause"]
    if known is not None:
        line, log, run_id = known, entry["log_path"], None
    elif cause is not None:
        line, log, run_id = cause["line"], cause["log_path"], cause["run_id"]
    else:
        line, log, run_id = ": ".join(filter(None, (how_it_ended(entry), _said(entry)))), entry["log_path"], None
    return {
        "stage": entry["stage"],
        "outcome": entry["outcome"],
        "cause": line,
        "log_path": log,
        "child_run_id": run_id,
    }


def _said(entry: Mapping[str, Any]) -> str:
    """Return what says most of a failed stage: its first failed test, where a report names one, else its cause."""
    tests = entry.get("tests")
    if not tests:
        from orchestrator.model.failure_lines import cause_in, named_in  # few runs that are looked at failed

        lines = [str(line) for line in entry["last_lines"]]
        return (cause_in(lines) if entry["stage"] == ENVIRONMENT else named_in(lines)) or ""
    more = entry["tests_failed"] - 1
    first = ": ".join(filter(None, (tests[0]["name"], tests[0]["message"])))
    return f"{more + 1} failed tests, first {first}" if more else first


def _assembled(
    document: Mapping[str, Any], failed: list[dict[str, Any]], left_out: int, longest: int
) -> dict[str, Any]:
    ready = document["ready"]
    reasons = [{**reason, "message": clip(reason["message"], longest)} for reason in ready["reasons"]]
    fleet = document.get("fleet")
    return {
        **{key: document[key] for key in _KEYS},
        **({} if fleet is None else {"fleet": {"totals": fleet["totals"]}}),
        "ready": {"ready": ready["ready"], "reasons": reasons if longest == _CAUSE else reasons[:4]},
        "failed": [{**entry, "cause": clip(entry["cause"], longest)} for entry in failed],
        "failed_left_out": left_out,
        "next_command": document["next_command"],
        "next_argv": document["next_argv"],
    }


def _size(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, indent=2)) + 1
