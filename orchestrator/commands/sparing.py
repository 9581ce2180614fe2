"""An attempt in which no stage has to run is recorded without a session: there is nothing to isolate."""

from __future__ import annotations

from orchestrator.commands.context import Context
from orchestrator.commands.running import Attempt
from orchestrator.environment import environment_folder, needs_making
from orchestrator.progress import Observer
from orchestrator.provenance import Capture
from orchestrator.recording import Result
from orchestrator.reuse import StageCache
from orchestrator.unchanged import record_unchanged


def spared(
    context: Context, attempt: Attempt, observer: Observer, provenance: Capture
) -> tuple[StageCache | None, Result | None]:
    """Return what tells which stages need not run (None: each must), and the attempt's end if none has to.

    Raises Refusal when the run could not be opened or recorded.
    """
    env_dir = environment_folder(attempt.store.workspace.root, attempt.plan.session)
    cache = attempt.cache(context, env_dir, provenance.ignored_names)
    if cache is None or not _is_unchanged(attempt, cache):
        return cache, None
    try:
        return cache, record_unchanged(
            attempt.store,
            attempt.plan,
            cache,
            provenance,
            attempt.hold_back or attempt.open_run,
            observer.event,
            clock=context.clock,
            mask=attempt.redactor.text,
            done=attempt.done,
            active_before=attempt.active_before,
        )
    finally:
        cache.ignored.abandon()
        observer.close()


def _is_unchanged(attempt: Attempt, cache: StageCache) -> bool:
    """Tell whether no stage of the attempt has to run, nor the environment to be made."""
    if needs_making(cache.place.env_dir, cache.place.made_from):
        return False
    waiting = [stage for stage in attempt.plan.stages if stage.id not in attempt.done and stage.kind != "skip"]
    return bool(waiting) and cache.look_ahead(waiting)
