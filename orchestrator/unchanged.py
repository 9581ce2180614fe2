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
from orchestrator.run_store.claim import withdraw
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
    of earlier attempts. It takes milliseconds, so that a stop signal waits for its end; ``notify`` hears of a
    run that was held back when it is published. Raises Refusal when the run could not be opened, StorageError
    when it could not be recorded.
    """
    held_back: list[Mapping[str, Any]] = []
    with SignalInbox():
        run = open_run()
        tell = notify if run.is_shown else held_back.append
        recorder = Recorder(store, run, plan, clock, tell, active_before=active_before, mask=mask)
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
            manifest = recorder.close()
        except BaseException as error:
            recorder.give_up(error)
            if not run.is_shown:
                withdraw(store, run)
            raise
        for event in held_back:
            notify(event)
    return Result(manifest, None)
