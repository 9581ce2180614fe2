"""Decisions about a run in its task's chain: the line comes first and holds the whole decision, the manifest follows.

A line ``{"kind": "review", "run_id", "attempt", "decision": {…}}`` rests on the line before like every other. A
decision of an attempt whose own line has ``form`` 2 counts by its line; older ones have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from orchestrator.base.files import Folder
from orchestrator.base.record import Record
from orchestrator.store.chain import FORM, PlacedLine, add_line, find_link, lines_with, size_of_chain
from orchestrator.store.decision_lines import KIND, MARK, decisions_in
from orchestrator.store.metrics_line import event_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.base.workspace import Workspace
    from orchestrator.store.chain import Line

_MUCH = 1 << 21
"""Bytes of a chain that are looked through sooner than it takes to load the index (``chain_index``) and read it."""


class Decisions(Record):
    """The decisions about a run.

    ``entries`` are those that count, in their order; ``missing`` of them stand in the chain and not in the record,
    which the next command that writes takes over. ``altered`` says in which point the record's are not the chain's.
    """

    entries: tuple[Mapping[str, Any], ...]
    missing: int = 0
    altered: str | None = None


def add_decision(task: Folder, run_id: str, attempt: int, entry: Mapping[str, Any]) -> PlacedLine:
    """Append the line of a decision, synced; the task's lock is held. Raises StorageError."""
    content = {"kind": KIND, "form": FORM, "run_id": run_id, "attempt": attempt, "decision": dict(entry)}
    return add_line(task, content, {"recorded_at": entry["timestamp"]})[0]


def decision_lines(
    task: Folder, run_id: str, start: int = 0, workspace: Workspace | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of the decisions about a run, in their order; those behind the byte ``start``.

    ``workspace`` is the task's, when the index of the chain may be used; else all lines are read.
    """
    wanted = f'"run_id": "{run_id}"'.encode()

    def decided_in(data: bytes) -> list[Line]:
        return [line for line in decisions_in(data) if line.get("run_id") == run_id] if wanted in data else []

    found: Iterable[bytes]
    if workspace is not None and size_of_chain(task) - start > _MUCH:
        from orchestrator.store.chain_index import lines_about  # of a long chain only: 0.5 ms

        found = lines_about(task, workspace, run_id, MARK, start, lambda data: bool(decided_in(data)))
    else:
        found = lines_with(task, MARK, start)
    for data in found:
        yield from decided_in(data)


def decisions_of(
    task: Folder, record: Mapping[str, Any], first: int | None = None, workspace: Workspace | None = None
) -> Decisions:
    """Compare the decisions in a run's ``record`` with the chain.

    ``first`` is where the line of its first attempt may begin; ``workspace`` as of ``decision_lines``. Raises
    StorageError.
    """
    run_id = str(record.get("run_id"))
    # All decisions about a run stand behind the line of its first attempt: what is before is not read.
    link = find_link(task, event_id(run_id, 1), first)
    lines = list(decision_lines(task, run_id, 0 if link is None else link.offset, workspace))

    def needs_line(attempt: int) -> bool:
        found = link if attempt == 1 and link is not None else find_link(task, event_id(run_id, attempt))
        return found is not None and found.line.get("form") == FORM

    return compared(record, lines, needs_line)


def compared(
    record: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], needs_line: Callable[[int], bool]
) -> Decisions:
    """Compare the decisions in a record with their ``lines``, in the chain's order.

    ``needs_line`` says whether a decision about an attempt must have one: whether that attempt's own has form 2.
    """
    known = [line.get("decision") for line in lines]
    entries = [entry for entry in record.get("approvals") or () if isinstance(entry, Mapping)]
    covered = [entry for entry in entries if entry in known or needs_line(_attempt_of(entry, record))]
    for number, entry in enumerate(covered, start=1):
        if number > len(known) or known[number - 1] != entry:
            who = f"{entry.get('decision')} by {entry.get('actor')}"
            return Decisions(tuple(entries), 0, f"the decision '{who}' is not what the task's chain says")
    missing = [entry for entry in known[len(covered) :] if isinstance(entry, Mapping)]
    return Decisions((*entries, *missing), len(missing))


def _attempt_of(entry: Mapping[str, Any], record: Mapping[str, Any]) -> int:
    """Return the attempt that a decision is about; one that the run never had counts as the last."""
    attempt, last = entry.get("attempt"), record.get("attempt")
    last = last if isinstance(last, int) else 0
    return attempt if isinstance(attempt, int) and 1 <= attempt <= last else last
