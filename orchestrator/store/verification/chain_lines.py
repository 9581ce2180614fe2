"""The chain itself: each line whole, resting on the one before, about an attempt that follows on the run's last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.base.finding import Finding
from orchestrator.store.chain import parsed
from orchestrator.store.metrics_line import event_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class Link:
    """One readable line of a chain, with its number from 1."""

    number: int
    run_id: str
    attempt: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chain:
    """The readable lines of a chain, in order, and what is wrong with the chain itself."""

    links: tuple[Link, ...]
    findings: tuple[Finding, ...]

    def of_run(self, run_id: str) -> list[Link]:
        """Return the lines of a run's attempts."""
        return [link for link in self.links if link.run_id == run_id]


def read_chain(data: bytes, path: str, *, first: int = 1, before: bytes | None = None) -> Chain:
    """Return the chain in the bytes of a chain file; ``path`` is how findings name it.

    Bytes that begin at line number ``first`` rest on the line ``before``, which is not judged.
    """
    lines = data.split(b"\n")
    torn = lines.pop()
    links: list[Link] = []
    findings: list[Finding] = []
    above = None if before is None else _link(first - 1, before)
    for number, line in enumerate(lines, start=first):
        link = _link(number, line)
        if link is None:
            findings.append(Finding("chain-unreadable", path, "it is no line of a chain", number))
        else:
            last = links[-1] if links else above
            is_next = (last.number if last is not None else 0) == number - 1
            findings += _faults(link, before, last if is_next else None, links, path, is_next=is_next)
            links.append(link)
        before = line
    if torn:
        findings.append(Finding("chain-torn", path, "the last line has no end", first + len(lines)))
    return Chain(tuple(links), tuple(findings))


def _link(number: int, line: bytes) -> Link | None:
    content = parsed(line)
    if content is None or not isinstance(content.get("run_id"), str) or not _is_count(content.get("attempt")):
        return None
    return Link(number, content["run_id"], content["attempt"], content)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _faults(
    link: Link, before: bytes | None, last: Link | None, earlier: list[Link], path: str, *, is_next: bool
) -> Iterator[Finding]:
    content = link.content
    rests_on = None if before is None else hashlib.sha256(before).hexdigest()
    if content.get("previous_line") != rests_on:
        what = "it does not rest on the line before: a line was edited, removed, added or moved"
        yield Finding("chain-broken", path, what, link.number)
    elif is_next and _previous(last) != content.get("previous"):
        yield Finding("chain-broken", path, "it names another attempt as the one before", link.number)
    if content.get("event_id") != event_id(link.run_id, link.attempt):
        yield Finding("chain-edited", path, "its event_id is not that of its run and attempt", link.number)
    same = [other for other in earlier if other.run_id == link.run_id]
    if same and link.attempt <= same[-1].attempt:
        yield Finding(
            "chain-edited", path, f"attempt {link.attempt} of {link.run_id} is not after its last", link.number
        )


def _previous(link: Link | None) -> dict[str, Any] | None:
    keys = ("run_id", "attempt", "manifest_digest")
    return None if link is None else {key: link.content.get(key) for key in keys}
