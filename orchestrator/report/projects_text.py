"""The projects of a workspace for people: what is red now comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from orchestrator.base.clock import parse_stamp
from orchestrator.report.layout import NARROW, Ink, ago, clean, clip, labelled, table, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TITLES = ("PROJECT", "LAST RUN", "PIPELINE", "ENDED", "READY", "GUARDED (7 DAYS)", "CAUSE")
"""``GUARDED``: the share of its runs of the last seven days in which every required guardrail gave a verdict."""

_INDENT = "  "
_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow"}


def projects_text(document: Mapping[str, Any], *, now: datetime, width: int, color: bool) -> str:
    """Return a line for each project: its last run, whether that is ready, coverage, and what is wrong."""
    ink, width = Ink(color), max(width, 20)
    entries = sorted(document["projects"], key=_is_fine)
    rows = [_row(entry, now) for entry in entries]
    if width < NARROW:
        lines = [line for row in rows for line in _narrow(ink, row, width)] or ["no project yet"]
    else:
        lines = table(ink, [_titles(rows), *rows], width) if rows else ["  no project yet"]
    for entry in entries:
        for fault in entry["faults"]:
            lines += labelled(ink, "Config", [clean(fault)], width, "red")
    for fault in document["misnamed"]:
        lines += labelled(ink, "Config", [clean(fault)], width, "red")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _narrow(ink: Ink, row: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    name, state, pipeline, ended, ready, guarded, cause = row
    yield f"{ink(*name)} {ink(*state)}"
    facts = (pipeline, ended, ready, (guarded[0], guarded[1] and f"{guarded[1]} guarded"), cause)
    said = ", ".join(text for _, text in facts if text)
    for line in wrap(said, width - len(_INDENT)) if said else ():
        yield f"{_INDENT}{line}"


def _titles(rows: Sequence[Sequence[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Return the row of titles; a column without an entry has none, and is left out."""
    return [
        ("dim", title if any(text for _, text in column) else "")
        for title, column in zip(_TITLES, zip(*rows, strict=True), strict=True)
    ]


def _is_fine(entry: Mapping[str, Any]) -> tuple[bool, bool, str]:
    last = entry["last_run"]
    return not entry["faults"], last is not None and last["status"] == "succeeded", str(entry["project"])


def _row(entry: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    last = entry["last_run"]
    coverage = "" if entry["coverage"] is None else f"{round(100 * entry['coverage'])} %"
    name = ("bold", clip(clean(entry["project"]), 40))
    if last is None:
        return [name, ("dim", "no run"), ("", ""), ("", ""), ("", ""), ("", coverage), ("", "")]
    ready = {True: "ready", False: "not ready", None: ""}[last["ready"]]
    return [
        name,
        (_STYLES.get(last["status"], ""), clean(last["status"])),
        ("", clean(last["pipeline_id"])),
        ("dim", ago(parse_stamp(last["completed_at"]), now)),
        ("green" if last["ready"] else "yellow", ready if last["status"] == "succeeded" else ""),
        ("", coverage),
        ("red", clean(last["cause"] or "")),
    ]
