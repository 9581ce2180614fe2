"""Decisions about a run in its task's chain: the line comes first and holds the whole decision, the manifest follows.

A line ``{"kind": "review", "run_id", "attempt", "decision": {…}}`` rests on the line before like every other. A
decision of an attempt whose own line has ``form`` 2 counts by its line; older ones have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.base.files import Folder
from orchestrator.base.record import Record
from orchestrator.store.chain import FORM, Link, add_line, find_link, lines_of, parsed
from orchestrator.store.metrics_line import event_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "review"
_MARK = b'"kind": "review"'


class Decisions(Record):
    """The decisions about a run.

    ``entries`` are those that count, in their order; ``missing`` of them stand in the chain and not in the record,
    which the next command that writes takes over. ``altered`` says in which point the record's are not the chain's.
    """

    entries: tuple[Mapping[str, Any], ...]
    missing: int = 0
    altered: str | None = None


def add_decision(task: Folder, run_id: str, attempt: int, entry: Mapping[str, Any]) -> Link:
    """Append the line of a decision, synced; the task's lock is held. Raises StorageError."""
    content = {"kind": KIND, "form": FORM, "run_id": run_id, "attempt": attempt, "decision": dict(entry)}
    return add_line(task, content, {"recorded_at": entry["timestamp"]})[0]


def decision_lines(task: Folder, run_id: str, start: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of the decisions about a run, in their order; those behind the byte ``start``."""
    wanted = f'"run_id": "{run_id}"'.encode()
    for data in lines_of(task, start):
        if _MARK in data and wanted in data:
            line = parsed(data)
            if line is not None and line.get("kind") == KIND and line.get("run_id") == run_id:
                yield line


def decisions_of(
    task: Folder, record: Mapping[str, Any], hint: int | None = None, lines: Sequence[Mapping[str, Any]] | None = None
) -> Decisions:
    """Compare the decisions in a run's ``record`` with their ``lines``; left out: those of the chain, which is read.

    ``hint`` is where the line of the run's attempt may begin. Raises StorageError.
    """
    run_id = str(record.get("run_id"))
    if lines is None:
        # All decisions about a first attempt stand behind its own line: what is before is not read.
        link = find_link(task, event_id(run_id, 1), hint) if record.get("attempt") == 1 else None
        lines = list(decision_lines(task, run_id, 0 if link is None else link.offset))
    known = [line.get("decision") for line in lines]
    entries = [entry for entry in record.get("approvals") or () if isinstance(entry, Mapping)]
    covered = [entry for entry in entries if entry in known or _needs_line(task, run_id, entry, record)]
    for number, entry in enumerate(covered, start=1):
        if number > len(known) or known[number - 1] != entry:
            who = f"{entry.get('decision')} by {entry.get('actor')}"
            return Decisions(tuple(entries), 0, f"the decision '{who}' is not what the task's chain says")
    missing = [entry for entry in known[len(covered) :] if isinstance(entry, Mapping)]
    return Decisions((*entries, *missing), len(missing))


def _needs_line(task: Folder, run_id: str, entry: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Tell whether a decision must have a line: the line of the attempt that it is about has form 2."""
    attempt = entry.get("attempt")
    if not isinstance(attempt, int) or isinstance(attempt, bool):
        attempt = record.get("attempt")
    link = find_link(task, event_id(run_id, int(attempt or 0)))
    return link is not None and link.line.get("form") == FORM
