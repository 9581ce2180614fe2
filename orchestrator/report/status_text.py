"""The reviewer's view of one run: one screen that says what ran, how it ended and what is still missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.base.clock import parse_stamp
from orchestrator.report.head_reference import head_reference
from orchestrator.report.layout import NARROW, Ink, clean, clip, duration, labelled, moment, plural, table, test_place
from orchestrator.report.next_step import first_in_words
from orchestrator.report.review_lines import listed, review_lines, tree_line
from orchestrator.report.stage_words import STAGE_STYLE, STAGE_WORD, how_it_ended, run_detail
from orchestrator.store.layout import ENVIRONMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RUN_STYLE = {"succeeded": "green", "failed": "red", "cancelled": "yellow"}
_GUARDRAIL_STYLE = {"passed": "green", "waived": "yellow", None: "dim"}
_NAMED = 3
_CHILD_ORDER = {"failed": 0, "cancelled": 0, "succeeded": 2}
"""What is wrong comes first: only some children are listed."""

_SHORTEST = 20
_MESSAGE = 120
"""Characters of a failed test's message; documents have more."""


def status_text(document: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the text of a status document (``view.status_document``), at most ``width`` columns wide.

    Paths, ids and commands to type are never cut: a terminal breaks them, and they can be copied.
    """
    ink = Ink(color)
    width = max(width, _SHORTEST)
    lines: list[str] = []
    for label, values, style in _head(document):
        lines += labelled(ink, label, [clean(value) for value in values], width, style)
    lines += [ink("dim", "Stages"), *_stages(ink, [*_environment(document), *document["commands"]], width)]
    for label, values, style in _tail(document):
        lines += labelled(ink, label, [clean(value) for value in values], width, style)
    for label, value, style in _to_copy(document):
        lines += labelled(ink, label, [clean(value)], width, style, whole=True)
    return "\n".join(line.rstrip() for line in lines) + "\n"


_Part = tuple[str, Sequence[str], str]


def _head(document: Mapping[str, Any]) -> Iterator[_Part]:
    notes = [f"attempt {document['attempt']}"] if document["attempt"] > 1 else []
    notes += ["version 1"] if document["version"] == 1 else []
    yield "Run", [f"{document['run_id']} ({', '.join(notes)})" if notes else document["run_id"]], "bold"
    yield "Status", [_status(document)], _RUN_STYLE.get(document["status"], "cyan")
    names = [f"{document['project']}" if document["project"] else "", f"task {document['task_id']}"]
    yield "Project", [", ".join(filter(None, [*names, f"pipeline {document['pipeline_id']}"]))], ""
    yield "Time", list(_times(document)), "red" if (document["sla"] or {}).get("breached") else ""


def _status(document: Mapping[str, Any]) -> str:
    outcome, detail = document["outcome"], run_detail(document)
    words = document["status"].replace("_", " ")
    if outcome is not None and outcome not in ("success", "failure", "cancellation"):
        words += f" ({outcome})"
    if document["alive_by"] == "heartbeat":
        words += " on another machine, as its heartbeat tells"
    if document["attended"] is False:
        words += " in the cloud, unattended"
    if detail and detail.startswith(f"{words} "):
        return str(detail)  # "cancelled by ann", which says both
    return f"{words}: {detail}" if detail else words


def _times(document: Mapping[str, Any]) -> Iterator[str]:
    began = parse_stamp(document["started_at"])
    ended = document["completed_at"] and parse_stamp(document["completed_at"])
    until = f", ended {f'{ended:%H:%M:%S}' if ended.date() == began.date() else moment(ended)}" if ended else ""
    by = f" by {document['mode']['actor']}" if document["mode"] is not None else ""
    yield f"started {moment(began)}{by}{until}"
    sla = document["sla"]
    if sla is None:
        if ended:
            yield f"took {duration((ended - began).total_seconds())}"
        return
    if document["status"] == "queued":
        limit = duration(sla["limit_seconds"])
        yield f"in the queue for {duration(document['queued_seconds'])}; it may take {limit} once it runs"
        return
    took = f"{'took' if ended else 'going for'} {duration(sla['active_seconds'])} of {duration(sla['limit_seconds'])}"
    if sla["breached"]:
        took += ": longer than allowed"
    elif sla.get("remaining_seconds") is not None:
        took += f", {duration(sla['remaining_seconds'])} left"
    yield f"{took}; slowest: {sla['slowest_stage']}" if sla["slowest_stage"] else took


def _environment(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for an environment that could not be made: it is no stage of the plan."""
    for entry in document.get("failed", ()):
        if entry["stage"] == ENVIRONMENT:
            rest = {"status": "failed", "duration_seconds": None, "attempts": (), "guardrail": False, "summary": None}
            yield {"id": ENVIRONMENT, **{key: entry[key] for key in ("outcome", "exit_code", "signal")}, **rest}


def _stages(ink: Ink, commands: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    if not commands:
        return ["  none"]
    # In a narrow terminal the state, the time and how it ended are what remains beside the name.
    name_width = width - 29 if width < NARROW else min(40, width - 44)
    rows = [_stage_row(command, name_width, narrow=width < NARROW) for command in commands]
    return table(ink, rows, width)


def _stage_row(command: Mapping[str, Any], name_width: int, *, narrow: bool) -> list[tuple[str, str]]:
    style = STAGE_STYLE[command["status"]]
    word = STAGE_WORD[command["status"]]
    if command["status"] == "skipped" and command["outcome"] in ("failure", "timeout"):
        word = "allowed"
    if command.get("reused") is not None:
        style, word = "green", "unchanged"
    row = [
        ("", clip(clean(command["id"]), max(4, name_width))),
        (style, word),
        ("", duration(command["duration_seconds"])),
        (style if command["status"] == "failed" else "", clean(how_it_ended(command))),
    ]
    if narrow:
        return row
    tries = len(command["attempts"])
    row.append(("", plural(tries, "attempt") if tries > 1 else ""))
    row.append(("", "guardrail" if command["guardrail"] else ""))
    row.append(("dim", clean(command["summary"] or "") if command["status"] in ("failed", "skipped") else ""))
    return row


def _tail(document: Mapping[str, Any]) -> Iterator[_Part]:
    for entry in document["guardrails"]:
        yield _guardrail(entry)
    for flag in document["plan"]["flags"] if document["plan"] else ():
        yield "Flag", [flag["message"]], "yellow"
    yield from _failed_tests(document)
    yield from _relatives(document)
    yield from review_lines(document)
    if document["resume_events"]:
        event = document["resume_events"][-1]
        reason = f": {event['reason']}" if event["reason"] else ""
        yield "Resumed", [f"{plural(len(document['resume_events']), 'time')}, last by {event['actor']}{reason}"], ""
    yield from _origin(document)
    yield from _report_problems(document)
    for note in document["notes"]:
        yield "Note", [note["message"]], "yellow"
    yield from _verdict(document["ready"])


def _guardrail(entry: Mapping[str, Any]) -> _Part:
    word = entry["outcome"] or "no verdict yet"
    must = "" if entry["required"] else " (not required)"
    reason = f": {entry['reason']}" if entry["reason"] and entry["outcome"] != "passed" else ""
    proof = entry.get("proof")
    must += f", proved to be able to fail by {proof['run_id']}" if proof else ""
    return "Guardrail", [f"{entry['id']} {word}{must}{reason}"], _GUARDRAIL_STYLE.get(entry["outcome"], "red")


def _failed_tests(document: Mapping[str, Any]) -> Iterator[_Part]:
    for entry in document.get("failed", ()):
        found = entry["cause"] if entry["cause"] is not None else entry
        if found["tests"]:
            yield "Tests", failed_test_lines(entry["stage"], found), "red"


def failed_test_lines(stage: str, found: Mapping[str, Any]) -> list[str]:
    """Return how many tests failed in a stage, and a line for each that is named."""
    lines = [f"{plural(found['tests_failed'], 'test')} failed in {stage}"]
    for test in found["tests"]:
        place = f" ({test_place(test)})" if test["file"] else ""
        message = f": {clip(test['message'], _MESSAGE)}" if test["message"] else ""
        lines.append(f"- {test['name']}{place}{message}")
    return lines


def _report_problems(document: Mapping[str, Any]) -> Iterator[_Part]:
    for command in document["commands"]:
        reports = command["attempts"][-1].get("reports", ()) if command["attempts"] else ()
        problems = [f"{report['source']} {report['problem']}" for report in reports if report["problem"]]
        if problems:
            more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
            yield "Note", [f"reports of {command['id']}: {'; '.join(problems[:_NAMED])}{more}"], "yellow"


def _relatives(document: Mapping[str, Any]) -> Iterator[_Part]:
    lineage = document["lineage"]
    if lineage["parentRunId"]:
        depth = f", depth {lineage['depth']}" if lineage["depth"] is not None else ""
        stage = f", its stage {lineage['parent_stage_id']}" if lineage.get("parent_stage_id") else ""
        yield "Parent", [f"{lineage['parentRunId']}{stage}{depth}"], ""
    if lineage.get("note"):
        yield "Lineage", [lineage["note"]], "yellow"
    if document["child_runs"]:
        children = sorted(document["child_runs"], key=lambda child: _CHILD_ORDER.get(child["status"], 1))
        yield "Children", listed([_child(child) for child in children]), ""


def _child(child: Mapping[str, Any]) -> str:
    whose = f" of {child['project']}" if child["project"] else ""
    outcome = f" ({child['outcome']})" if child["outcome"] in ("error", "timeout") else ""
    return f"{child['run_id']} {child['pipeline_id']}{whose} {child['status'].replace('_', ' ')}{outcome}"


def _origin(document: Mapping[str, Any]) -> Iterator[_Part]:
    if document["provenance"]:
        last = document["provenance"][-1]
        dirty = {True: "with changes that are not committed", False: "clean", None: None}[last["dirty"]]
        commit = last["commit"][:12] if last["commit"] else _no_commit(last)
        name, is_by_ci = head_reference(document, last)
        branch = f"on {name}{' (by CI)' if is_by_ci else ''}" if name else None
        yield "Commit", [", ".join(filter(None, (commit, branch, dirty)))], ""
        yield from tree_line(document["freshness"])
        yield from _while_running(last)
    mode = document["mode"]
    if mode is not None and (mode["name"] != "local" or mode["overrides"]):
        overrides = [f"{key}={value}" for key, value in mode["overrides"].items()]
        reason = f": {mode['reason']}" if mode["reason"] else ""
        yield "Mode", [f"{mode['name']}, by {mode['actor']}{reason}", *overrides], "yellow" if overrides else ""


def _while_running(last: Mapping[str, Any]) -> Iterator[_Part]:
    """Yield what a run left in the tree that does not keep it from being ready: ``left-behind``, ``touched``."""
    at_end = last.get("at_end")
    if not isinstance(at_end, Mapping):
        return
    for key, code, text in (
        ("left_behind", "left-behind", "new files that git does not track"),
        ("touched", "touched-while-running", "written while stages ran, and as before"),
    ):
        files = [str(path) for path in at_end.get(key) or ()]
        if files:
            more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            yield "Note", [f"{code}: {text}: {', '.join(files[:_NAMED])}{more}"], ""


def _no_commit(last: Mapping[str, Any]) -> str:
    if last["dirty"] is not None:
        return "none yet"
    return f"unknown: {last['note']}" if last.get("note") else "not under git"


def _to_copy(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for entry in document.get("failed", ()):
        if entry["stage"] == ENVIRONMENT and entry["log_path"]:
            yield "Log", entry["log_path"], ""
    yield "Manifest", document["manifest"], ""
    yield "Events", document["log_path"], ""
    if (first := first_in_words(document["status"], document["next_argv"])) is not None:
        yield "First", first, ""
    if document["next_command"]:
        yield "Next", document["next_command"], "bold"


def _verdict(ready: Mapping[str, Any]) -> Iterator[_Part]:
    if ready["ready"]:
        yield "Ready", ["yes"], "green"
    else:
        yield "Ready", ["no", *(f"- {reason['message']}" for reason in ready["reasons"])], "yellow"
