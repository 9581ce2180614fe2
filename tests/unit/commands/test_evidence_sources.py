"""Where the proofs of checklists come from: the line of a run, and its record."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.commands.review import evidence_sources
from orchestrator.commands.review.evidence_sources import bounded, link_of, sources_of
from orchestrator.store import chain
from orchestrator.store.chain import IMPORT, add_line, write_hint
from orchestrator.store.layout import Location
from orchestrator.store.metrics_line import event_id
from tests.records import TASK, make_run_id, make_store

RUNS = [make_run_id(number) for number in range(4)]


def test_the_line_of_a_run_is_read_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the note in the run's folder or, without one, by a search; an imported run has its own chain's."""
    store = make_store(tmp_path)
    ends = [{"run_id": run, "attempt": 1, "event_id": event_id(run, 1)} for run in RUNS]
    with store.task(TASK, create=True) as task:
        for end in ends[:3]:
            placed, _ = add_line(task, end, {})
        add_line(task, {"kind": IMPORT, "lines": [ends[3]], "imported_from": {}}, {})
        with task.sub("cli", create=True) as cli, cli.sub(RUNS[2], create=True) as folder:
            write_hint(folder, placed)
    for run, end in zip(RUNS, ends, strict=True):
        found = link_of(store, Location(TASK, run), 1)
        assert found is not None
        assert found["event_id"] == end["event_id"]
    assert link_of(store, Location(TASK, RUNS[0]), 2) is None
    assert link_of(store, Location("2-none", RUNS[0]), 1) is None
    monkeypatch.setattr(chain, "lines_of", lambda *_: pytest.fail("all lines were looked through"))
    assert link_of(store, Location(TASK, RUNS[2]), 1) is not None


def test_a_record_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many items cite a run; a guard looks its decisions up in the chain's index, who verifies in the chain."""
    asked: list[tuple[str, bool]] = []

    def noted(_: object, where: Location, *, from_chain: bool = True) -> dict[str, str]:
        asked.append((where.run_id, from_chain))
        return {}

    monkeypatch.setattr(evidence_sources, "record_here", noted)
    store = make_store(tmp_path)
    sources = sources_of(store, {})
    for each in (sources, bounded(store, sources, 1)):
        for run in (RUNS[0], RUNS[1], RUNS[0]):
            assert each.record(TASK, run) == {}
    assert asked == [(RUNS[0], True), (RUNS[1], True), (RUNS[0], False), (RUNS[1], False)]
