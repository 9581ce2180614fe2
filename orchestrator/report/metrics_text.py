"""The figures of projects' windows as text: a block for each project, the worst news marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.report.layout import Ink, clean, duration, labelled, plural
from orchestrator.report.statistics.gate import percent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHORTEST = 20
_MOST_RUNS = 5
_Part = tuple[str, list[str], str]


def metrics_text(document: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the text of a metrics document, about ``width`` columns wide."""
    ink = Ink(color)
    width = max(width, _SHORTEST)
    days, rest = divmod(document["window_seconds"], 86400)
    span = plural(int(days), "day") if days and not rest else duration(document["window_seconds"])
    lines = labelled(ink, "Window", [f"{span} up to {document['until']}, from {document['since']}"], width)
    for project in document["projects"]:
        lines.append("")
        for label, values, style in _project(project):
            lines += labelled(ink, label, [clean(value) for value in values], width, style)
    lines.append("")
    for label, values, style in _whole(document):
        lines += labelled(ink, label, [clean(value) for value in values], width, style)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _project(figures: Mapping[str, Any]) -> Iterator[_Part]:
    yield "Project", [figures["project"] or "(no project: runs of version 1 whose task nobody owns)"], "bold"
    outcomes = ", ".join(f"{count} {word}" for word, count in figures["outcomes"].items())
    yield "Runs", [f"{figures['runs']}: {outcomes}" if outcomes else "none"], ""
    guardrails = figures["guardrails"]
    if guardrails["coverage"] is None:
        yield "Guardrails", ["no run of a pipeline that requires one"], "yellow"
    else:
        counted = f"{guardrails['executed']} of {plural(guardrails['runs'], 'run')}"
        text = f"{percent(guardrails['coverage'])} executed ({counted}), {percent(guardrails['pass_rate'])} passed"
        yield "Guardrails", [text], ""
    sla = figures["sla"]
    if sla["runs"]:
        text = f"{plural(sla['breaches'], 'run')} of {sla['runs']} took longer ({percent(sla['share'])})"
        yield "SLA", [text], "red" if sla["breaches"] else ""
    if figures["runs"]:
        yield "Duration", list(_durations(figures)), ""
    if figures["flaky"]:
        yield "Flaky", [_flaky(entry) for entry in figures["flaky"]], "yellow"


def _durations(figures: Mapping[str, Any]) -> Iterator[str]:
    for part in figures["pipelines"]:
        limit = f" of {duration(part['sla_seconds'])}" if part["sla_seconds"] is not None else ""
        took = part["duration"]
        text = f"{part['pipeline_id']}: median {duration(took['median_seconds'])}"
        text += f", p90 {duration(took['p90_seconds'])}{limit}"
        yield f"{text}, {plural(part['runs'], 'run')}{_trend(took['trend'])}"


def _trend(trend: Mapping[str, Any]) -> str:
    if trend["change"] is None:
        return ""
    return f", {'+' if trend['change'] >= 0 else ''}{percent(trend['change'])} in the later half"


def _flaky(entry: Mapping[str, Any]) -> str:
    turns = "once" if entry["times"] == 1 else f"{entry['times']} times"
    where = plural(entry["commits"], "commit")
    return (
        f"{entry['stage']} in {entry['pipeline_id']}: failed, then passed {turns} on {where} (last {entry['runs'][-1]})"
    )


def _whole(document: Mapping[str, Any]) -> Iterator[_Part]:
    notes = document["notes"]
    lines = [f"{count} {words}" for words, count in _notes(notes) if count]
    lines += [f"run {run_id} is not published yet, and left out" for run_id in notes["open_runs"]]
    lines += [f"run {run_id} lies in the future, and is left out" for run_id in notes["in_future"]]
    lines += [f"task {entry['task_id']}: {entry['reason']}" for entry in notes["unreadable_tasks"]]
    if lines:
        yield "Noted", lines, "yellow"
    gate = document["gate"]
    if gate["met"]:
        yield "Gate", ["met"], "green"
    elif gate["met"] is None:
        yield "Gate", ["not judged: metrics --gate compares the records too"], ""
    else:
        yield "Gate", ["not met", *(line for one in gate["findings"] for line in _finding(one))], "red"


def _notes(notes: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    yield "lines of metrics can't be read", notes["unreadable_lines"]
    yield "torn last lines of metrics", notes["torn_lines"]
    yield "lines repeat an event, and count once", notes["repeated_lines"]
    yield "runs have no record that can be read: what was flaky in them is not known", notes["records_missing"] or 0


def _finding(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['project'] or '-'}: {found['message']} ({found['code']})"
    for run in found["runs"][:_MOST_RUNS]:
        yield f"- {run['run_id']}" + (f": {', '.join(run['stages'])}" if run["stages"] else "")
    if len(found["runs"]) > _MOST_RUNS:
        yield f"- and {len(found['runs']) - _MOST_RUNS} more"
