"""A prune and a ``doctor`` that are shared among processes know and do what one process would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.commands.maintain import run_survey
from orchestrator.commands.maintain.run_survey import survey
from orchestrator.process import shared_work
from orchestrator.store import prune as store_prune
from orchestrator.store.doctor import chain_records
from orchestrator.store.doctor.workspace import inspect_records
from orchestrator.store.find import run_ids
from orchestrator.store.layout import CLI, PENDING, PRUNED
from orchestrator.store.prune import Terms, prune_runs
from orchestrator.store.store import RunStore
from tests.records import TASK, make_run_id, make_store
from tests.unit.store.test_verification import ended

TERMS = Terms("ann", None, {})


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A store with five ended runs; one of the records can't be read."""
    store = make_store(tmp_path)
    for number in (1, 2, 3, 4, 5):
        ended(store, number)
    damaged = Path(store.workspace.runs_dir) / TASK / CLI / make_run_id(4) / "manifest.json"
    damaged.write_text("{")
    return store


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each run is worth a process; the pids of the copies."""
    fork, pids = os.fork, []

    def counted() -> int:
        pid = fork()
        pids.append(pid)
        return pid

    for module in (run_survey, store_prune, chain_records):
        monkeypatch.setattr(module, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(shared_work, "_cores", lambda: 3)
    monkeypatch.setattr(os, "fork", counted)
    return pids


def test_what_is_known_of_runs_is_the_same(store: RunStore, forked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run once, in order, a damaged one among them; the last count that is reported is that of all."""
    counts: list[int] = []
    shared = survey(store, {}, counts.append)
    assert len(forked) == 2
    monkeypatch.setattr(shared_work, "_cores", lambda: 1)
    assert shared == survey(store, {})
    assert [run.facts.run_id for run in shared.runs] == [make_run_id(number) for number in (1, 2, 3, 4, 5)]
    assert [run.chosen is None for run in shared.runs] == [False, False, False, True, False]
    assert counts[-1] == 5


@pytest.mark.parametrize("fails", [False, True])
def test_all_folders_go_whichever_process_removes_them(
    store: RunStore, forked: list[int], monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Also those of a copy that can't: what it left is removed by the process itself, and each run is counted once."""
    runs = [run.chosen for run in survey(store, {}).runs if run.chosen is not None]
    here, remove = os.getpid(), Folder.remove_folder

    def refusing(folder: Folder, name: str) -> None:
        if os.getpid() != here:
            raise StorageError("no", code="eio")
        remove(folder, name)

    if fails:
        monkeypatch.setattr(Folder, "remove_folder", refusing)
    forked.clear()
    counts: list[int] = []
    assert len(prune_runs(store, TASK, "record", runs, TERMS, counts.append)) == 4
    assert len(forked) == 1
    assert counts == [1, 2, 3, 4]
    assert run_ids(store, TASK) == [make_run_id(4)]
    place = Path(store.workspace.runs_dir) / TASK / PRUNED
    assert not (place / PENDING).exists()
    assert sorted(path.name for path in place.iterdir()) == [".lock"]


def test_the_doctor_finds_the_same(store: RunStore, forked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that was altered and one whose line is gone, in the parts of two processes."""
    runs = Path(store.workspace.runs_dir) / TASK
    altered = runs / CLI / make_run_id(1) / "manifest.json"
    altered.write_text(altered.read_text().replace('"summary": null', '"summary": "all well"'))
    chain = runs / "chain.jsonl"
    chain.write_text("".join(chain.read_text().splitlines(keepends=True)[:-1]))
    shared = inspect_records(store).findings
    assert forked
    monkeypatch.setattr(shared_work, "_cores", lambda: 1)
    assert shared == inspect_records(store).findings
    assert [finding.code for finding in shared if finding.code in ("record-altered", "not-in-chain")] == [
        "record-altered",
        "not-in-chain",
    ]
