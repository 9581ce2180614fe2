"""The chain itself: each line whole, resting on the one before, about an attempt that follows on the run's last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.base.clock import CLOCK_TOLERANCE, parse_stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.finding import Finding
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record
from orchestrator.store.chain import IMPORT, is_end, lines_in, parsed
from orchestrator.store.decision_lines import KIND as DECISION
from orchestrator.store.line_kinds import KINDS, fault_of, runs_about
from orchestrator.store.metrics_line import event_id
from orchestrator.store.prune_lines import KIND as PRUNE
from orchestrator.store.prune_lines import PrunedRun, PruneLine, prune_line, runs_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.store.prune_lines import Level

UNKNOWN_KIND = "unknown-kind"
"""The code of a note, which is no finding and has no rule: the line is of a later version perhaps."""


class _End(Record):
    """What a line needs to tell of an attempt's end; all else is compared with what it is of."""

    run_id: str
    attempt: Count


@dataclass(frozen=True, slots=True)
class EndLine:
    """One readable line of a chain that tells of an attempt's end, with its number from 1."""

    number: int
    run_id: str
    attempt: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chain:
    """The ends in a chain, in order, what is wrong with the chain itself, and what is only noted.

    ``others`` are the lines of other kinds, ``prunes`` those of prunes, with their numbers.
    """

    links: tuple[EndLine, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    others: tuple[dict[str, Any], ...] = ()
    prunes: tuple[tuple[int, PruneLine], ...] = ()
    by_run: Mapping[str, list[EndLine]] = field(default_factory=dict)
    reviews: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    def of_run(self, run_id: str) -> list[EndLine]:
        """Return the lines of a run's attempts."""
        return list(self.by_run.get(run_id, ()))

    def decisions_about(self, run_id: str) -> list[dict[str, Any]]:
        """Return the lines of the reviews of a run."""
        return list(self.reviews.get(run_id, ()))

    def pruned(self, level: Level = "record") -> dict[str, PrunedRun]:
        """Return the runs that were pruned, by id."""
        return runs_in((line for _, line in self.prunes), level)


@dataclass(slots=True)
class _Reader:
    """Reads a chain line by line. ``last`` is the end before, and ``is_known`` says whether that is known."""

    path: str
    before: bytes | None
    is_known: bool
    last: EndLine | None = None
    links: list[EndLine] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    prunes: list[tuple[int, PruneLine]] = field(default_factory=list)
    times: dict[str, datetime] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)

    def read(self, number: int, line: bytes) -> None:
        """Take the next line."""
        content = parsed(line)
        link = None if content is None else _link(number, content)
        if content is None or (link is None and is_end(content)):
            self._found("chain-unreadable", "it is no line of a chain", number)
            self.is_known = False
        else:
            self.findings += self._faults(number, content, link)
            if link is not None:
                self.links.append(link)
                self.last, self.is_known = link, True
            else:
                self._other(number, content)
        self.before = line

    def _found(self, code: str, message: str, number: int) -> None:
        self.findings.append(Finding(code, self.path, message, number))

    def _other(self, number: int, content: dict[str, Any]) -> None:
        self.others.append(content)
        kind = str(content.get("kind"))
        if kind not in KINDS:
            message = f"a line of the kind {kind[:40]!r}, which this version does not know"
            self.notes.append(Finding(UNKNOWN_KIND, self.path, message, number, level="warning"))
        elif (fault := fault_of(content)) is not None:
            self._found("chain-edited", f"its content is none of the kind '{kind}': {fault}", number)
        elif kind == PRUNE:
            self.prunes.append((number, prune_line(content)))
        elif kind == IMPORT:
            self._import(number, content)

    def _import(self, number: int, content: dict[str, Any]) -> None:
        """Take the lines of another machine's chain: they tell of runs as those here do, and rest on none of them."""
        for inner in lines_in(content):
            link = _link(number, inner)
            if link is None:
                self.others.append(inner)
            else:
                self.findings += self._attempt_faults(number, inner, link)
                self.links.append(link)

    def _faults(self, number: int, content: dict[str, Any], link: EndLine | None) -> Iterator[Finding]:
        rests_on = None if self.before is None else hashlib.sha256(self.before).hexdigest()
        if content.get("previous_line") != rests_on:
            what = "it does not rest on the line before: a line was edited, removed, added or moved"
            yield Finding("chain-broken", self.path, what, number)
        elif self.is_known and _named(self.last) != content.get("previous"):
            yield Finding("chain-broken", self.path, "it names another attempt as the one before", number)
        yield from self._clock(number, content)
        if link is not None:
            yield from self._attempt_faults(number, content, link)

    def _attempt_faults(self, number: int, content: dict[str, Any], link: EndLine) -> Iterator[Finding]:
        if content.get("event_id") != event_id(link.run_id, link.attempt):
            yield Finding("chain-edited", self.path, "its event_id is not that of its run and attempt", number)
        before, self.attempts[link.run_id] = self.attempts.get(link.run_id, 0), link.attempt
        if link.attempt <= before:
            message = f"attempt {link.attempt} of {link.run_id} is not after its last"
            yield Finding("chain-edited", self.path, message, number)

    def _clock(self, number: int, content: dict[str, Any]) -> Iterator[Finding]:
        """Compare the time of a line with that of the host's line before."""
        host, at = content.get("host"), content.get("recorded_at")
        if not isinstance(host, str) or not isinstance(at, str):
            return
        try:
            moment = parse_stamp(at)
        except ValueError:
            yield Finding("chain-edited", self.path, "its recorded_at is no time", number)
            return
        before = self.times.get(host)
        self.times[host] = moment
        if before is not None and moment < before - CLOCK_TOLERANCE:
            what = next(iter(runs_about(content)), "a line of another kind")
            message = f"the clock of '{host}' went back by {before - moment} before {what} was recorded"
            hint = f"codex-orchestrator prune --acknowledge {what} --reason …"
            yield Finding("clock-went-back", self.path, message, number, hint=hint)


