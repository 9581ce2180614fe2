"""The tree of runs as text and as a Mermaid flowchart. The tree comes as a flat list: no depth is too deep."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.report.layout import Ink, clean, clip, columns, duration, plural, wrap
from orchestrator.report.run_rows import Row
from orchestrator.report.runs_text import STYLE, word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHORTEST = 20
_DEEPEST_DRAWN = 17
"""Branches are drawn so deep, which is deeper than runs may be nested; below it the level is a number."""

_ID_COLUMNS = 33
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._/-]")
_CLASSES = {
    "succeeded": "fill:#e6f4ea,stroke:#1e7e34,color:#000",
    "failed": "fill:#fdecea,stroke:#b3261e,color:#000",
    "cancelled": "fill:#fff4e5,stroke:#8a5300,color:#000",
    "open": "fill:#e8f0fe,stroke:#1a56b0,color:#000",
    "lost": "fill:#f1f1f1,stroke:#555,color:#000,stroke-dasharray:4",
    "asked": "stroke-width:4px",
}


def lineage_text(document: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the text of a lineage document, at most ``width`` columns wide but for ids, which are never cut."""
    ink = Ink(color)
    width = max(width, _SHORTEST)
    lines = [line for row, first, rest in _branches(document["runs"]) for line in _entry(ink, row, first, rest, width)]
    lines.append(ink("dim", plural(len(document["runs"]), "run")))
    for fault in document["broken"]:
        text = clean(f"{fault['code']}: run {fault['run_id']}: {fault['message']}")
        lines += [ink("red", line) for line in wrap(text, width)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _branches(rows: Sequence[Row]) -> Iterator[tuple[Row, str, str]]:
    """Yield each run with what is drawn before its first line and before its others."""
    rails = [""]
    for row in rows:
        level = row["level"]
        if level == 0:
            yield row, "", ""
            continue
        del rails[min(level, _DEEPEST_DRAWN) :]
        rail = rails[-1]
        drawn = level <= _DEEPEST_DRAWN
        first = rail + ("└─ " if row["last"] else "├─ ") if drawn else f"{rail}{level}: "
        rest = rail + ("   " if row["last"] or not drawn else "│  ")
        if drawn:
            rails.append(rest)
        yield row, first, rest


def _entry(ink: Ink, row: Row, first: str, rest: str, width: int) -> Iterator[str]:
    state = word(row)
    mark = "  <- asked for" if row["asked"] else ""
    head = ink("dim", first) + ink("bold", row["run_id"])
    facts = clean(f"{_facts(row)}{mark}")
    style = STYLE.get(state, "red")
    room = width - columns(first) - _ID_COLUMNS - 2
    if columns(f"{state} {facts}") <= room:
        yield f"{head}  {ink(style, state)} {facts}"
        return
    yield head
    inner = max(width - columns(rest) - 2, _SHORTEST // 2)
    yield from (ink("dim", rest) + "  " + ink(style, clip(line, inner)) for line in wrap(f"{state} {facts}", inner))


def _facts(row: Row) -> str:
    names = [row["project"], row["pipeline_id"], f"task {row['task_id']}" if row["task_id"] else ""]
    took = duration(row["duration_seconds"]) if row["duration_seconds"] is not None else ""
    stage = f"from stage {row['stage_id']}" if row["stage_id"] else ""
    foreign = "(names another parent)" if row["kind"] == "foreign" else ""
    return " ".join(str(part) for part in (*names, took, stage, foreign) if part)


def lineage_mermaid(document: Mapping[str, Any]) -> str:
    """Return the tree as a Mermaid flowchart; what is no letter, digit or mark of a name is written as its number."""
    rows = document["runs"]
    nodes = {row["run_id"]: f"r{place}" for place, row in reversed(list(enumerate(rows)))}
    lines = ["flowchart TD"]
    for place, row in enumerate(rows):
        label = "<br/>".join(_plain(part) for part in (row["run_id"], _names(row), word(row)) if part)
        lines.append(f'  r{place}["{label}"]:::{_class(row)}')
        if row["above"] is not None:
            arrow = "-->" if row["kind"] == "member" else "-.->"
            stage = f'|"{_plain(row["stage_id"])}"|' if row["stage_id"] else ""
            lines.append(f"  {nodes[row['above']]} {arrow}{stage} r{place}")
        if row["asked"]:
            lines.append(f"  class r{place} asked")
    lines += [f"  classDef {name} {style}" for name, style in _CLASSES.items()]
    lines += [f"  %% {_plain(fault['code'])} {_plain(fault['run_id'])}" for fault in document["broken"]]
    return "\n".join(lines) + "\n"


def _names(row: Row) -> str:
    return " ".join(str(name) for name in (row["project"], row["pipeline_id"]) if name)


def _class(row: Row) -> str:
    if row["status"] in ("queued", "in_progress"):
        return "open"
    return row["status"] if row["status"] in _CLASSES else "lost"


def _plain(text: object) -> str:
    return _NOT_PLAIN.sub(lambda found: f"#{ord(found[0])};", str(text))
