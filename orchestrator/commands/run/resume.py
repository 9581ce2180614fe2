"""``resume``: run what has not succeeded, as a new attempt of the same run."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping

from orchestrator.base.clock import later, parse_stamp, stamp
from orchestrator.base.errors import Refused, UsageError
from orchestrator.base.redaction import MASK, Redactor
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import project_folder
from orchestrator.commands.context import Answer, Context, exports_on_close
from orchestrator.commands.run.ancestry import find_parent
from orchestrator.commands.run.carry_out import carry_out
from orchestrator.commands.run.child_start import read_child_start
from orchestrator.commands.run.create_run import with_known_proofs
from orchestrator.commands.run.prepared_run import PreparedRun, check_format, check_jobs
from orchestrator.commands.run.requests import ResumeRequest, actor_of
from orchestrator.commands.run.unattended_run import taken_to_resume
from orchestrator.config.plan_cache import PlanCache
from orchestrator.model.canary import CANARY
from orchestrator.model.exec_command import recorded_command
from orchestrator.model.fleet import is_fleet
from orchestrator.model.manifest.command import Command
from orchestrator.model.manifest.manifest import Manifest, ResumeEvent
from orchestrator.model.manifest.transitions import interrupted, queued, reset_for_resume
from orchestrator.model.plan import Plan, builtin_versions, redactor_for
from orchestrator.model.plan_diff import drift, shown_plan, unchanged_stages
from orchestrator.runner.ci_job import with_ci_job
from orchestrator.runner.enclosing_job import job_of
from orchestrator.runner.first_record import WAITS_FOR_WORKER
from orchestrator.store.event_log import by_attempt, read_events, unproved
from orchestrator.store.find import find_run
from orchestrator.store.layout import TOKEN
from orchestrator.store.open_run import OpenRun
from orchestrator.store.record_proof import logs_pruned_at
from orchestrator.store.recovery import finish, recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import reopen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.commands.run.child_start import ChildStart
    from orchestrator.commands.run.cloud_place import CloudPlace
    from orchestrator.model.queue import Standing

NO_REASON = "manual-resume"
"""Stands in a record where nobody gave a reason, as in version 1, whose readers want one that is not empty."""


def resume(context: Context, **options: Any) -> Answer:
    """Run what has not succeeded of a run and return its record. Options are the fields of ``ResumeRequest``.

    Raises NotFound, DamagedRecord, and Refused when the run is alive, has succeeded, is of version 1,
    when the token is wrong, the plan has drifted, or it goes on in the cloud; then its record is as it was, but that
    a run whose process died is closed.
    """
    request = ResumeRequest(**options)
    return carry_out(context, prepare_resume(context, request), request)


def prepare_resume(context: Context, request: ResumeRequest) -> PreparedRun:
    """Return the next attempt of a run, ready to run, with the run's lock held; raises as ``resume`` does."""
    check_format(request.format)
    check_jobs(request.jobs)
    actor = actor_of(context.environ, request.actor)
    store = context.store()
    where = find_run(store, request.run)
    run = taken_to_resume(context, store, where)
    try:
        if not (run.manifest.metrics_recorded and run.has_line):
            finish(store, run, interrupted)
        plan, redactor, found = _checked(context, store, run, request)
        kept = _kept(run.manifest, plan, redactor, unproved(run.manifest, by_attempt(read_events(run.folder))))
        mode = request.mode or run.manifest.mode.name
        if "cloud" in (mode, run.manifest.mode.name):
            kept = without_needed(plan, kept)
        cloud = _place_in_cloud(context, store, plan) if mode == "cloud" and plan.selection is None else None
        active = run.manifest.sla.active_seconds
        child_start = _child_start(run, plan)
    except BaseException:
        run.close()
        raise

    is_limited = plan.queue.are_set and cloud is None and _takes_place(store, plan, context.environ)

    def open_run() -> OpenRun:
        recover_task(store, where.task_id, interrupted)
        if not is_limited:
            _continue(store, run, plan, redactor, kept, request, actor, context, found, cloud=cloud)
            return run
        from orchestrator.commands.run.queued_run import continues_in_turn

        def continued(waits: Standing | None) -> OpenRun:
            _continue(store, run, plan, redactor, kept, request, actor, context, found, waits)
            return run

        return continues_in_turn(store, plan, where.run_id, continued)

    return PreparedRun(
        store,
        plan,
        redactor,
        open_run,
        request.jobs,
        done=frozenset(kept),
        active_before=active,
        task_id=where.task_id,
        fresh=request.no_cache,
        abandon=run.close,
        key=None if child_start is None else child_start.key,
        new_children=request.fresh,
        child_options=() if child_start is None else child_start.options,
        is_limited=is_limited,
        cloud=cloud,
    )


