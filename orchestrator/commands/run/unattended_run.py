"""What ``cancel`` and ``resume`` do with a run of mode cloud that is open and that no process here attends."""

from __future__ import annotations

from orchestrator.base.clock import stamp
from orchestrator.base.errors import EXIT_DONE, Refused, UsageError
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.ended_run import answer_for, with_delivery
from orchestrator.runner.progress.no_screen import Unseen
from orchestrator.store.cancel_request import CancelRequest
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import take_over


def cancel_unattended(context: Context, store: RunStore, where: Location, who: str, why: str) -> Answer:
    """Give the engine the word, keep the run to its end, and return its document; exit code 0.

    Raises UsageError (``engine-unreachable``) when the hub can't be asked, with nothing changed, and Refused when the
    run ended otherwise, or somebody attends it by now.
    """
    from orchestrator.cloud.keeper_terms import Stop
    from orchestrator.commands.run.attach import attached

    attempt = int(read_document(store, where)["attempt"])
    request = CancelRequest(who, why, stamp(context.clock.now()), attempt)
    result = attached(context, store, where, Unseen(), Stop(who, why, request.detail, request))
    if result.manifest.status != "cancelled":
        raise Refused(
            f"run '{where.run_id}' has ended before it could be stopped: it is {result.manifest.status}", code="ended"
        )
    return with_delivery(context, store, answer_for(context, store, result, exit_code=EXIT_DONE))


def taken_to_resume(context: Context, store: RunStore, where: Location) -> OpenRun:
    """Take a run over for its next attempt; raises as ``take_over`` does.

    One that is open here and that its hub says has ended is closed by what came back. One that the hub calls unended,
    or that it can't be asked about, is Refused (``unattended``).
    """
    try:
        run = take_over(store, where)
    except Refused as refusal:
        if refusal.code != "unattended" or not _is_over(context, store, where):
            raise
        from orchestrator.commands.run.attach import attached

        attached(context, store, where, Unseen())
        return take_over(store, where)
    engine = run.manifest.engine
    if engine is None or engine.state in ("ended", "lost") or run.manifest.mode.name != "cloud":
        return run
    # Its record was closed while the hub could not be given the word.
    try:
        if not _is_over(context, store, where, when_unknown=True):
            raise Refused(
                f"run '{where.run_id}' may still go on in the cloud: its hub calls it unended, or does not answer",
                hint="codex-orchestrator cloud check, and try again",
                code="unattended",
            )
    except BaseException:
        run.close()
        raise
    return run


def _is_over(context: Context, store: RunStore, where: Location, *, when_unknown: bool = False) -> bool:
    """Tell whether the hub says that the last attempt has ended; False also when it can't be asked."""
    from orchestrator.cloud.connect import require_distributed, require_engine
    from orchestrator.commands.run.attach import has_ended_there
    from orchestrator.config.cloud_policy import read_cloud_policy

    try:
        policy = read_cloud_policy(store.workspace.root, context.environ)
        require_distributed()
        require_engine(policy)
    except UsageError as error:
        context.warn(f"the engine of run '{where.run_id}' can't be asked: {error.message}")
        return False
    attempt = int(read_document(store, where)["attempt"])
    return has_ended_there(policy, where, attempt, when_unknown=when_unknown)
