"""An attempt in which no stage has to run is recorded without a session: there is nothing to isolate."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.clock import Clock
from orchestrator.commands.context import Context
from orchestrator.commands.run.prepared_run import PreparedRun
from orchestrator.git import Capture
from orchestrator.model.manifest.manifest import SessionInfo, Softening
from orchestrator.runner.environment import describe, environment_folder, needs_making
from orchestrator.runner.progress import Observer
from orchestrator.runner.recorder import Recorder
from orchestrator.runner.run_end import Result
from orchestrator.runner.signals import SignalInbox
from orchestrator.runner.stage_cache import StageCache
from orchestrator.store.claim import abort

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answered_by_cache(
    context: Context, prepared: PreparedRun, observer: Observer, provenance: Capture
) -> tuple[StageCache | None, Result | None]:
    """Return what tells which stages need not run (None: each must), and the attempt's end if none has to.

    Raises Refusal when the run could not be opened or recorded.
    """
    env_dir = environment_folder(prepared.store.workspace.environments_dir, prepared.plan.session)
    cache = prepared.cache(context, env_dir, provenance.ignored_names)
    policy = _known_policy(prepared, cache) if cache is not None and _is_unchanged(prepared, cache) else None
    if cache is None or policy is None:
        return cache, None
    try:
        return cache, _record_unchanged(prepared, cache, provenance, observer.event, context.clock, policy)
    finally:
        cache.ignored.abandon()
        observer.close()


def _is_unchanged(prepared: PreparedRun, cache: StageCache) -> bool:
    """Tell whether no stage of the attempt has to run, nor the environment to be made."""
    if needs_making(cache.place.env_dir, cache.place.made_from):
        return False
    waiting = [stage for stage in prepared.plan.stages if stage.id not in prepared.done and stage.kind != "skip"]
    return bool(waiting) and cache.all_cached(waiting)


def _known_policy(prepared: PreparedRun, cache: StageCache) -> tuple[Softening, ...] | None:
    """Return what a cited run found its config to ask less than the base's, None where it had another config.

    Comparing the two anew would cost as much as all else here; a config that changed has its stages run as usual.
    """
    for cited in cache.cited_successes():
        record = cited.record
        if record["plan"].get("config_digest") == prepared.plan.config_digest and "policy" in record:
            return tuple(Softening(**entry) for entry in record["policy"])
    return None


def _record_unchanged(
    prepared: PreparedRun,
    cache: StageCache,
    provenance: Capture,
    notify: Callable[[Mapping[str, Any]], None],
    clock: Clock,
    policy: tuple[Softening, ...],
) -> Result:
    """Record an attempt whose every stage was found unchanged, as any other, with nothing started; return its end.

    It takes milliseconds, so that a stop signal waits for its end; ``notify`` hears of a run that was prepared
    when it is published. Raises Refusal when the run could not be opened, StorageError when it could not be
    recorded.
    """
    plan = prepared.plan
    unseen: list[Mapping[str, Any]] = []
    with SignalInbox():
        run = (prepared.open_unseen or prepared.open_run)()
        report = notify if run.is_shown else unseen.append
        recorder = Recorder(
            prepared.store,
            run,
            plan,
            clock,
            report,
            active_before=prepared.active_before,
            mask=prepared.redactor.text,
        )
        try:
            recorder.announce()
            recorder.add_provenance(provenance.finish())
            recorder.set_policy(policy)
            made = describe(cache.place.env_dir)
            recorder.set_session(SessionInfo(plan.session.name, made["backend"], made["python"]))
            for stage in plan.stages:
                if stage.kind == "skip":
                    recorder.stage_skipped(stage, stage.skip or "")
                elif stage.id not in prepared.done and (reused := cache.lookup(stage).reused) is not None:
                    recorder.stage_reused(stage, reused)
            manifest = recorder.close()
        except BaseException as error:
            recorder.give_up(error)
            if not run.is_shown:
                abort(prepared.store, run)
            raise
        for event in unseen:
            notify(event)
    return Result(manifest, None)
