"""A run as Markdown for the summary of a CI job: failed stages first, as much as GitHub takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

from orchestrator.base.identifiers import FLEET
from orchestrator.base.text.safe_text import safe_text
from orchestrator.report.exports.exported import ExportedRun, how_ended, tail_text, tests_of
from orchestrator.report.fleet_document import totals_text
from orchestrator.report.layout import duration, test_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.model.failed_tests import FailedTests

LIMIT = 900 * 1024
"""Bytes. GitHub drops a summary of more than 1 MiB as a whole, and below that sometimes too."""

_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#+!|~&@$:]")
_TICKS = re.compile("`+")
_SIGN = {"succeeded": "✅", "failed": "❌", "cancelled": "⚪", "skipped": "⏭️"}
_LONGEST_CELL = 300
_NOTE_ROOM = 200
"""Bytes for the sentence that something is left out."""


def github_summary(runs: Sequence[ExportedRun], limit: int = LIMIT) -> bytes:
    """Return the summary of runs, live ones too, in at most ``limit`` bytes.

    Each has a heading, the last lines of what failed, and a table of its stages, failed ones first.
    """
    parts: list[str] = []
    size = 0
    for part in _parts(runs):
        length = len(part.encode())
        if size + length > limit - _NOTE_ROOM:
            parts.append("\n_More than fits here is left out: see `codex-orchestrator status`._\n")
            break
        parts.append(part)
        size += length
    return "".join(parts).encode()


def _parts(runs: Sequence[ExportedRun]) -> Iterator[str]:
    is_fleet = bool(runs) and runs[0].body["project"] == FLEET
    shown = {run.body["run_id"] for run in runs}
    for run in runs:
        if is_fleet and run.parent and run.body["status"] == "succeeded":
            continue  # the fleet's table has it
        yield _heading(run)
        if is_fleet and not run.parent:
            yield _totals(run)
        for entry in run.failed:
            yield _failed(entry, shown)
        yield from _stages(run)
        yield from _guardrails(run)


def _heading(run: ExportedRun) -> str:
    body = run.body
    took = f" in {duration(body['sla']['active_seconds'])}" if body["sla"] else ""
    status = body["status"].replace("_", " ")
    outcome = f" ({body['outcome']})" if body["outcome"] in ("error", "timeout") else ""
    named = _plain(body["run_id"])
    link = f"[{named}]({_target(run.link)})" if run.link else f"`{body['run_id']}`"
    level = "###" if run.parent else "##"
    detail = f"\n\nDetail: {_plain(body['status_detail'])}" if body["status_detail"] and not run.failed else ""
    title = (
        f"{_SIGN.get(body['status'], '⏳')} {_plain(body['project'] or body['task_id'])} {_plain(body['pipeline_id'])}"
    )
    about = f"Run {link}, attempt {body['attempt']}{detail}"
    return f"\n{level} {title}: {status}{outcome}{took}\n\n{about}\n"


def _totals(run: ExportedRun) -> str:
    """Return how many projects of a fleet ended how, as the fleet's own stages say."""
    counts = Counter("cancelled" if c["outcome"] == "cancellation" else c["status"] for c in run.body["commands"])
    return f"\n{totals_text({**counts, 'queued': counts['pending']})}\n"


def _failed(entry: Mapping[str, Any], shown: Container[str]) -> str:
    cause = entry.get("cause")
    how = cause["line"] if isinstance(cause, dict) else how_ended(entry)
    lines = [f"\n**{_plain(entry['stage'])}** failed: {_plain(how)}\n"]
    lines += _tests(tests_of(entry, shown))
    text = safe_text(tail_text(entry), lines=True)
    if text:
        fence = "`" * max(3, 1 + max((len(ticks) for ticks in _TICKS.findall(text)), default=0))
        lines.append(f"\n{fence}text\n{text}\n{fence}\n")
    log = (cause if isinstance(cause, dict) else entry)["log_path"]
    if log:
        lines.append(f"\nLog: {_plain(log)}\n")
    return "".join(lines)


def _tests(failed: FailedTests) -> Iterator[str]:
    for test in failed.tests:
        place = f" ({_plain(test_place(test._asdict()))})" if test.file else ""
        message = f": {_plain(test.message)}" if test.message else ""
        yield f"\n- {_plain(test.name)}{place}{message}"
    if failed.total > len(failed.tests):
        yield f"\n- and {failed.total - len(failed.tests)} failed tests more"
    yield "\n" if failed.tests else ""


def _stages(run: ExportedRun) -> Iterator[str]:
    commands = run.body["commands"]
    if not commands:
        return
    yield "\n| stage | result | time | |\n| --- | --- | --- | --- |\n"
    for command in sorted(commands, key=lambda command: command["status"] != "failed"):
        took = duration(command["duration_seconds"]) if command["duration_seconds"] is not None else ""
        sign = _SIGN.get(command["status"], "⏳")
        note = "" if command["status"] == "succeeded" else _plain(command["summary"])
        yield f"| {_plain(command['id'])} | {sign} {command['status']} | {took} | {note} |\n"


def _guardrails(run: ExportedRun) -> Iterator[str]:
    listed = [entry for entry in run.body["guardrails"] if entry["outcome"] != "passed"]
    for entry in listed:
        reason = f": {entry['reason']}" if entry["reason"] else ""
        yield f"\nGuardrail {_plain(entry['id'])} {_plain((entry['outcome'] or 'no verdict yet') + reason)}\n"


def _plain(text: object) -> str:
    """Return text that Markdown, HTML and GitHub's mentions take as text: what could be markup as an entity."""
    flat = " ".join(safe_text(str(text or "")).split())
    flat = flat if len(flat) <= _LONGEST_CELL else f"{flat[: _LONGEST_CELL - 1]}…"
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", flat)


def _target(url: str) -> str:
    return re.sub(r"[\s<>()\"'`|\\]", lambda found: f"%{ord(found[0]):02X}", safe_text(url))
