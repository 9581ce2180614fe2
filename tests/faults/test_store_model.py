"""The store against a simple model: runs start, end, die, are resumed, cancelled and recovered, by two actors."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import (
    closed,
    interrupted,
    reset_for_resume,
    stage_ended,
    stage_started,
)
from orchestrator.model.outcome import Ended
from orchestrator.store.claim import claim
from orchestrator.store.find import is_alive, read_document
from orchestrator.store.layout import CLI, RUN_LOCK, Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.publish import publish
from orchestrator.store.recovery import finish, recover_task
from orchestrator.store.take_over import reopen, take_over
from tests.faults.crash_seam import Crash, QuickSeam
from tests.faults.lives import AT, Told, cancelled, check, metrics, recover, store_of
from tests.records import TASK, make_manifest, make_plan

PLAN = make_plan()
ACTORS = st.sampled_from(["one", "other"])


@dataclass
class _Run:
    """What the model knows of a run: who holds it, its attempt, how it ended, and whether that is published."""

    holder: str | None
    held: OpenRun | None
    attempt: int = 1
    status: Literal["in_progress", "succeeded", "failed", "cancelled"] = "in_progress"
    published: bool = False


class StoreModel(RuleBasedStateMachine):
    """Two actors in one workspace; each holds any number of runs until it ends them or dies."""

    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm"
        base = memory if os.access(memory, os.W_OK) else None
        self.root = Path(tempfile.mkdtemp(prefix="orchestrator-model-", dir=base))
        self.tried = 0
        self.told = Told()
        self.known: dict[str, _Run] = {}
        self.stores = {actor: store_of(self.root, QuickSeam()) for actor in ("one", "other")}

    def teardown(self) -> None:
        """Recover everything, check everything, and clean up."""
        try:
            for actor in ("one", "other"):
                self.die(actor)
            recover(self.root, QuickSeam())
            check(self.root, self.told, recovered=True)
        finally:
            shutil.rmtree(self.root)

    def _first(self) -> Manifest:
        """Return the first record of a run that was never tried."""
        self.tried += 1
        return make_manifest(self.tried, PLAN)

    def _at(self, run_id: str) -> Location:
        return Location(TASK, run_id)

    @rule(target=runs, actor=ACTORS)
    def start(self, actor: str) -> str:
        """A run begins; before, what died is recovered."""
        self.recover(actor)
        first = self._first()
        self.known[first.run_id] = _Run(actor, claim(self.stores[actor], first, "token"))
        self.told.claimed.append(first.run_id)
        return first.run_id

    @rule(run_id=runs, stage=st.sampled_from([stage.id for stage in PLAN.stages]), code=st.sampled_from([0, 3]))
    def stage(self, run_id: str, stage: str, code: int) -> None:
        """A stage of a live run begins and ends."""
        run = self.known[run_id]
        if run.held is not None:
            run.held.save(stage_started(run.held.manifest, stage, AT, "log"))
            ended = Ended("failure" if code else "success", code, wall_seconds=1.0)
            after = stage_ended(run.held.manifest, stage, AT, ended, summary=None, left_out=0, forgiven=False)
            said = {"stage": stage, "outcome": ended.outcome, "exit_code": code, "signal": None}
            run.held.event("stage:end", said)
            run.held.save(after)

    @rule(run_id=runs, cancels=st.booleans(), publishes=st.booleans())
    def end(self, run_id: str, cancels: bool, publishes: bool) -> None:
        """A live run ends; its process may die between its record and its publishing."""
        run = self.known[run_id]
        if run.held is None or run.holder is None:
            return
        manifest = run.held.manifest
        over = cancelled(manifest) if cancels else interrupted(manifest, AT)
        if not cancels and all(command.status == "succeeded" for command in manifest.commands):
            over = closed(manifest, AT, "success", None, None)
        end = {"status": over.status, "outcome": over.outcome, "completed_at": over.completed_at}
        run.held.event("run:end", end)
        run.held.save(over)
        run.status = run.held.manifest.status  # type: ignore[assignment]
        if publishes:
            publish(self.stores[run.holder], run.held, certain=True)
            run.published = True
        run.held.close()
        run.held = run.holder = None

    @rule(run_id=runs, actor=ACTORS)
    def resume(self, run_id: str, actor: str) -> None:
        """A run that did not succeed goes on; a live one is refused."""
        run = self.known[run_id]
        if run.held is not None:
            with self.stores[actor].run_folder(self._at(run_id)) as folder:
                assert folder.lock(RUN_LOCK, blocking=False) is None
            return
        if run.status == "succeeded":
            return
        held = take_over(self.stores[actor], self._at(run_id))
        if not held.manifest.metrics_recorded:
            finish(self.stores[actor], held, interrupted)
        reopen(self.stores[actor], held)
        kept = {item.id: item for item in held.manifest.commands if item.status == "succeeded"}
        held.save(
            held.manifest._replace(
                attempt=held.manifest.attempt + 1,
                status="in_progress",
                completed_at=None,
                outcome=None,
                metrics_recorded=False,
                commands=reset_for_resume(held.manifest, PLAN, kept),
            )
        )
        self.known[run_id] = _Run(actor, held, attempt=run.attempt + 1)

    @rule(actor=ACTORS)
    def die(self, actor: str) -> None:
        """A process ends, and its locks with it."""
        for run in self.known.values():
            if run.holder == actor and run.held is not None:
                run.held.close()
                run.held = run.holder = None

    @rule(actor=ACTORS, point=st.integers(1, 150))
    def die_while_starting(self, actor: str, point: int) -> None:
        """A process dies somewhere between recovery and the end of its claim."""

        def before(number: int, name: str) -> None:
            if number == point:
                raise Crash

        store = store_of(self.root, QuickSeam(before))
        first = self._first()
        try:
            recover_task(store, TASK, interrupted)
            run = claim(store, first, "token")
            run.close()
            self.told.claimed.append(first.run_id)
        except Crash:
            pass  # Its id was told to nobody; the run may be there all the same.
        if (self.root / ".runs" / TASK / CLI / first.run_id).is_dir():
            self.known[first.run_id] = _Run(None, None)
        self._recovered_some()

    @rule(actor=ACTORS)
    def recover(self, actor: str) -> None:
        """What every writing command does first."""
        recover_task(self.stores[actor], TASK, interrupted)
        self._recovered_some()
        for run in self.known.values():
            if run.held is None:
                assert run.status != "in_progress", "a dead run stayed open"
                run.published = True

    def _recovered_some(self) -> None:
        """Take over what the recovery wrote: the model knows that a dead run may be failed now, and nothing else."""
        for run_id, run in self.known.items():
            if run.held is None and run.status == "in_progress":
                found = read_document(self.stores["one"], self._at(run_id))
                assert found["status"] in ("in_progress", "failed")
                run.status = found["status"]

    @invariant()
    def records_agree(self) -> None:
        """Each record is whole and as the model has it; the lock says who lives; no end is counted twice."""
        for run_id, run in self.known.items():
            document = read_document(self.stores["one"], self._at(run_id))
            assert (document["attempt"], document["status"]) == (run.attempt, run.status)
            assert is_alive(self.stores["one"], self._at(run_id)) == (run.held is not None)
        events = [line["event_id"] for line in metrics(self.root)]
        assert len(events) == len(set(events))

    @precondition(lambda self: any(run.published for run in self.known.values()))
    @invariant()
    def published_ends_stay(self) -> None:
        """An end that was published has its line from then on."""
        lines = {(line["run_id"], line["attempt"]): line["status"] for line in metrics(self.root)}
        for run_id, run in self.known.items():
            if run.published:
                assert lines[run_id, run.attempt] == run.status


@pytest.mark.slow
def test_the_store_behaves_as_the_model() -> None:
    """Whatever two actors do, in whatever order, records, locks and counts are as a few lines of model say."""
    run_state_machine_as_test(
        StoreModel,
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
