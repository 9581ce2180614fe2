"""The stage loop over the graph: what is ready runs, what failed is retried, what needs it is skipped."""

from __future__ import annotations

from collections.abc import Callable, Collection

from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.runner.process_loop import Attempts, Finished, Job
from orchestrator.runner.recorder import Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.runner.slots import Slots
    from orchestrator.runner.stage_cache import StageCache

_RETRIED = frozenset({"failure", "timeout"})


class _Progress:
    """``settled`` says of each ended stage whether what needs it may run."""

    def __init__(self, waiting: list[PlannedStage], settled: dict[str, bool], cache: StageCache | None) -> None:
        self.waiting = waiting
        self.settled = settled
        self.cache = cache
        self.running: dict[int, PlannedStage] = {}
        self.tries: dict[str, int] = {}


def run_stages(
    plan: Plan,
    done: Collection[str],
    attempts: Attempts,
    recorder: Recorder,
    job_of: Callable[[PlannedStage, str], Job],
    *,
    slots: Slots,
    cache: StageCache | None = None,
) -> None:
    """Run every stage of ``plan`` but those that are ``done`` (succeeded in an earlier attempt of the run).

    A stage runs while it holds one of the ``slots``. ``job_of`` makes the job of a stage, given the name of its
    log. ``cache`` tells which stages need not run because nothing changed, None that each must. Every stage
    has ended when this returns. Raises StorageError when the record or a log could not be written; what
    runs is then the caller's to stop.
    """
    state = _Progress([stage for stage in plan.stages if stage.id not in done], dict.fromkeys(done, True), cache)
    announced = False
    while state.waiting or state.running:
        if attempts.is_stopping:
            if attempts.cancelled_by is not None and not announced:
                announced = True
                recorder.event("run:cancelling", signal=attempts.cancelled_by)
            _abandon(state, recorder, attempts.lost)
        else:
            _launch(state, attempts, recorder, job_of, slots)
        recorder.flush()
        if state.running:
            for finished in attempts.turn(slots.patience()):
                _settle(state, finished, attempts, recorder, job_of, slots)
            attempts.raise_refusal()


def _launch(
    state: _Progress,
    attempts: Attempts,
    recorder: Recorder,
    job_of: Callable[[PlannedStage, str], Job],
    slots: Slots,
) -> None:
    """Start what is ready, in the order listed; skip what can't run any more, which may skip more."""
    full, moved = False, True
    while moved:
        moved = False
        for stage in list(state.waiting):
            if any(need not in state.settled for need in stage.needs):
                continue
            failed = [need for need in stage.needs if not state.settled[need]]
            if failed or stage.kind == "skip":
                reason = f"needs '{failed[0]}', which did not succeed" if failed else stage.skip or ""
                recorder.stage_skipped(stage, reason)
                state.settled[stage.id] = not failed
            elif not full and slots.take():
                _reuse_or_start(state, stage, attempts, recorder, job_of, slots)
            else:
                full = True
                continue
            state.waiting.remove(stage)
            moved = True


def _reuse_or_start(
    state: _Progress,
    stage: PlannedStage,
    attempts: Attempts,
    recorder: Recorder,
    job_of: Callable[[PlannedStage, str], Job],
    slots: Slots,
) -> None:
    look = state.cache.look(stage) if state.cache is not None else None
    if look is not None and look.reused is not None:
        slots.give()
        recorder.stage_reused(stage, look.reused)
        state.settled[stage.id] = True
    else:
        _start(state, stage, attempts, recorder, job_of, None if look is None else look.key)


def _start(
    state: _Progress,
    stage: PlannedStage,
    attempts: Attempts,
    recorder: Recorder,
    job_of: Callable[[PlannedStage, str], Job],
    cache_key: str | None,
) -> None:
    log = recorder.log_name(stage)
    recorder.stage_started(stage, log, cache_key)
    job = job_of(stage, log)
    if state.cache is not None:
        state.cache.started()
    state.tries[stage.id] = state.tries.get(stage.id, 0) + 1
    state.running[attempts.start(job)] = stage


def _settle(
    state: _Progress,
    finished: Finished,
    attempts: Attempts,
    recorder: Recorder,
    job_of: Callable[[PlannedStage, str], Job],
    slots: Slots,
) -> None:
    stage = state.running.pop(finished.key)
    ended = finished.ended
    again = ended.outcome in _RETRIED and not attempts.is_stopping and state.tries[stage.id] <= stage.retries
    recorder.stage_ended(stage, ended, finished.tail, finished.log, will_retry=again)
    if state.cache is not None:
        # A success that took more than one try is no evidence that the work is done.
        state.cache.ended(stage, succeeded=ended.outcome == "success" and state.tries[stage.id] == 1)
    if again:
        _start(state, stage, attempts, recorder, job_of, None)
        return
    slots.give()
    state.settled[stage.id] = ended.outcome == "success" or (stage.allow_failure and ended.outcome in _RETRIED)


def _abandon(state: _Progress, recorder: Recorder, lost: str | None) -> None:
    reason = lost or "the run was cancelled before this stage"
    for stage in state.waiting:
        if stage.kind == "skip":
            recorder.stage_skipped(stage, stage.skip or "")
        else:
            recorder.stage_abandoned(stage, reason)
    state.waiting.clear()
