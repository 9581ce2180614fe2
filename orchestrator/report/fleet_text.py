"""A fleet for people: totals, the failed projects with their causes, what to type next; and a selection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.report.fleet_document import children_to_resume, totals_text
from orchestrator.report.layout import Ink, clean, clip, duration, labelled, plural, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "skipped": "yellow", "in_progress": "cyan"}
_IN_FULL = 10
"""So many failed projects are shown with their last lines."""

_LINES = 20


def fleet_status_text(document: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the text of a fleet's status document: the projects, failed ones first, and what to type next."""
    ink, width = Ink(color), max(width, 20)
    lines = _head(ink, document, width)
    lines += [ink("dim", "Projects"), *table(ink, [_row(entry) for entry in document["fleet"]["projects"]], width)]
    if not document["ready"]["reasons"]:
        lines += labelled(ink, "Ready", ["yes"], width, "green")
    return _ended([*lines, *_not_ready(ink, document, width), *_next(ink, document, document["fleet"], width)])


def fleet_digest(answer: Mapping[str, Any], body: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the closing lines of a fleet, of its run document and its status document.

    Totals first, then each failed project with its stage, last lines and log, ten in full; then what to type next.
    """
    ink, width = Ink(color), max(width, 20)
    lines = _head(ink, body, width)
    causes = {entry["stage"]: entry for entry in answer["failed"]}
    failed = [entry for entry in body["fleet"]["projects"] if entry["status"] in ("failed", "cancelled")]
    for entry in failed[:_IN_FULL]:
        lines += _failure(ink, entry, causes.get(entry["project"]), width)
    for entry in failed[_IN_FULL:]:
        lines.append(
            ink("red", clip(f"{_word(entry)}: {clean(entry['project'])} ({clean(entry['cause'] or '')})", width))
        )
    skipped = [entry for entry in body["fleet"]["projects"] if entry["status"] == "skipped"]
    for entry in skipped[:_IN_FULL]:
        text = f"Skipped: {clean(entry['project'])}: {clean(entry['cause'] or 'never begun')}"
        lines.append(ink("yellow", clip(text, width)))
    if len(skipped) > _IN_FULL:
        lines.append(ink("yellow", f"Skipped: {len(skipped) - _IN_FULL} more"))
    if body["status"] == "succeeded":
        lines += _not_ready(ink, body, width)
    lines += labelled(ink, "Manifest", [clean(answer["manifest"])], width, whole=True)
    return _ended([*lines, *_next(ink, answer, body["fleet"], width)])


def selection_text(selection: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return a selection: each project with why, what was left out, and the base."""
    ink, width = Ink(color), max(width, 20)
    lines: list[str] = []
    if selection["base"] is not None:
        merge_base = f" ({selection['merge_base'][:12]})" if selection["merge_base"] else ""
        files = plural(len(selection["files"]), "changed file")
        lines += labelled(ink, "Base", [clean(f"{selection['base']}{merge_base}, {files}")], width)
    for note in selection["notes"]:
        lines += labelled(ink, "Note", [clean(note)], width)
    projects = selection["projects"]
    lines += labelled(ink, "Projects", [str(len(projects)) if projects else "none: nothing to run"], width, "bold")
    rows = [[("bold", clean(one["project"])), ("dim", clean("; ".join(one["reasons"])))] for one in projects]
    lines += table(ink, rows, width)
    for one in selection["left_out"]:
        lines += labelled(ink, "Left out", [clean(f"{one['project']}: {one['reason']}")], width, "yellow")
    return _ended(lines)


def fleet_plan_text(document: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the plan of a fleet: the selection, and of each project what it needs and what is wrong with it."""
    ink, width = Ink(color), max(width, 20)
    lines = labelled(ink, "Pipeline", [clean(f"{document['pipeline']}, task {document['task_id']}")], width, "bold")
    text = "\n".join(lines) + "\n" + selection_text(document["selection"], width=width, color=color)
    needs = [f"{stage['id']} after {', '.join(stage['needs'])}" for stage in document["stages"] if stage["needs"]]
    faults = [f"{one['project']}: {one['fault']}" for one in document["selection"]["projects"] if one["fault"]]
    rest = [line for each in needs for line in labelled(ink, "Order", [clean(each)], width)]
    rest += [line for each in faults for line in labelled(ink, "Will fail", [clean(each)], width, "red")]
    rest += labelled(ink, "Digest", [document["digest"]], width)
    return text + _ended(rest)


def _head(ink: Ink, body: Mapping[str, Any], width: int) -> list[str]:
    attempt = f" (attempt {body['attempt']})" if body["attempt"] > 1 else ""
    outcome = f" ({body['outcome']})" if body["outcome"] in ("error", "timeout") else ""
    detail = f": {body['status_detail']}" if body["status_detail"] else ""
    took = f" after {duration(body['sla']['active_seconds'])}" if body["sla"] else ""
    status = f"{body['status'].replace('_', ' ')}{outcome}{took}{detail}"
    count = plural(len(body["fleet"]["projects"]), "project")
    return [
        *labelled(ink, "Run", [clean(f"{body['run_id']}{attempt}")], width, "bold"),
        *labelled(ink, "Fleet", [clean(f"{body['pipeline_id']} of {count}, task {body['task_id']}")], width),
        *labelled(ink, "Status", [clean(status)], width, _STYLES.get(body["status"], "cyan")),
        *labelled(ink, "Totals", [totals_text(body["fleet"]["totals"])], width),
    ]


def _row(entry: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    style = _STYLES.get(entry["status"], "dim")
    word = "running" if entry["status"] == "in_progress" else entry["status"]
    late = "late" if entry["sla_breached"] else ""
    return [
        ("", clip(clean(entry["project"]), 40)),
        (style, word),
        ("", clean(entry["run_id"] or "")),
        ("red", late),
        ("dim" if entry["status"] != "failed" else "red", clean(entry["cause"] or "")),
    ]


def _failure(ink: Ink, entry: Mapping[str, Any], failed: Mapping[str, Any] | None, width: int) -> Iterator[str]:
    text = f"{_word(entry)}: {clean(entry['project'])} ({clean(entry['cause'] or entry['status'])})"
    yield ink(_STYLES[entry["status"]], clip(text, width))
    if failed is None:
        return
    shown = failed["cause"] or failed
    for line in shown["last_lines"][-_LINES:]:
        yield clip(f"  | {clean(line)}", width)
    if shown["log_path"]:
        yield from labelled(ink, "Log", [clean(shown["log_path"])], width, whole=True)


def _not_ready(ink: Ink, document: Mapping[str, Any], width: int) -> Iterator[str]:
    for reason in document["ready"]["reasons"]:
        yield from labelled(ink, "Ready", [clean(f"no: {reason['message']}")], width, "yellow")


def _word(entry: Mapping[str, Any]) -> str:
    return "Cancelled" if entry["status"] == "cancelled" else "Failed"


def _next(ink: Ink, document: Mapping[str, Any], part: Mapping[str, Any], width: int) -> Iterator[str]:
    if document["next_command"] is None:
        return
    yield from labelled(ink, "Next", [clean(document["next_command"])], width, "bold", whole=True)
    alone = children_to_resume(part)
    if alone is not None and document["next_argv"][1] != "start":  # an imported fleet's run can't be resumed either
        yield from labelled(ink, "", [f"{' '.join(alone)}  # this project alone"], width, whole=True)


def _ended(lines: Sequence[str]) -> str:
    return "".join(f"{line.rstrip()}\n" for line in lines)


def fleet_decided_text(document: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return what is said after a decision about a fleet: whose runs have it now, and which were left out."""
    ink, width = Ink(color), max(width, 20)
    lines = [
        line
        for one in document["recorded"]
        for line in labelled(ink, "Recorded", [clean(f"{one['project']}: run {one['run_id']}")], width, "green")
    ]
    for one in document["left_out"]:
        lines += labelled(ink, "Left out", [clean(f"{one['project']}: {one['reason']}")], width, "yellow")
    ready = document["ready"]["ready"]
    return _ended([*lines, *labelled(ink, "Ready", ["yes" if ready else "no"], width, "green" if ready else "yellow")])
