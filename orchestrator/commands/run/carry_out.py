"""From a prepared run to its answer: in this process where the installed nox can, else in a process of nox's own."""

from __future__ import annotations

from orchestrator.base.errors import NoxUnavailable
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.ended_run import answer_seen
from orchestrator.commands.run.prepared_run import (
    PreparedRun,
    capture,
    check_path_entries,
    observer_for,
    with_base_policy,
)
from orchestrator.runner.progress import Observer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.commands.run.requests import ResumeRequest, StartRequest
    from orchestrator.runner.run_end import Result


def carry_out(
    context: Context,
    prepared: PreparedRun,
    request: StartRequest | ResumeRequest,
    *,
    observer: Observer | None = None,
    announce: int | None = None,
) -> Answer:
    """Run what was prepared for ``request`` and return its record.

    ``observer`` is left out for the one of the request's format. A process of nox's announces the run at the pipe
    ``announce`` as soon as it is on disk. Raises Refusal; what ``prepared`` holds is then given back.
    """
    is_fleet = prepared.plan.selection is not None
    observer = observer or observer_for(
        context, request.format, prepared.plan.project, fleet=is_fleet, around=prepared.around
    )
    try:
        result = run_in_session(context, prepared, observer)
    except NoxUnavailable:
        prepared.abandon()
        from orchestrator.commands.run.nox_process import run_in_nox_process

        return run_in_nox_process(context, prepared, request, announce=announce)
    except BaseException:
        prepared.abandon()
        raise
    return answer_seen(context, prepared.store, result, observer, request.format)


def run_in_session(context: Context, prepared: PreparedRun, observer: Observer) -> Result:
    """Run what was prepared inside its nox session, in this process, and return its end.

    Where no stage has to run there is nothing to isolate: then neither nox nor a guard is loaded or started.
    Raises Refusal when the run could not be opened or recorded, and NoxUnavailable, with nothing opened, when
    the installed nox can't run a session in this process.
    """
    if prepared.cloud is not None:
        from orchestrator.commands.run.cloud_run import run_in_cloud

        return run_in_cloud(context, prepared, observer)
    check_path_entries(prepared)
    if prepared.plan.selection is not None:
        from orchestrator.commands.run.session_run import perform_in

        return perform_in(context, prepared, observer)
    if not prepared.is_limited:
        return _run(context, prepared, observer)
    from orchestrator.commands.run.queued_run import in_turn
    from orchestrator.runner.environment.nox import check_session

    check_session(prepared.plan.session.name, prepared.store.workspace.root)
    with in_turn(context, prepared, observer) as (turn, ended):
        if ended is None:
            return _run(context, turn, observer)
        observer.close()
        return ended


def _run(context: Context, prepared: PreparedRun, observer: Observer) -> Result:
    cache = None
    provenance = capture(context, prepared)
    try:
        if prepared.may_reuse():
            from orchestrator.commands.run.cached_run import answered_by_cache

            cache, result = answered_by_cache(context, prepared, observer, provenance)
            if result is not None:
                return result
        from orchestrator.commands.run.session_run import run_here

        prepared = with_base_policy(context, prepared)
        return run_here(context, prepared, observer, cache, provenance)
    finally:
        provenance.abandon()