def without_needed(plan: Plan, kept: Mapping[str, Command]) -> dict[str, Command]:
    """Return the successes that stay where what stages made lies on another machine.

    A stage to be run needs what those before it made, at any depth: they run again (contract, section 12).
    """
    again: set[str] = set()
    for stage in reversed(plan.stages):
        if stage.id not in kept or stage.id in again:
            again.update(stage.needs)
    return {stage_id: command for stage_id, command in kept.items() if stage_id not in again}


def _place_in_cloud(context: Context, store: RunStore, plan: Plan) -> CloudPlace:
    from orchestrator.commands.run.cloud_place import cloud_place

    return cloud_place(context, store.workspace.root, plan)


def _child_start(run: OpenRun, plan: Plan) -> ChildStart | None:
    if plan.selection is None:
        return None
    return read_child_start(run.folder)


def _takes_place(store: RunStore, plan: Plan, environ: Mapping[str, str]) -> bool:
    from orchestrator.commands.run.queued_run import has_limits

    around = find_parent(store, environ, None).parent
    return has_limits(plan, None if around is None else around.document)


def _checked(
    context: Context, store: RunStore, run: OpenRun, request: ResumeRequest
) -> tuple[Plan, Redactor, tuple[str, ...]]:
    """Return the plan with which the run may go on, what masks its secrets, and the drift that was accepted."""
    manifest = run.manifest
    if run.imported_from is not None:
        raise Refused(
            f"run '{manifest.run_id}' was imported from '{run.imported_from.get('host')}', where its token stayed",
            hint="resume it there and import it again, or start a new run here",
            code="imported",
        )
    pruned = logs_pruned_at(store, run.where)
    if pruned is not None:
        from orchestrator.store.find_pruned import not_resumable

        raise not_resumable(pruned)
    if manifest.status == "succeeded":
        raise Refused(
            f"run '{manifest.run_id}' has succeeded", hint="start a new run instead of resuming it", code="succeeded"
        )
    if manifest.pipeline_id == CANARY:
        raise Refused(
            f"run '{manifest.run_id}' is of 'prove', whose copies of the tree are gone",
            hint=f"codex-orchestrator prove --project {manifest.project}",
            code="canary",
        )
    if request.fresh and not is_fleet({"plan": manifest.plan}):
        raise UsageError(
            f"--fresh is for fleets, and run '{manifest.run_id}' is of project '{manifest.project}' alone",
            hint="start a new run, or resume without --fresh",
            code="option-conflict",
        )
    _check_token(run, request.token)
    if is_fleet({"plan": manifest.plan}):
        from orchestrator.commands.run.fleet_resume import resumed_fleet

        accepted, anew = request.accept_drift, request.fresh
        return resumed_fleet(context, store, manifest, accept_drift=accepted, new_children=anew)
    root = store.workspace.root
    today = context.clock.now().date()
    builtins = builtin_versions(manifest.plan)
    command = recorded_command(manifest.plan)
    if any(MASK in word for word in command):
        raise Refused(
            f"the command of run '{manifest.run_id}' holds a secret, which its record does not have",
            hint="call 'exec' again with the command",
            code="masked-command",
        )
    plan = PlanCache(store.workspace).plan(
        manifest.project, manifest.pipeline_id, today=today, builtins=builtins, command=command
    )
    project_folder(root, plan.project, plan.project_path)
    exports_on_close(root, plan.project)
    redactor = redactor_for(plan, context.environ)
    found = drift(manifest.plan, plan, redactor)
    if found and not request.accept_drift:
        raise Refused(
            f"the plan of run '{manifest.run_id}' has drifted: {'; '.join(found)}",
            hint="start a new run, or resume with --accept-drift, which is recorded",
            code="drifted",
        )
    return plan, redactor, found


