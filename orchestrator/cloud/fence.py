"""The fence: what the hub knows of a run, a file of lines on its disk; what follows from them is a pure fold.

It decides which incarnation of an attempt counts, and that an attempt which ended or was stopped never begins again,
whatever the engine repeats (contract, section 12, promise 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.base.clock import later, parse_stamp
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Line: TypeAlias = "Mapping[str, Any]"

SUBMIT = "submit"
BEGIN = "begin"
LOST = "lost"
STOP = "stop"
END = "end"
COLLECTED = "collected"


class Held(Record):
    """One incarnation as the hub knows it; ``address`` is that of its worker, moments are the hub's (UTC)."""

    n: int
    worker: str
    host: str
    address: str
    began_at: str
    ended_at: str | None = None
    outcome: str | None = None
    reason: str | None = None
    account: Mapping[str, Any] | None = None
    python: str | None = None


class Fence(Record):
    """What the lines of a run say of its last attempt; ``revision`` counts lines, 0: the run is unknown here.

    ``ticket`` is the submission's own secret-free mark, ``terms`` what a worker needs to run it. ``stop`` is who asked
    for its end and why, ``end`` how it ended, with the file of its record where there is one.
    """

    revision: int = 0
    attempt: int = 0
    ticket: str = ""
    submitted_at: str = ""
    terms: Mapping[str, Any] | None = None
    incarnations: tuple[Held, ...] = ()
    stop: Line | None = None
    end: Line | None = None
    is_collected: bool = False

    @property
    def current(self) -> Held | None:
        """The incarnation that counts, None when there is none."""
        last = self.incarnations[-1] if self.incarnations else None
        return last if last is not None and last.outcome is None else None

    @property
    def is_open(self) -> bool:
        """Whether the attempt was submitted and has not ended."""
        return self.revision > 0 and self.end is None

    def as_json(self) -> dict[str, Any]:
        """Return what a submitter gets: all but ``terms``, which came from it."""
        return {
            "revision": self.revision,
            "attempt": self.attempt,
            "ticket": self.ticket,
            "incarnations": [held._asdict() for held in self.incarnations],
            "stop": None if self.stop is None else dict(self.stop),
            "end": None if self.end is None else dict(self.end),
            "is_collected": self.is_collected,
        }


def folded(lines: Iterable[Line]) -> Fence:
    """Return what the lines of a fence come to, oldest first; a line of no known kind is counted and says nothing."""
    fence = Fence()
    for line in lines:
        fence = added(fence, line)
    return fence


def added(fence: Fence, line: Line) -> Fence:
    """Return the fence after one more line. Lines of an attempt that is not the last one's say nothing."""
    revision = fence.revision + 1
    kind = line.get("kind")
    if kind == SUBMIT and line["attempt"] > fence.attempt:
        return Fence(revision, line["attempt"], line["ticket"], line["at"], line["terms"])
    counted = fence._replace(revision=revision)
    if line.get("attempt") != fence.attempt:
        return counted
    if kind == COLLECTED:
        return counted._replace(is_collected=True)
    if fence.end is not None:
        return counted
    if kind == BEGIN:
        before = _closed(fence.incarnations, str(line["at"]), "lost", "the engine moved the work")
        held = Held(
            len(before) + 1,
            line["worker"],
            line["host"],
            line["address"],
            line["at"],
            account=line.get("account"),
            python=line.get("python"),
        )
        return counted._replace(incarnations=(*before, held))
    if kind == LOST and fence.current is not None and line["n"] == fence.current.n:
        return counted._replace(incarnations=_closed(fence.incarnations, line["at"], "lost", line["reason"]))
    if kind == STOP:
        return counted if fence.stop is not None else counted._replace(stop=line)
    if kind == END:
        outcome = "ended" if line.get("n") else "lost"
        return counted._replace(end=line, incarnations=_closed(fence.incarnations, line["at"], outcome, None))
    return counted


def _closed(incarnations: tuple[Held, ...], at: str, outcome: str, reason: str | None) -> tuple[Held, ...]:
    if not incarnations or incarnations[-1].outcome is not None:
        return incarnations
    last = incarnations[-1]._replace(ended_at=at, outcome=outcome, reason=reason)
    return (*incarnations[:-1], last)


def why_not(fence: Fence, attempt: int, ticket: str) -> str | None:
    """Return why an incarnation must not begin, None when it may."""
    if not fence.revision:
        return "unknown"
    if (fence.attempt, fence.ticket) != (attempt, ticket):
        return "superseded"
    if fence.end is not None:
        return "ended"
    return "stopped" if fence.stop is not None else None


def is_late(fence: Fence, now: str) -> bool:
    """Tell whether the time is over within which a worker had to begin: the submitter waits no longer."""
    limit = (fence.terms or {}).get("queue_timeout")
    if fence.incarnations or not isinstance(limit, int | float):
        return False
    return parse_stamp(now) > later(parse_stamp(fence.submitted_at), limit)


def follow_up(fence: Fence, at: str) -> Line | None:
    """Return the line that has to follow by itself, None when none has: the end of what nothing will bring about.

    An attempt whose workers were lost too often has failed; one that was stopped while none ran it is over.
    """
    if not fence.is_open or fence.current is not None:
        return None
    lost = len(fence.incarnations)
    end = {"kind": END, "attempt": fence.attempt, "n": None, "at": at, "record": None}
    if fence.stop is not None:
        return {**end, "outcome": "cancellation", "reason": str(fence.stop["reason"])}
    if lost > int((fence.terms or {}).get("retries", 0)):
        reason = f"{lost} workers were lost: {', '.join(held.worker for held in fence.incarnations)}"
        if lost == 1:
            reason = f"worker {fence.incarnations[0].worker} was lost"
        return {**end, "outcome": "error", "reason": reason}
    return None
