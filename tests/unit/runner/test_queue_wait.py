"""A run that waits for its place: what its record says meanwhile, and how the wait ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.manifest.transitions import interrupted, queued
from orchestrator.model.queue import Limit, QueueLimits, Standing
from orchestrator.runner.progress import make_observer
from orchestrator.runner.queue_wait import QueueWait
from orchestrator.store.claim import claim
from orchestrator.store.open_run import OpenRun
from orchestrator.store.queue import Wish, enter
from orchestrator.store.queue_places import Place
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore
from tests.records import TASK, FakeClock, make_manifest, make_plan, make_workspace

PLAN = make_plan()
ONE = QueueLimits(Limit(1), Limit())


class Inbox:
    """Signals that come at a moment that the test chooses."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def take(self) -> list[int]:
        """Return what came."""
        taken, self.numbers = self.numbers, []
        return taken

    def fileno(self) -> int:
        """Nobody waits for it here."""
        raise AssertionError


def joined(store: RunStore, number: int, limits: QueueLimits = ONE, **wish: Any) -> OpenRun:
    """Return a run that has joined the queue."""
    manifest = make_manifest(number, PLAN)

    def claimed(waits: Standing | None) -> OpenRun:
        return claim(store, manifest if waits is None else queued(manifest, waits.detail), "token")

    return enter(store, Wish("hello", limits, **wish), claimed)


def wait_of(
    store: RunStore, run: OpenRun, clock: FakeClock, inbox: Inbox, pauses: Sequence[Any], **options: Any
) -> QueueWait:
    """Return the wait of ``run``; each pause does the next of ``pauses``, and lets its seconds pass."""
    steps = iter(pauses)

    def pause(seconds: float) -> None:
        clock.advance(seconds)
        next(steps)()

    observer = make_observer("ndjson", stdout=None, stderr=None, environ={}, clock=clock)
    return QueueWait(store, run, PLAN, clock, observer, inbox, pause=pause, **options)  # type: ignore[arg-type]


def record(tmp_path: Path, run: OpenRun) -> Mapping[str, Any]:
    """Return the record of a run as it is on disk."""
    found: Mapping[str, Any] = json.loads(
        (tmp_path / ".runs" / TASK / "cli" / run.where.run_id / "manifest.json").read_text()
    )
    return found


def test_a_run_waits_until_the_place_is_free(tmp_path: Path) -> None:
    """Meanwhile it is queued and says for what; its time begins when it leaves the queue."""
    clock = FakeClock()
    store = RunStore(make_workspace(tmp_path), clock)
    first, second = joined(store, 1), joined(store, 2)
    assert isinstance(second.place, Place)
    waiting = record(tmp_path, second)
    assert (waiting["status"], waiting["began_at"]) == ("queued", None)
    assert waiting["status_detail"] == "waits for 1 run of hello; 1st in line"
    pauses = [lambda: None, lambda: clock.advance(60), first.close]
    assert wait_of(store, second, clock, Inbox(), pauses).end(second.place) is None
    after = record(tmp_path, second)
    assert (after["status"], after["status_detail"]) == ("in_progress", None)
    assert after["queued_seconds"] == pytest.approx(60.6)
    assert after["began_at"] > waiting["started_at"]
    assert after["sla"]["deadline_at"] > waiting["sla"]["deadline_at"]
    assert after["sla"]["active_seconds"] == 0
    second.close()
    assert joined(store, 3).manifest.status == "in_progress"


def test_a_stop_signal_ends_the_wait(tmp_path: Path) -> None:
    """The run is closed as cancelled, gets its metrics line, and never began."""
    clock, inbox = FakeClock(), Inbox()
    store = RunStore(make_workspace(tmp_path), clock)
    first, second = joined(store, 1), joined(store, 2)
    assert second.place is not None
    result = wait_of(store, second, clock, inbox, [lambda: inbox.numbers.append(signal.SIGTERM)]).end(second.place)
    assert result is not None
    assert result.stopped_by == signal.SIGTERM
    ended = record(tmp_path, second)
    assert (ended["status"], ended["status_detail"], ended["began_at"]) == ("cancelled", "stopped by SIGTERM", None)
    line = json.loads((tmp_path / ".runs" / TASK / "metrics.json").read_text())
    assert (line["began_at"], line["queued_seconds"]) == (None, pytest.approx(0.2))
    first.close()


def test_the_longest_wait_is_over(tmp_path: Path) -> None:
    """`--wait` closes the run as cancelled, without a signal: its exit code is 3."""
    clock = FakeClock()
    store = RunStore(make_workspace(tmp_path), clock)
    first, second = joined(store, 1), joined(store, 2)
    assert second.place is not None
    wait = wait_of(store, second, clock, Inbox(), [lambda: None] * 10, limit_seconds=0.5)
    result = wait.end(second.place)
    assert result is not None
    assert (result.stopped_by, result.manifest.status_detail) == (None, "waited 0.5s")
    assert result.manifest.queued_seconds == pytest.approx(0.5)
    first.close()


def test_a_waiter_that_died_is_closed_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Its record is closed as interrupted, without time of its own, and the next in line moves up."""
    clock = FakeClock()
    store = RunStore(make_workspace(tmp_path), clock)
    first, second, third = (joined(store, number) for number in (1, 2, 3))
    assert third.place is not None
    assert third.place.standing is not None
    assert third.place.standing.place == 2
    second.lock.release()  # as the system does when a process dies
    now = third.place.look()
    assert now is not None
    assert now.place == 1
    clock.advance(5)
    assert recover_task(store, TASK, interrupted) == [second.where.run_id]
    died = record(tmp_path, second)
    assert (died["outcome"], died["began_at"], died["sla"]["active_seconds"]) == ("error", None, 0)
    first.lock.release()
    assert third.place.look() is None


def test_a_damaged_list_is_made_anew(tmp_path: Path) -> None:
    """It is warned of, and who waits stands in it again."""
    warnings: list[str] = []
    store = RunStore(make_workspace(tmp_path), FakeClock(), warn=warnings.append)
    runs = [joined(store, number) for number in (1, 2)]
    (tmp_path / ".runs" / ".queue" / "places.json").write_text("{")
    assert runs[1].place is not None
    assert runs[1].place.look() is None  # nobody is known to hold a place
    assert "places.json" in warnings[0]
    for run in runs:
        run.close()
    assert json.loads((tmp_path / ".runs" / ".queue" / "places.json").read_text()) == []