def _check_token(run: OpenRun, token: str | None) -> None:
    if token is None:
        try:
            token = run.folder.read(TOKEN, 4096).decode("ascii", "replace").strip()
        except FileNotFoundError:
            raise Refused(
                f"run '{run.where.run_id}' has no token file any more", hint="give --token", code="wrong-token"
            ) from None
    digest = sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    if not hmac.compare_digest(digest, run.manifest.resume_token):
        raise Refused(
            f"the token is not that of run '{run.where.run_id}'",
            hint="leave --token out to read the run's own token file",
            code="wrong-token",
        )


def _kept(manifest: Manifest, plan: Plan, redactor: Redactor, lost: Collection[str]) -> Mapping[str, Command]:
    """Return the stages that succeeded and are still the same work; a stage that needs a redone one is redone.

    ``lost`` are those whose success the events don't know.
    """
    # A project's success stays whatever became of its config since: its own record says what it was of.
    is_frozen = plan.selection is not None
    same = {stage.id for stage in plan.stages} if is_frozen else unchanged_stages(manifest.plan, plan, redactor)
    before = {command.id: command for command in manifest.commands}
    kept: dict[str, Command] = {}
    for stage in plan.stages:
        command = before.get(stage.id)
        needs_hold = all(need in kept or plan.stage(need).kind == "skip" for need in stage.needs)
        passed = command is not None and (command.status == "succeeded" or command.reused is not None)
        if command is not None and passed and stage.id in same and stage.id not in lost and needs_hold:
            kept[stage.id] = command
    return kept


def _continue(
    store: RunStore,
    run: OpenRun,
    plan: Plan,
    redactor: Redactor,
    kept: Mapping[str, Command],
    request: ResumeRequest,
    actor: str,
    context: Context,
    found: tuple[str, ...],
    waits: Standing | None = None,
    cloud: CloudPlace | None = None,
) -> None:
    """Write the first record of the new attempt: the run is in progress again, or waits for its place."""
    manifest = run.manifest
    now = context.clock.now()
    idle = max(0.0, (now - parse_stamp(manifest.completed_at or manifest.updated_at)).total_seconds())
    event = ResumeEvent(
        actor=redactor.text(actor),
        reason=redactor.text(request.reason or NO_REASON),
        outcome="accepted",
        timestamp=stamp(now),
        attempt=manifest.attempt + 1,
        previous_status=manifest.status,
        accepted_drift=bool(found),
        drift=found,
        idle_seconds=round(idle, 3),
    )
    shown = shown_plan(manifest.plan, plan, redactor)
    deadline = later(parse_stamp(manifest.sla.deadline_at), idle)
    began_at = manifest.began_at
    if began_at is None and manifest.digest_form == 2:  # it never left the queue
        began_at = stamp(now)
    reopen(store, run)
    continued = manifest._replace(
        attempt=manifest.attempt + 1,
        status="in_progress",
        status_detail=None,
        completed_at=None,
        outcome=None,
        summary=None,
        metrics_recorded=False,
        resume_events=(*manifest.resume_events, event),
        commands=reset_for_resume(manifest, shown, kept),
        plan=shown.record() if found else manifest.plan,
        pipeline_title=shown.title,
        sla=manifest.sla._replace(deadline_at=stamp(deadline), slowest_stage=None, limit_seconds=plan.sla_seconds),
    )
    if cloud is not None:
        earlier = () if manifest.engine is None else manifest.engine.incarnations
        mode, engine = manifest.mode._replace(name="cloud"), cloud.engine()._replace(incarnations=earlier)
        continued = queued(continued._replace(mode=mode, engine=engine), WAITS_FOR_WORKER)
    else:
        continued = queued(continued, waits.detail) if waits is not None else continued._replace(began_at=began_at)
        continued = continued._replace(mode=manifest.mode._replace(name="local"))
    continued = with_ci_job(continued, job_of(store, context.environ), redactor.text)
    run.save(with_known_proofs(store, continued, plan))
    fresh = {"fresh": True} if request.fresh else {}
    run.event("run:resume", {"actor": event.actor, "reason": event.reason, "drift": list(found), **fresh})
