"""An attempt in which no stage has to run: recorded as any other, with nothing started."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from orchestrator.clock import Clock
from orchestrator.environment import describe
from orchestrator.light_typing import Any
from orchestrator.manifest.shape import SessionInfo
from orchestrator.plan import Plan
from orchestrator.provenance import Capture
from orchestrator.recording import Recorder, Result
from orchestrator.reuse import StageCache
from orchestrator.run_store.open_run import OpenRun
from orchestrator.run_store.store import RunStore
from orchestrator.signals import SignalInbox


def record_unchanged(
    store: RunStore,
    plan: Plan,
    cache: StageCache,
    provenance: Capture,
    open_run: Callable[[], OpenRun],
    notify: Callable[[Mapping[str, Any]], None],
    *,
    clock: Clock,
    mask: Callable[[str], str],
    done: Collection[str],
    active_before: float,
) -> Result:
    """Record an attempt whose every stage was found unchanged (``StageCache.look_ahead``), and return its end.

    ``done`` names the stages that succeeded in an earlier attempt, ``active_before`` is the time, in seconds,
    of earlier attempts. It takes milliseconds, so that a stop signal waits for its end. Raises Refusal when
    the run could not be opened, StorageError when it could not be recorded.
    """
    with SignalInbox():
        run = open_run()
        recorder = Recorder(store, run, plan, clock, notify, active_before=active_before, mask=mask)
        try:
            recorder.announce()
            recorder.add_provenance(provenance.finish())
            made = describe(cache.place.env_dir)
            recorder.set_session(SessionInfo(plan.session.name, made["backend"], made["python"]))
            for stage in plan.stages:
                if stage.kind == "skip":
                    recorder.stage_skipped(stage, stage.skip or "")
                elif stage.id not in done and (reused := cache.look(stage).reused) is not None:
                    recorder.stage_reused(stage, reused)
            return Result(recorder.close(), None)
        except BaseException as error:
            recorder.give_up(error)
            raise
