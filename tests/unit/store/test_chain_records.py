"""The doctor's look at a task's runs against its chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.store import chain
from orchestrator.store.doctor.tasks import inspect_task
from orchestrator.store.doctor.workspace import full_check
from orchestrator.store.layout import LINE_HINT
from tests.records import TASK, make_run_id, make_store
from tests.unit.store.test_verification import ended


def test_runs_without_hints_cost_no_walk_through_the_chain_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain is read once, however many runs don't note where their line is; an altered one is found."""
    store = make_store(tmp_path)
    for number in (1, 2, 3):
        ended(store, number)
    runs = tmp_path / ".runs" / TASK / "cli"
    for hint in runs.glob(f"*/{LINE_HINT}"):
        hint.unlink()
    path = runs / make_run_id(2) / "manifest.json"
    path.write_text(path.read_text().replace('"summary": "', '"summary": "really '))
    monkeypatch.setattr(chain, "lines_of", lambda *_: pytest.fail("a run's line was looked for"))
    altered = [
        found for found in inspect_task(store, TASK, full_check).all_findings() if found.code == "record-altered"
    ]
    assert [make_run_id(2) in found.place for found in altered] == [True]
