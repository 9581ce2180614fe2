"""The last ended run of each project: by the order of recording, as far as the chain proves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.report.run_list.last_runs import ended_runs, failed_last
from orchestrator.store.chain import metrics_digest
from orchestrator.store.metrics_line import event_id
from orchestrator.store.store import RunStore
from tests.records import TASK, make_run_id, make_store

DAY = "2026-11-{:02d}T08:00:00.000Z"
"""The store's clock stands at 22 November."""


def line(number: int, status: str, day: int, *, year: str = "2026", pipeline: str = "diagnostics") -> dict[str, Any]:
    """Return the metrics line of a run of project p that ended and was recorded on that day of November."""
    run_id, at = make_run_id(number), DAY.format(day).replace("2026", year)
    return {
        "run_id": run_id,
        "task_id": TASK,
        "project": "p",
        "pipeline_id": pipeline,
        "status": status,
        "completed_at": at,
        "recorded_at": at,
        "event_id": event_id(run_id, 1),
    }


def end(of: dict[str, Any]) -> dict[str, Any]:
    """Return the chain's line of the end that a metrics line tells of."""
    names = ("run_id", "status", "recorded_at", "event_id")
    found = {name: of[name] for name in names}
    return {"form": 2, "run_id": of["run_id"], "attempt": 1, "metrics_digest": metrics_digest(of), **found}


def store_of(root: Path, metrics: list[dict[str, Any]], chain: list[dict[str, Any]]) -> RunStore:
    """Return a store whose task has these lines."""
    store = make_store(root)
    task = root / ".runs" / TASK
    (task / "cli").mkdir(parents=True)
    (task / "metrics.json").write_text("".join(json.dumps(each) + "\n" for each in metrics))
    (task / "chain.jsonl").write_text("".join(json.dumps(each) + "\n" for each in chain))
    return store


def failed(store: RunStore) -> set[str]:
    """Return the projects that ``--failed`` would select."""
    return set(failed_last(store, ended_runs(store, "diagnostics")))


def order(store: RunStore) -> list[str]:
    """Return the ended runs, the last one first."""
    return [run.run_id for run in ended_runs(store)]


def test_runs_stand_in_the_order_of_their_ends(tmp_path: Path) -> None:
    """With a clock that goes on, the last line is the last run."""
    lines = [line(1, "failed", 20), line(2, "succeeded", 21)]
    store = store_of(tmp_path, lines, [end(each) for each in lines])
    assert order(store) == [make_run_id(2), make_run_id(1)]
    assert failed(store) == set()


def test_a_success_of_a_clock_that_was_ahead_is_not_the_last_run(tmp_path: Path) -> None:
    """A run that was recorded before another ended before it, whatever its clock said."""
    lines = [line(1, "succeeded", 1, year="2028"), line(2, "failed", 21)]
    store = store_of(tmp_path, lines, [end(each) for each in lines])
    assert order(store) == [make_run_id(2), make_run_id(1)]
    assert failed(store) == {"p"}


def test_a_failure_of_a_clock_that_went_back_is_the_last_run(tmp_path: Path) -> None:
    """A failure under a clock that was set back is not older than the success that was recorded before it."""
    lines = [line(1, "failed", 10), line(2, "succeeded", 21), line(3, "failed", 13)]
    store = store_of(tmp_path, lines, [end(each) for each in lines])
    assert order(store) == [make_run_id(3), make_run_id(2), make_run_id(1)]
    assert failed(store) == {"p"}


def test_an_invented_success_is_no_success(tmp_path: Path) -> None:
    """A line that no end in the chain has makes no project green."""
    lines = [line(1, "failed", 20), line(2, "succeeded", 21)]
    assert failed(store_of(tmp_path, lines, [end(lines[0])])) == {"p"}


def test_a_failure_without_its_chain_is_a_failure(tmp_path: Path) -> None:
    """A chain that is gone proves nothing, and hides nothing."""
    lines = [line(1, "succeeded", 20), line(2, "failed", 21)]
    store = store_of(tmp_path, lines, [])
    assert failed(store) == {"p"}
    assert [run.is_proved for run in ended_runs(store)] == [False, False]


def test_what_is_older_than_the_last_lines_is_not_compared(tmp_path: Path) -> None:
    """An edited line behind which its project's last one stands changes no answer; a lost one is looked for."""
    lines = [line(1, "failed", 20), line(2, "succeeded", 21)]
    store = store_of(tmp_path, [{**lines[0], "status": "succeeded"}, lines[1]], [end(each) for each in lines])
    assert order(store) == [make_run_id(2), make_run_id(1)]
    assert failed(store) == set()