def read_chain(data: bytes, path: str, *, first: int = 1, before: bytes | None = None) -> Chain:
    """Return the chain in the bytes of a chain file; ``path`` is how findings name it.

    Bytes that begin at line number ``first`` rest on the line ``before``, which is not judged.
    """
    lines = data.split(b"\n")
    torn = lines.pop()
    content = None if before is None else parsed(before)
    above = None if content is None else _link(first - 1, content)
    reader = _Reader(path, before, is_known=before is None or above is not None, last=above)
    for number, line in enumerate(lines, start=first):
        reader.read(number, line)
    if torn:
        reader.findings.append(Finding("chain-torn", path, "the last line has no end", first + len(lines)))
    acknowledged = {run for _, line in reader.prunes if line.lost or line.level == "clock" for run in _named_in(line)}
    findings = tuple(found for found in reader.findings if not _is_about(found, acknowledged))
    by_run: dict[str, list[EndLine]] = {}
    for link in reader.links:
        by_run.setdefault(link.run_id, []).append(link)
    reviews: dict[str, list[dict[str, Any]]] = {}
    for other in reader.others:
        if other.get("kind") == DECISION:
            reviews.setdefault(str(other.get("run_id")), []).append(other)
    links, notes, others = tuple(reader.links), tuple(reader.notes), tuple(reader.others)
    return Chain(links, findings, notes, others, tuple(reader.prunes), by_run, reviews)


def _link(number: int, content: dict[str, Any]) -> EndLine | None:
    if not is_end(content):
        return None
    try:
        end = _End.from_json(content)
    except DamagedRecord:
        return None
    return EndLine(number, end.run_id, end.attempt, content) if end.attempt > 0 else None


def _named_in(line: PruneLine) -> Iterator[str]:
    yield from (run.run_id for run in line.runs)


def _is_about(finding: Finding, runs: set[str]) -> bool:
    return finding.code == "clock-went-back" and any(f" {run} " in finding.message for run in runs)


def _named(link: EndLine | None) -> dict[str, Any] | None:
    keys = ("run_id", "attempt", "manifest_digest")
    return None if link is None else {key: link.content.get(key) for key in keys}
