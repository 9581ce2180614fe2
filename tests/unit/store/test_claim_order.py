"""The list of claims: bounded by prunes, in its order, whoever writes meanwhile."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from orchestrator.store.claim_order import claims_backwards, forget_claims, note_claim
from orchestrator.store.store import RunStore
from tests.records import make_run_id, make_store


def empty(root: Path) -> RunStore:
    """Return a store whose folder is there, with no claim in it."""
    (root / ".runs").mkdir()
    return make_store(root)


def listed(store: RunStore) -> list[str]:
    """Return the runs in the list, the first one first."""
    with store.runs() as runs:
        return list(claims_backwards(runs))[::-1]


def test_pruned_runs_leave_the_list_and_others_keep_their_order(tmp_path: Path) -> None:
    """Those that are named go, whatever else stands in the file; nothing to forget writes nothing."""
    store = empty(tmp_path)
    forget_claims(store, {make_run_id(1)})
    assert not (tmp_path / ".runs" / ".claims").exists()
    for number in (3, 1, 2):
        note_claim(store, make_run_id(number))
    forget_claims(store, {make_run_id(1), make_run_id(9)})
    assert listed(store) == [make_run_id(3), make_run_id(2)]
    before = os.stat(tmp_path / ".runs" / ".claims")
    forget_claims(store, {make_run_id(1)})
    assert os.stat(tmp_path / ".runs" / ".claims").st_ino == before.st_ino


def test_a_claim_while_the_list_is_replaced_is_not_lost(tmp_path: Path) -> None:
    """It waits for the lock, sees that the file is another one, and stands in that."""
    store = empty(tmp_path)
    note_claim(store, make_run_id(1))
    path = tmp_path / ".runs" / ".claims"
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        claiming = threading.Thread(target=note_claim, args=(store, make_run_id(2)))
        claiming.start()
        time.sleep(0.05)
        (tmp_path / "new").write_text(f"{make_run_id(3)}\n")
        os.replace(tmp_path / "new", path)
    claiming.join()
    assert listed(store) == [make_run_id(3), make_run_id(2)]


def test_a_lock_that_is_not_given_back_stops_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After half a second a claim is written all the same, and a prune leaves the list as it is."""
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    store = empty(tmp_path)
    note_claim(store, make_run_id(1))
    with (tmp_path / ".runs" / ".claims").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        note_claim(store, make_run_id(2))
        forget_claims(store, {make_run_id(1)})
    assert listed(store) == [make_run_id(1), make_run_id(2)]
    assert sum(rests) == pytest.approx(0.5)
