"""The note of the run that was approved last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.store.last_approved import ApprovedRun, note_approved, noted_run
from orchestrator.store.layout import Location
from tests.records import PROJECT, TASK, make_run_id, make_store


def test_two_reviewers_at_once_note_their_runs(tmp_path: Path) -> None:
    """No write fails and none is torn, however many approve runs of one pipeline at the same time."""
    runs = [ApprovedRun(Location(TASK, make_run_id(number)), "0" * 64) for number in range(1, 5)]

    def noted(run: ApprovedRun) -> None:
        store = make_store(tmp_path)
        for _ in range(15):
            note_approved(store, PROJECT, "diagnostics", run)

    with ThreadPoolExecutor(len(runs)) as pool:
        for done in [pool.submit(noted, run) for run in runs]:
            done.result()
    assert noted_run(make_store(tmp_path), PROJECT, "diagnostics") in runs
