"""The fence: whatever the engine repeats, an attempt has one incarnation that counts, and one end."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cloud.fence import (
    BEGIN,
    COLLECTED,
    END,
    LOST,
    STOP,
    SUBMIT,
    Fence,
    Line,
    added,
    folded,
    follow_up,
    is_late,
    why_not,
)

AT = "2026-01-01T00:00:00.000Z"
TICKET = "t" * 64


def submit(attempt: int = 1, retries: int = 1, **terms: Any) -> Line:
    """Return the line of a submission."""
    return {"kind": SUBMIT, "attempt": attempt, "ticket": TICKET, "at": AT, "terms": {"retries": retries, **terms}}


def begin(worker: str = "w1", attempt: int = 1) -> Line:
    """Return the line of a begin."""
    return {"kind": BEGIN, "attempt": attempt, "worker": worker, "host": "h", "address": worker, "at": AT}


def lost(n: int, attempt: int = 1) -> Line:
    """Return the line of a lost worker."""
    return {"kind": LOST, "attempt": attempt, "n": n, "at": AT, "reason": f"worker w{n} was lost"}


def end(n: int | None, attempt: int = 1) -> Line:
    """Return the line of an end."""
    return {"kind": END, "attempt": attempt, "n": n, "at": AT, "outcome": "success", "reason": None, "record": None}


STOPPED: Line = {"kind": STOP, "attempt": 1, "actor": "me", "reason": "enough", "at": AT}


def test_an_attempt_runs_and_ends() -> None:
    """Submit, begin, end: one incarnation, and nothing may begin any more."""
    fence = folded([submit(), begin(), end(1)])
    assert [(held.n, held.outcome) for held in fence.incarnations] == [(1, "ended")]
    assert (fence.is_open, fence.current) == (False, None)
    assert why_not(fence, 1, TICKET) == "ended"


def test_what_may_not_begin() -> None:
    """An unknown run, another submission's, an older attempt's and a stopped one never begin."""
    assert why_not(Fence(), 1, TICKET) == "unknown"
    assert why_not(folded([submit()]), 1, "x" * 64) == "superseded"
    assert why_not(folded([submit(), end(None), submit(2)]), 1, TICKET) == "superseded"
    assert why_not(folded([submit(), STOPPED]), 1, TICKET) == "stopped"
    assert why_not(folded([submit()]), 1, TICKET) is None


def test_workers_that_are_lost_too_often_end_an_attempt() -> None:
    """With one retry the second loss is the end, an error that names both workers; the first is none."""
    once = folded([submit(), begin("w1"), lost(1)])
    assert follow_up(once, AT) is None
    twice = folded([submit(), begin("w1"), lost(1), begin("w2"), lost(2)])
    line = follow_up(twice, AT)
    assert line is not None
    assert (line["outcome"], line["reason"]) == ("error", "2 workers were lost: w1, w2")
    assert why_not(added(twice, line), 1, TICKET) == "ended"


def test_a_stop_ends_what_nobody_runs() -> None:
    """Before a begin, and after a loss, a stop is the end; while a worker runs it, the worker ends it."""
    for lines in ([submit(), STOPPED], [submit(), begin(), lost(1), STOPPED]):
        line = follow_up(folded(lines), AT)
        assert line is not None
        assert (line["outcome"], line["reason"]) == ("cancellation", "enough")
    assert follow_up(folded([submit(), begin(), STOPPED]), AT) is None


def test_a_begin_after_the_submitters_patience_is_late() -> None:
    """A run whose submitter waits no longer does not begin; one that began is not late for its next worker."""
    fence = folded([submit(queue_timeout=60)])
    assert not is_late(fence, "2026-01-01T00:00:59.000Z")
    assert is_late(fence, "2026-01-01T00:01:01.000Z")
    assert not is_late(folded([submit(queue_timeout=60), begin(), lost(1)]), "2026-01-01T00:01:01.000Z")


_LINES = st.one_of(
    st.builds(submit, st.integers(1, 3), st.integers(0, 2)),
    st.builds(begin, st.sampled_from(["w1", "w2"]), st.integers(1, 3)),
    st.builds(lost, st.integers(1, 4), st.integers(1, 3)),
    st.builds(end, st.one_of(st.none(), st.integers(1, 4)), st.integers(1, 3)),
    st.just(STOPPED),
    st.just({"kind": COLLECTED, "attempt": 1, "at": AT}),
    st.just({"kind": "of a later version"}),
)


@given(st.lists(_LINES, max_size=25))
def test_any_lines_fold_to_one_truth(lines: list[Line]) -> None:
    """At most the last incarnation is open, numbers count up, and an end is never taken back within an attempt."""
    fence = Fence()
    for line in lines:
        before, fence = fence, added(fence, line)
        assert fence.revision == before.revision + 1
        assert [held.n for held in fence.incarnations] == list(range(1, len(fence.incarnations) + 1))
        assert all(held.outcome is not None for held in fence.incarnations[:-1])
        if before.end is not None and fence.attempt == before.attempt:
            assert (fence.end, fence.incarnations) == (before.end, before.incarnations)
            assert why_not(fence, fence.attempt, fence.ticket) == "ended"
        assert fence.attempt >= before.attempt
    assert fence == folded(lines)
