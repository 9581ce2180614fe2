"""The packet of a review as text: the status of the run, then what only a reviewer needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.model.failure_lines import telling
from orchestrator.report.layout import Ink, clean, clip, labelled
from orchestrator.report.review_lines import review_line
from orchestrator.report.stage_words import how_it_ended
from orchestrator.report.status_text import failed_test_lines, status_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LINES = 10
_MOST_FILES = 20


def review_text(packet: Mapping[str, Any], *, width: int, color: bool, digest: str | None = None) -> str:
    """Return the text of a packet (docs/review.md), about ``width`` columns wide; ``digest`` is the record's."""
    ink = Ink(color)
    width = max(width, 20)
    lines: list[str] = []
    named = {entry["stage"] for entry in packet.get("failed", ())}
    for failure in packet["failures"]:
        lines += _failure(ink, failure, width)
        if failure["tests"] and failure["stage"] not in named:  # a failure that was allowed
            lines += labelled(ink, "Tests", [*map(clean, failed_test_lines(failure["stage"], failure))], width, "red")
    for waiver in packet["plan"]["waivers"] if packet["plan"] else ():
        subject = waiver["guardrail"] or f"stage {waiver['stage']}"
        text = f"{subject} until {waiver['until']} by {waiver['approved_by']}: {waiver['reason']}"
        lines += labelled(ink, "Waiver", [clean(text)], width, "yellow")
    lines += _files(ink, packet["tree_changes"], width)
    if packet["plan_changes"]:
        shown = [f"- {change}" for change in packet["plan_changes"]]
        lines += labelled(ink, "Plan", ["today's config asks for other work:", *map(clean, shown)], width, "yellow")
    lines += _policy(ink, packet.get("policy") or (), width)
    if packet["plan_note"]:
        lines += labelled(ink, "Plan", [clean(f"can't be compared with today's: {packet['plan_note']}")], width)
    lines += _bound(ink, packet, digest, width)
    extra = "".join(line.rstrip() + "\n" for line in lines)
    return status_text(packet, width=width, color=color) + extra


def _failure(ink: Ink, failure: Mapping[str, Any], width: int) -> list[str]:
    how = how_it_ended(failure)
    head = ink("red", f"Failed: {clean(failure['stage'])}" + (f" ({clean(how)})" if how else ""))
    lines = [head, *(clip(f"  | {clean(line)}", width) for line in telling(failure["last_lines"], _LINES))]
    return lines + (
        labelled(ink, "Log", [clean(failure["log_path"])], width, whole=True) if failure["log_path"] else []
    )


def _policy(ink: Ink, entries: Iterable[Mapping[str, Any]], width: int) -> list[str]:
    """Return what the run's config asks less than the base's, approved or not, and what else changed in it."""
    shown = [f"- {entry['key']}: {entry['message']}" for entry in entries if entry.get("key")]
    more = [f"and {len(shown) - _MOST_FILES} more"] if len(shown) > _MOST_FILES else []
    if not shown:
        return []
    head = "other than in the base's config:"
    return labelled(ink, "Policy", [head, *map(clean, (*shown[:_MOST_FILES], *more))], width, "yellow")


def _bound(ink: Ink, packet: Mapping[str, Any], digest: str | None, width: int) -> list[str]:
    """Return what a decision is bound to: the attempt, its record, and the tree that it ran on."""
    if packet.get("version") != 2 or packet["completed_at"] is None:
        return []
    tree = (packet["provenance"] or [{}])[-1].get("tree_digest")
    record = [f"record {digest}"] if digest is not None else []
    looked = f"tree {tree}" if tree else "a tree that nobody could look at"
    return labelled(ink, "Decision", [f"is about attempt {packet['attempt']}", *record, clean(looked)], width)


def _files(ink: Ink, changes: Mapping[str, Any], width: int) -> list[str]:
    files = changes["files"]
    if not files:
        return labelled(ink, "Since", [clean(changes["note"])], width) if changes["note"] else []
    shown = [f"{entry['change']} {entry['path']}" for entry in files[:_MOST_FILES]]
    more = [f"and {len(files) - _MOST_FILES} more"] if len(files) > _MOST_FILES else []
    note = [changes["note"]] if changes["note"] else []
    return labelled(ink, "Since", [clean(line) for line in (*shown, *more, *note)], width, "yellow")


def decided_text(entry: Mapping[str, Any], document: Mapping[str, Any], *, width: int, color: bool) -> str:
    """Return what is said after a decision was recorded: the entry, and whether the run is ready now."""
    ink = Ink(color)
    ready = document["ready"]
    verdict = ["yes"] if ready["ready"] else ["no", *(clean(f"- {reason['message']}") for reason in ready["reasons"])]
    lines = [
        *labelled(ink, "Run", [clean(document["run_id"])], width, "bold"),
        *labelled(ink, "Recorded", [clean(review_line(entry))], width),
        *labelled(ink, "Ready", verdict, width, "green" if ready["ready"] else "yellow"),
        *labelled(ink, "Manifest", [clean(document["manifest"])], width, whole=True),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"
