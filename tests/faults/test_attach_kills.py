"""A process that takes a run of mode cloud over and dies at any operation: the run stays open, and ends once."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from orchestrator.base.files import Seam
from orchestrator.base.redaction import Redactor
from orchestrator.commands.run.ancestry import Ancestry
from orchestrator.commands.run.create_run import begin_run
from orchestrator.model.manifest.transitions import begun, closed, interrupted
from orchestrator.runner.first_record import RunTerms
from orchestrator.store.cloud_runs import take_cloud_run
from orchestrator.store.find import read_document, run_ids
from orchestrator.store.layout import Location
from orchestrator.store.recovery import finish, recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.verification.tasks import verify_task
from tests.faults.conftest import Scenes
from tests.faults.crash_seam import QuickSeam
from tests.records import TASK, FakeClock, make_engine, make_plan, make_workspace

KILLED = 9


def store_at(root: Path, seam: Seam) -> RunStore:
    """Return the store of a workspace, with every operation of the disk by ``seam``."""
    return RunStore(make_workspace(root), FakeClock(), seam=seam, warn=lambda message: None)


def left_open(root: Path) -> Location:
    """Return where a run is whose keeper wrote an event and died."""
    store = store_at(root, QuickSeam())
    terms = RunTerms(TASK, "ann", mode="cloud", engine=make_engine())
    run = begin_run(store, make_plan(), terms, Ancestry(None), Redactor(()), FakeClock())
    run.event("run:start", {})
    run.close()
    return run.where


def attach(root: Path, where: Location, seam: Seam) -> None:
    """Go on with the run and end it, as its new keeper; one that has ended is published."""
    store = store_at(root, seam)
    with closing(take_cloud_run(store, where)) as run:
        if not run.manifest.is_terminal:
            run.event("run:begin", {})
            if run.manifest.status == "queued":
                run.save(begun(run.manifest, "2026-11-22T08:44:00.000Z", 54.0))
        finish(store, run, lambda manifest, at: closed(interrupted(manifest, at), at, "error", "lost", None))


def killed_at(root: Path, where: Location, target: int) -> bool:
    """Attach in a process that dies before its ``target``-th operation; tell whether it came so far."""

    def before(number: int, name: str) -> None:
        if number == target:
            os._exit(KILLED)

    child = os.fork()
    if not child:
        try:
            attach(root, where, QuickSeam(before))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


def test_a_keeper_that_is_killed_anywhere(scenes: Scenes) -> None:
    """Others leave the run open wherever its second keeper died; the third one ends it, with one line, verified."""
    scene = scenes.keep()
    where = left_open(scene)
    target = 1
    while killed_at(root := scenes.copy_of(scene), where, target):
        store = store_at(root, QuickSeam())
        was_open = read_document(store, where)["status"] in ("queued", "in_progress")
        recover_task(store, TASK, interrupted)
        document = read_document(store, where)
        assert (document["status"] in ("queued", "in_progress")) is was_open, target
        attach(root, where, QuickSeam())
        document = read_document(store, where)
        assert (document["outcome"], document["metrics_recorded"]) == ("error", True), target
        assert run_ids(store, TASK) == [where.run_id], target
        assert len((root / ".runs" / TASK / "metrics.json").read_text().splitlines()) == 1, target
        assert verify_task(store, TASK).findings == (), target
        target += 1
    assert target > 20
