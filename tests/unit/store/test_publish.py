"""Publishing: what follows from a run's end is counted once, whoever counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.model.manifest.transitions import interrupted
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.claim import claim
from orchestrator.store.layout import METRICS, STATE
from orchestrator.store.open_run import OpenRun
from orchestrator.store.publish import publish, published_otherwise
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore
from tests.records import TASK, FakeClock, make_manifest, make_plan, make_workspace

AT = "2026-11-22T08:43:59.000Z"


def store_in(root: Path, warnings: list[str] | None = None) -> RunStore:
    """Return a store whose warnings go into a list."""
    return RunStore(make_workspace(root), FakeClock(), warn=(warnings if warnings is not None else []).append)


def ended(store: RunStore, number: int) -> OpenRun:
    """Return a run whose end is recorded and not published."""
    run = claim(store, make_manifest(number, make_plan()), "token")
    run.save(interrupted(run.manifest, AT))
    assert run.manifest.status in TERMINAL
    return run


def totals(root: Path) -> int:
    """Return how many runs the state counts."""
    state = json.loads((root / "out" / TASK / STATE).read_text())
    count: int = state["totals"]["runs"]
    return count


def test_a_state_that_is_made_anew_does_not_count_what_adds_itself_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run older than the last ones that a state lists, which publishes after it was rebuilt, is counted once."""
    monkeypatch.setattr("orchestrator.store.state_file.KEPT_RUNS", 4)
    store = store_in(tmp_path)
    oldest = ended(store, 1)
    for number in range(2, 8):
        run = ended(store, number)
        publish(store, run, certain=True)
        run.close()
    (tmp_path / "out" / TASK / STATE).unlink()
    newest = ended(store, 8)
    publish(store, newest, certain=True)
    newest.close()
    assert totals(tmp_path) == 7
    publish(store, oldest, certain=True)
    oldest.close()
    assert totals(tmp_path) == 8


def test_a_run_that_died_is_added_without_reading_every_record(tmp_path: Path) -> None:
    """Recovery of one run costs no walk over the task's history: an older damaged record is not even seen."""
    warnings: list[str] = []
    store = store_in(tmp_path, warnings)
    first = ended(store, 1)
    publish(store, first, certain=True)
    first.close()
    folder = tmp_path / ".runs" / TASK / "cli" / first.where.run_id
    (folder / "manifest.json").write_text("{")
    died = claim(store, make_manifest(2, make_plan()), "token")
    died.close()
    assert recover_task(store, TASK, interrupted) == [died.where.run_id]
    assert totals(tmp_path) == 2
    assert warnings == []


def test_a_torn_metrics_line_is_cut_off_counted_and_replaced(tmp_path: Path) -> None:
    """The tail of a line that was torn is told in bytes; the line that follows is whole."""
    warnings: list[str] = []
    store = store_in(tmp_path, warnings)
    path = tmp_path / ".runs" / TASK / METRICS
    first = ended(store, 1)
    publish(store, first, certain=True)
    first.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    second = ended(store, 2)
    publish(store, second, certain=True)
    second.close()
    assert path.read_bytes().startswith(whole)
    assert [json.loads(line)["run_id"] for line in path.read_text().splitlines()] == [
        first.where.run_id,
        second.where.run_id,
    ]
    assert any("torn line of 100 bytes" in warning for warning in warnings)


def test_a_torn_event_is_cut_off_and_counted(tmp_path: Path) -> None:
    """The events' torn tail is healed by the next event, and an event says how much was lost."""
    run = claim(store_in(tmp_path), make_manifest(1), "token")
    run.event("run:start", {})
    path = tmp_path / ".runs" / TASK / "cli" / run.where.run_id / "runner.ndjson"
    path.write_bytes(path.read_bytes() + b'{"type": "sta')
    run.event("stage:start", {})
    run.close()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["type"] for event in events] == ["run:start", "stage:start", "events:healed"]
    assert events[2]["cut_bytes"] == 13


def test_the_pointer_of_an_earlier_attempt_is_known_by_the_end_that_its_event_names(tmp_path: Path) -> None:
    """An earlier end may lie after its event and the resume (a clock that went back); another status is altered."""
    store = store_in(tmp_path)
    run = ended(store, 1)
    publish(store, run, certain=True)
    second = run.manifest._replace(attempt=2, status="cancelled", outcome="cancellation")
    run.close()
    end = {"status": "failed", "completed_at": AT, "timestamp": "2026-11-22T08:43:01.000Z"}
    assert published_otherwise(store, second, end) is None
    assert published_otherwise(store, second, {**end, "status": "succeeded"}) == "its pointer says failed"
    assert published_otherwise(store, second, {**end, "completed_at": second.started_at}) == "its pointer says failed"
    assert published_otherwise(store, second, None) == "its pointer says failed"
