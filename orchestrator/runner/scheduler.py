"""The stage loop over the graph: what is ready runs, what failed is retried, what needs it is skipped."""

from __future__ import annotations

from collections.abc import Callable, Collection

from orchestrator.model.outcome import Ended
from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.runner.event_fields import stage_reports
from orchestrator.runner.job import Finished, Job
from orchestrator.runner.process_loop import ProcessLoop
from orchestrator.runner.recorder import Recorder
from orchestrator.store.event_log import OUTPUTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.runner.children_lookup import ChildrenLookup
    from orchestrator.runner.slots import Slots
    from orchestrator.runner.stage_cache import StageCache
    from orchestrator.runner.stage_reports import Collected, StageReports
    from orchestrator.store.lent_slots import SlotOffers

_RETRIED = frozenset({"failure", "timeout"})

_MOST_WAITING = 32
"""How many projects of a fleet may wait in the queue beside those that run: each is a process."""


class Scheduler:
    """Runs every stage of ``plan`` but those that are ``done`` (succeeded in an earlier attempt of the run).

    A stage runs while it holds one of the ``slots``. ``job_of`` makes the job of a stage, given the name of its
    log. ``reports`` copies those that stages declare, None where none does. ``cache`` tells which stages need not run
    because nothing changed, None that each must. With ``fail_fast`` nothing is started after the
    first stage that failed. ``offers`` are slots that children of a fleet need not hold; ``children`` looks up which
    of them are up to date.
    """

    def __init__(
        self,
        plan: Plan,
        done: Collection[str],
        loop: ProcessLoop,
        recorder: Recorder,
        job_of: Callable[[PlannedStage, str], Job],
        *,
        slots: Slots,
        reports: StageReports | None = None,
        cache: StageCache | None = None,
        fail_fast: bool = False,
        offers: SlotOffers | None = None,
        children: ChildrenLookup | None = None,
    ) -> None:
        self._loop = loop
        self._recorder = recorder
        self._job_of = job_of
        self._slots = slots
        self._reports = reports
        self._cache = cache
        self._fail_fast = fail_fast
        self._offers = offers
        self._children = children
        self._failed: str | None = None
        self._waiting = [stage for stage in plan.stages if stage.id not in done]
        self._settled = dict.fromkeys(done, True)
        """Of each ended stage, whether what needs it may run."""
        self._running: dict[int, PlannedStage] = {}
        self._external: dict[str, Callable[[], tuple[str, ...]]] = {}
        self._tries: dict[str, int] = {}
        self._freed: set[str] = set()
        """The running stages whose child waits in the queue, or did so: their slots were given back."""

    def run(self) -> None:
        """Return when every stage has ended.

        Raises StorageError when the record or a log could not be written; what runs is then the caller's to stop.
        """
        announced = False
        while self._waiting or self._running:
            if self._loop.is_stopping:
                if self._loop.cancelled_by is not None and not announced:
                    announced = True
                    self._recorder.event("run:cancelling", signal=self._loop.cancelled_by)
                self._abandon()
            else:
                self._free_slots()
                self._launch()
            self._recorder.flush()
            patience = self._patience()
            if self._running or patience is not None:
                for finished in self._loop.turn(patience):
                    self._settle(finished)
                self._take_children()
                self._loop.raise_refusal()

    def _patience(self) -> float | None:
        """Return the seconds after which a turn is due whatever happens, None where none is."""
        waits = (self._slots.patience(), None if self._children is None else self._children.patience())
        return min((wait for wait in waits if wait is not None), default=None)

    def _take_children(self) -> None:
        """Record the children that were found up to date, as if each had been started."""
        found = [] if self._children is None else self._children.take()
        logs = [self._recorder.log_name(stage) for stage, _ in found]
        for (stage, child), log in zip(found, logs, strict=True):
            self._recorder.stage_started(stage, log, at=child.began_at)
        if found:
            self._recorder.add_children(child.link(stage) for stage, child in found)
        for (stage, child), name in zip(found, logs, strict=True):
            assert self._children is not None  # noqa: S101 -- who found them
            opened = self._recorder.open_log(name, stage.log_limit_bytes)
            tail, finished = self._children.log(opened, stage.id, child.printed)
            self._recorder.stage_ended(stage, child.ended, tail, finished, will_retry=False)
            self._settled[stage.id] = True
            self._waiting.remove(stage)

    def _are_asked(self, stage: PlannedStage) -> bool:
        return self._children is not None and self._children.has_asked(stage)

    def _free_slots(self) -> None:
        """Give back the slots of projects of a fleet that wait in the queue."""
        if self._offers is not None:
            running = {stage.id for stage in self._running.values()}
            for stage_id in self._offers.accept(_MOST_WAITING - len(self._freed)):
                if stage_id in running and stage_id not in self._freed:
                    self._freed.add(stage_id)
                    self._slots.give()

    def _launch(self) -> None:
        """Start what is ready, in the order listed; skip what can't run any more, which may skip more.

        A slot is left for each child before it that is being looked up: else chance would decide which starts first.
        """
        if self._fail_fast and self._failed is not None:
            for stage in self._unasked():
                self._recorder.stage_skipped(stage, f"not started (--fail-fast): '{self._failed}' did not succeed")
        full, moved = False, True
        while moved:
            moved, undecided = False, 0
            for stage in list(self._waiting):
                if any(need not in self._settled for need in stage.needs):
                    continue
                failed = [need for need in stage.needs if not self._settled[need]]
                if failed or stage.kind == "skip":
                    reason = f"needs '{failed[0]}', which did not succeed" if failed else stage.skip or ""
                    self._recorder.stage_skipped(stage, reason)
                    self._settled[stage.id] = not failed
                elif self._children is not None and self._children.concerns(stage):
                    self._children.look_up(stage)
                    undecided += self._children.is_undecided(stage)
                    continue
                elif not full and self._slots.take(beside=bool(self._freed), leaving=undecided):
                    self._reuse_or_start(stage)
                else:
                    full = True
                    continue
                self._waiting.remove(stage)
                moved = True

    def _reuse_or_start(self, stage: PlannedStage) -> None:
        lookup = self._cache.lookup(stage) if self._cache is not None else None
        if lookup is not None and lookup.reused is not None:
            self._slots.give()
            self._recorder.stage_reused(stage, lookup.reused)
            self._settled[stage.id] = True
        else:
            self._start(stage, None if lookup is None else lookup.key)

    def _start(self, stage: PlannedStage, cache_key: str | None) -> None:
        log = self._recorder.log_name(stage)
        # The event comes first: where it can't be written, no log is left open behind it.
        self._recorder.stage_started(stage, log, cache_key)
        job = self._job_of(stage, log)
        if self._cache is not None:
            self._cache.started()
        if self._reports is not None and stage.reports:
            self._reports.begin(stage)
        self._tries[stage.id] = self._tries.get(stage.id, 0) + 1
        self._external[stage.id] = job.external
        self._running[self._loop.start(job)] = stage

    def _settle(self, finished: Finished) -> None:
        stage = self._running.pop(finished.key)
        if self._children is not None:
            self._children.note_change()
        ended, tries = self._judged(stage, finished.ended), self._tries[stage.id]
        again = ended.outcome in _RETRIED and not self._loop.is_stopping and tries <= stage.retries
        left = self._collected(stage)
        self._recorder.adopt_children()
        self._recorder.stage_ended(stage, ended, finished.tail, finished.log, will_retry=again, left=left)
        if self._cache is not None:
            # A success that took more than one try is no evidence that the work is done.
            made = self._cache.ended(stage, succeeded=ended.outcome == "success" and tries == 1)
            if made is not None:
                self._recorder.event(OUTPUTS, stage=stage.id, sha256=made)
        if again:
            self._start(stage, None)
            return
        if stage.id in self._freed:
            self._freed.discard(stage.id)
        else:
            self._slots.give()
        self._settled[stage.id] = ended.outcome == "success" or (stage.allow_failure and ended.outcome in _RETRIED)
        if not self._settled[stage.id] and self._failed is None:
            self._failed = stage.id

    def _judged(self, stage: PlannedStage, ended: Ended) -> Ended:
        """Return how a stage ended with the programs that it found elsewhere: known now, since it may install some."""
        external = self._external.pop(stage.id)()
        return ended._replace(external=external) if external else ended

    def _collected(self, stage: PlannedStage) -> Collected | None:
        """Copy the reports that an attempt of a stage left; None for a stage that declares none."""
        if self._reports is None or not stage.reports:
            return None
        left = self._reports.collect(stage, len(self._recorder.manifest.command(stage.id).attempts))
        self._recorder.event(**stage_reports(stage.id, left.reports))
        return left

    def _abandon(self) -> None:
        reason = self._loop.lost or "the run was cancelled before this stage"
        for stage in self._unasked():
            if stage.kind == "skip":
                self._recorder.stage_skipped(stage, stage.skip or "")
            else:
                self._recorder.stage_abandoned(stage, reason)

    def _unasked(self) -> list[PlannedStage]:
        """Return the stages that wait, and leave those whose children are being recorded: they are not looked up."""
        if self._children is not None:
            self._children.stop()
        unasked = [stage for stage in self._waiting if not self._are_asked(stage)]
        self._waiting = [stage for stage in self._waiting if self._are_asked(stage)]
        return unasked
