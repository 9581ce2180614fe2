"""The list of runs as text: a line each, two in a narrow terminal. Ids are never cut: they can be copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from orchestrator.base.clock import parse_stamp
from orchestrator.report.layout import Ink, ago, clean, duration, pad, plural, table, wrap
from orchestrator.report.run_rows import DAMAGED, Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WIDE = 96
"""From so many columns on, a run is one line."""

_SHORTEST = 20
_TITLES = ("RUN", "STATE", "STAGES", "STARTED", "TOOK", "PROJECT PIPELINE")
STYLE = {"succeeded": "green", "running": "cyan", "queued": "cyan", "cancelled": "yellow", "unattended": "yellow"}
_INDENT = "    "


def runs_text(document: Mapping[str, Any], *, now: datetime, width: int, color: bool) -> str:
    """Return the text of the document of ``runs``, at most ``width`` columns wide but for ids and paths.

    ``now`` is what moments are seen from.
    """
    ink = Ink(color)
    width = max(width, _SHORTEST)
    rows = document["runs"]
    lines = list(_wide(ink, rows, width, now) if width >= _WIDE else _narrow(ink, rows, width, now))
    for entry in document["unreadable"]:
        reason = f"task {entry['task_id']} can't be looked into: {entry['reason']}"
        lines += [ink("red", line) for line in wrap(clean(reason), width)]
    lines += [ink("dim", line) for line in wrap(_summary(document), width)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _summary(document: Mapping[str, Any]) -> str:
    shown, known, seen = len(document["runs"]), document["known"], document["looked_at"]
    text = plural(shown, "run") if shown else "no run fits" if known else "no runs"
    if seen < known:
        text += f"; {seen} of {known} looked at, newest first: --limit 0 shows all"
    elif shown < known:
        text += f" of {known}"
    hidden = document["damaged"] - sum(row["status"] == DAMAGED for row in document["runs"])
    if hidden:
        text += f"; {plural(hidden, 'damaged run')} may fit: --status damaged shows them"
    return text + (f" ({document['hint']})" if document["hint"] else "")


def word(row: Row) -> str:
    """Return the one word for how a run stands: a status, an outcome, ``altered``, ``died`` or ``unattended``."""
    if row["altered"]:
        return "altered"
    if row["died"]:
        return "died"
    if row["attended"] is False:
        return "unattended"
    if row["outcome"] in ("error", "timeout"):
        return str(row["outcome"])
    return "running" if row["status"] == "in_progress" else str(row["status"])


def _facts(row: Row) -> tuple[str, str, str]:
    stages = row["stages"]
    done = f"{stages['succeeded'] + stages['reused']}/{stages['total']}" if stages else ""
    is_timed = row["duration_seconds"] is not None and row["status"] != "queued"
    took = duration(row["duration_seconds"]) if is_timed else ""
    return done, took, "SLA!" if row["sla_breached"] else ""


def _what(row: Row) -> str:
    names = [row["project"], row["pipeline_id"]]
    text = " ".join([str(name) for name in names if name] + [f"task {row['task_id']}"])
    if row["attempt"] and row["attempt"] > 1:
        text += f", attempt {row['attempt']}"
    if row["in_future"]:  # in front: the end of a row is cut on a narrow screen
        text = f"its clock was ahead: {text}"
    if row["imported_from"]:
        text = f"imported: {text}"
    return clean(text + (", version 1" if row["version"] == 1 else ""))


def _wide(ink: Ink, rows: list[Row], width: int, now: datetime) -> Iterator[str]:
    cells = [[("dim", title) for title in _TITLES]] if rows else []
    for row in rows:
        done, took, sla = _facts(row)
        state = word(row)
        style = STYLE.get(state, "red")
        cells.append(
            [
                ("bold", row["run_id"]),
                (style, state),
                ("", done),
                ("", _started(row, now)),
                ("red" if sla else "", f"{took} {sla}".strip()),
                ("", _what(row)),
            ]
        )
    lines = iter(table(ink, cells, width))
    if rows:
        yield next(lines)
    for row, line in zip(rows, lines, strict=True):
        yield line
        yield from _damage(ink, row, width)


def _started(row: Row, now: datetime) -> str:
    return ago(parse_stamp(row["started_at"]), now) if row["started_at"] else ""


def _narrow(ink: Ink, rows: list[Row], width: int, now: datetime) -> Iterator[str]:
    for row in rows:
        done, took, sla = _facts(row)
        state = word(row)
        yield ink("bold", row["run_id"])
        parts = [sla, f"{done} stages" if done else "", _started(row, now), f"took {took}" if took else "", _what(row)]
        facts = ", ".join(filter(None, parts))
        first, *rest = wrap(f"{pad(state, 9)} {facts}", width - 2)
        yield "  " + ink(STYLE.get(state, "red"), first[: len(state)]) + first[len(state) :]
        yield from ("  " + line for line in rest)
        yield from _damage(ink, row, width)


def _damage(ink: Ink, row: Row, width: int) -> Iterator[str]:
    for words in filter(None, (row["damage"], row["altered"])):
        yield from (_INDENT + ink("red", line) for line in wrap(clean(words), width - len(_INDENT)))
