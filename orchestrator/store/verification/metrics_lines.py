"""The metrics of a task against its chain: each line there, as it was written, and in the order of the chain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from orchestrator.base.finding import Finding
from orchestrator.store.chain import metrics_digest, parsed
from orchestrator.store.verification.chain_lines import Chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _nothing_older(event: str) -> bool:
    return False


def metrics_findings(
    data: bytes,
    path: str,
    chain: Chain,
    moving: Collection[str],
    *,
    first: int = 1,
    older: Callable[[str], bool] = _nothing_older,
) -> Iterator[Finding]:
    """Yield what is wrong with the bytes of a metrics file; lines of ``moving`` runs may lack their link still.

    Where bytes and chain are only the last of theirs: ``first`` is the number of the first line, and ``older``
    tells of an ``event_id`` whether the chain knew it before.
    """
    lines = data.split(b"\n")
    torn = lines.pop()
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    known = {str(link.content.get("event_id")): link for link in chain.links}
    for number, line in enumerate(lines, start=first):
        content = parsed(line)
        if content is None:
            yield Finding("metrics-unreadable", path, "it is no metrics line", number)
            continue
        event = content.get("event_id")
        if not isinstance(event, str):
            continue  # a line of the early version has none
        if event in found:
            yield Finding("metrics-repeated", path, f"line {found[event][0]} tells of the same end", number)
            continue
        found[event] = number, content
        if event not in known and content.get("run_id") not in moving and not older(event):
            yield Finding("metrics-unproven", path, "the task's chain knows of no such end", number)
    if torn:
        yield Finding("metrics-torn", path, "the last line has no end", first + len(lines))
    yield from _against_the_chain(found, path, chain)


def _against_the_chain(found: dict[str, tuple[int, dict[str, Any]]], path: str, chain: Chain) -> Iterator[Finding]:
    highest = 0
    for link in chain.links:
        event = str(link.content.get("event_id"))
        if event not in found:
            message = f"the line of {link.run_id}, attempt {link.attempt}, is gone (line {link.number} of the chain)"
            yield Finding("metrics-cut", path, message)
            continue
        number, content = found[event]
        if metrics_digest(content) != link.content.get("metrics_digest"):
            yield Finding("metrics-edited", path, f"it is not the line of {link.run_id} that was recorded", number)
        if content.get("recorded_at") != link.content.get("recorded_at"):
            continue  # `doctor --repair` wrote it anew, at the end
        if number < highest:
            yield Finding("metrics-reordered", path, f"it stands before line {highest}, and came after it", number)
        highest = max(highest, number)
