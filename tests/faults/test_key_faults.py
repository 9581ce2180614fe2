"""A start with a key is killed at every operation: the next one starts exactly one run, or finds it."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.base.files import Seam
from orchestrator.base.redaction import Redactor
from orchestrator.commands.run.ancestry import Ancestry
from orchestrator.commands.run.create_run import begin_run
from orchestrator.runner.first_record import RunTerms
from orchestrator.store.find import run_ids
from orchestrator.store.keys import HeldKey, key_name
from orchestrator.store.store import RunStore
from tests.faults.conftest import Scenes
from tests.faults.crash_seam import QuickSeam
from tests.records import TASK, FakeClock, make_plan, make_workspace

KILLED = 9


def start(root: Path, seam: Seam) -> str:
    """Start a run with a key as the command does, up to its claim, or find the key's run; return its id."""
    store = RunStore(make_workspace(root), FakeClock(), seam=seam, warn=lambda message: None)
    plan = make_plan()
    held = HeldKey.take(store, key_name(plan.project, plan.pipeline, "k"))
    try:
        found = held.run()
        if found is not None:
            return found.run_id
        terms = RunTerms(TASK, "ann", dedup_key="0" * 64)
        run = begin_run(store, plan, terms, Ancestry(None), Redactor(()), FakeClock(), before_claim=held.note)
        run.close()
        return run.where.run_id
    finally:
        held.release()


def killed_at(root: Path, target: int) -> bool:
    """Start in a process that dies before its ``target``-th operation; tell whether it came so far."""

    def before(number: int, name: str) -> None:
        if number == target:
            os._exit(KILLED)

    child = os.fork()
    if not child:
        try:
            start(root, QuickSeam(before))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


def test_a_start_that_is_killed_anywhere(scenes: Scenes) -> None:
    """After a kill at any operation the next start ends with one run, the one after finds it, and nothing blocks."""
    target = 1
    while killed_at(root := scenes.new(), target):
        store = RunStore(make_workspace(root), FakeClock(), warn=lambda message: None)
        before = run_ids(store, TASK)
        first, again = start(root, QuickSeam()), start(root, QuickSeam())
        assert first == again, target
        assert run_ids(store, TASK) == [first], target
        assert before in ([], [first]), target
        target += 1
    assert target > 20
