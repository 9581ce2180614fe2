"""``attach``: go on as the keeper of a cloud run whose submitter is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import Refusal, Refused, UsageError
from orchestrator.base.quoting import shown
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.cloud.connect import require_distributed, require_engine
from orchestrator.cloud.hub_client import HubClient, HubGone, HubRefused
from orchestrator.cloud.keeper_notes import notes_without, read_notes, read_plan
from orchestrator.cloud.keeper_terms import Stop
from orchestrator.cloud.local_record import Keeping, LocalRecord
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.cloud_run import keep
from orchestrator.commands.run.ended_run import answer_for, answer_seen, with_delivery
from orchestrator.commands.run.prepared_run import check_format, observer_for
from orchestrator.config.cloud_policy import CloudPolicy, read_cloud_policy
from orchestrator.config.plan_cache import PlanCache
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.model.plan import Plan, redactor_for
from orchestrator.model.plan_diff import drift
from orchestrator.runner.progress import Observer
from orchestrator.runner.run_end import Result
from orchestrator.runner.signals import SignalInbox
from orchestrator.store.cloud_runs import take_cloud_run
from orchestrator.store.find import find_run, read_document
from orchestrator.store.layout import Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.record_proof import refuse_altered
from orchestrator.store.recovery import finish
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOST_AFTER_SECONDS = 7 * 24 * 3600.0
"""Contract, section 12, promise 2."""


def attach(context: Context, *, run: str, format: str = "text") -> Answer:  # noqa: A002 -- the option's name
    """Take over a cloud run whose keeper is gone, and return its record as ``start`` would.

    Of a run that has ended: its document and exit code. Raises NotFound; UsageError for a run that is not of mode
    cloud, and (``engine-unreachable``) when the hub can't be asked; Refused (``attended``) when it has a keeper.
    """
    check_format(format)
    store = context.store()
    where = find_run(store, run)
    document = read_document(store, where)
    if document["version"] == 1 or document.get("engine") is None or document["mode"]["name"] != "cloud":
        raise UsageError(
            f"run '{where.run_id}' is not of mode cloud: it is attached to by the process that runs it",
            hint=f"codex-orchestrator status {where.run_id}",
            code="not-in-cloud",
        )
    if not is_open_in_cloud(document):
        refuse_altered(store, where, document)
        ended = load(document, store.paths(where).manifest)
        return with_delivery(context, store, answer_for(context, store, Result(ended, None)))
    observer = observer_for(context, format, str(document["project"]))
    result = attached(context, store, where, observer)
    return answer_seen(context, store, result, observer, format)


def attached(
    context: Context, store: RunStore, where: Location, observer: Observer, stop: Stop | None = None
) -> Result:
    """Keep an open cloud run to its end; with ``stop`` it is asked to end at once. Raises as ``attach`` does."""
    policy = _engine_of(context, store, where, may_give_up=stop is None)
    run = take_cloud_run(store, where)
    try:
        if run.manifest.is_terminal:  # its keeper came to close it meanwhile, or nearly
            finish(store, run, interrupted)
            return Result(run.manifest, None)
        plan = _plan_of(context, store, run)
        redactor = redactor_for(plan, context.environ)
        manifest = run.manifest
        notes = read_notes(run.folder, manifest.attempt) or notes_without(manifest)
        keeping = Keeping(store, plan, redactor, context.clock, observer, _active(manifest, context))
        if policy is None:
            reason = "lost: its engine has not been reached for 7 days"
            return LocalRecord(keeping, run, notes).close("error", reason, None, "lost")
        with SignalInbox() as inbox:
            return keep(keeping, policy, run, notes, inbox, None, stop=stop)
    finally:
        observer.close()
        run.close()


def _engine_of(context: Context, store: RunStore, where: Location, *, may_give_up: bool) -> CloudPolicy | None:
    """Return where the run's engine is reached; None where the run is given up, if it may be: it was away too long.

    Raises UsageError as ``attach`` does, and ``no-engine`` where the workspace names none any more.
    """
    try:
        policy = read_cloud_policy(store.workspace.root, context.environ)
        require_distributed()
        require_engine(policy)
    except UsageError as error:
        if error.code in _AWAY and may_give_up and _is_given_up(context, store, where):
            return None
        if error.code != "no-engine":
            raise
        engine = read_document(store, where).get("engine") or {}
        hint = f"the run is on {shown(str(engine.get('scheduler')))}: bring [cloud] of {WORKSPACE_FILE} back"
        raise UsageError(error.message, hint=hint, code=error.code) from error
    return policy


_AWAY = frozenset({"engine-unreachable", "no-engine"})


def has_ended_there(policy: CloudPolicy, where: Location, attempt: int, *, when_unknown: bool = False) -> bool:
    """Tell whether the hub says that an attempt has ended; False also when it can't be asked."""

    async def asked() -> Mapping[str, Any]:
        async with HubClient(policy) as hub:
            return await hub.call("watch", run_id=where.run_id, revision=-1, wait=0.0)

    try:
        fence = asyncio.run(asked())
    except (HubGone, HubRefused):
        return False
    if not fence["revision"]:
        return when_unknown
    return fence["attempt"] == attempt and fence["end"] is not None


def _is_given_up(context: Context, store: RunStore, where: Location) -> bool:
    document = read_document(store, where)
    engine = document.get("engine") or {}
    heard = engine.get("last_contact_at") or document["started_at"]
    return (context.clock.now() - parse_stamp(heard)).total_seconds() > LOST_AFTER_SECONDS


def _active(manifest: Manifest, context: Context) -> float:
    """Return how long the run has been active: the time since its keeper's last write was the worker's."""
    since = 0.0
    if manifest.status == "in_progress":
        since = max(0.0, (context.clock.now() - parse_stamp(manifest.updated_at)).total_seconds())
    return manifest.sla.active_seconds + since


def _plan_of(context: Context, store: RunStore, run: OpenRun) -> Plan:
    """Return the plan that the run was started with: as its keeper noted it, else compiled again.

    Raises Refused (``drifted``) when neither is what the record says.
    """
    manifest = run.manifest
    noted = read_plan(run.folder)
    if noted is not None and not drift(manifest.plan, noted, redactor_for(noted, context.environ)):
        return noted
    try:
        today = context.clock.now().date()
        plan = PlanCache(store.workspace).plan(manifest.project, manifest.pipeline_id, today=today, builtins={})
    except Refusal as refusal:
        raise _drifted(run, refusal.message) from refusal
    found = drift(manifest.plan, plan, redactor_for(plan, context.environ))
    if found:
        raise _drifted(run, "; ".join(found))
    return plan


def _drifted(run: OpenRun, why: str) -> Refused:
    return Refused(
        f"the plan of run '{run.where.run_id}' is not what its record says: {why}",
        hint="bring the project's config back to what it was at the start, and attach again",
        code="drifted",
    )
