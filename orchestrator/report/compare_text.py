"""What differs between two runs, as text and by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.report.layout import Ink, clean, duration, labelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_FILES = 20


def compared_stages(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return outcome and duration (seconds) of each stage in two records; null where a run has no such stage."""
    old = {command["id"]: command for command in before}
    new = {command["id"]: command for command in after}
    return [
        {
            "stage": stage,
            "outcome": {"before": old.get(stage, {}).get("outcome"), "run": new.get(stage, {}).get("outcome")},
            "duration_seconds": {
                "before": old.get(stage, {}).get("duration_seconds"),
                "run": new.get(stage, {}).get("duration_seconds"),
            },
        }
        for stage in dict.fromkeys([*new, *old])
    ]


def compare_text(document: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return the text of a comparison, about ``width`` columns wide; what is the same is not shown, but for stages."""
    ink = Ink(color)
    lines: list[str] = []
    for label, values in _parts(document):
        lines += labelled(ink, label, [clean(value) for value in values], max(width, 20))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _parts(document: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    yield "Run", [f"{document['run_id']} ({document['outcome']['run'] or 'goes on'})"]
    yield "Before", [f"{document['before']} ({document['outcome']['before'] or 'goes on'})"]
    old, new = document["commits"]["before"]["commit"], document["commits"]["run"]["commit"]
    yield "Commit", [f"{_short(old)} → {_short(new)}" if old != new else f"{_short(new)}, the same"]
    files = document["files"]
    if files is None or document["files_note"]:
        yield "Files", [str(document["files_note"])]
    for file in (files or ())[:_MOST_FILES]:
        yield "Files", [f"{file['change']} {file['path']}"]
    if files is not None and len(files) > _MOST_FILES:
        yield "Files", [f"and {len(files) - _MOST_FILES} more"]
    for line in document["plan"]:
        yield "Plan", [line]
    for entry in document["host"]:
        yield "Host", [f"{entry['what']}: {entry['before']} → {entry['run']}"]
    for stage in document["stages"]:
        yield "Stage", [f"{stage['stage']}: {_change(stage['outcome'])}, {_times(stage['duration_seconds'])}"]
    for entry in document["tests"]:
        for key, words in (("newly", "failed newly"), ("no_longer", "no longer failed")):
            names = entry[key][:_MOST_FILES]
            more = entry[f"{key}_total"] - len(names)
            if names:
                yield "Tests", [f"{words} in {entry['stage']}:", *names, *([f"and {more} more"] if more else [])]


def _short(commit: str | None) -> str:
    return commit[:12] if commit else "none"


def _change(outcome: Mapping[str, Any]) -> str:
    old, new = (outcome[key] or "not there" for key in ("before", "run"))
    return str(new) if old == new else f"{old} → {new}"


def _times(seconds: Mapping[str, Any]) -> str:
    return " → ".join("-" if seconds[key] is None else duration(seconds[key]) for key in ("before", "run"))
