"""``start``: run a pipeline and record it."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import name_fault
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import project_folder
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.ancestry import find_parent
from orchestrator.commands.run.carry_out import carry_out
from orchestrator.commands.run.launch import PreparedRun, check_format, check_jobs
from orchestrator.commands.run.requests import KEY_VARIABLE, StartRequest, actor_of, overrides_of
from orchestrator.config.outlines import Outline
from orchestrator.config.plan_cache import PlanCache
from orchestrator.model.canary import CANARY
from orchestrator.model.plan import redactor_for
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.store.keys import HeldKey
    from orchestrator.store.open_run import OpenRun


def start(context: Context, **options: Any) -> Answer:
    """Run a pipeline and return its record. Options are the fields of ``StartRequest``.

    Raises Refusal when nothing was run: then nothing was written.
    """
    request = StartRequest(**options)
    if request.pipeline == CANARY:
        raise UsageError(
            f"pipeline '{CANARY}' is run by 'prove', which plants the canaries",
            hint="codex-orchestrator prove",
            code="reserved-pipeline",
        )
    if request.selects:
        from orchestrator.commands.run.fleet_start import fleet_or_nothing

        fleet = fleet_or_nothing(context, request)
        if isinstance(fleet, Answer):
            return fleet
        prepared = fleet
    else:
        prepared = prepare(context, request)
    if prepared.found is not None:
        from orchestrator.commands.run.keyed_start import found_answer

        return found_answer(context, prepared, prepared.found, request)
    if request.detach:
        from orchestrator.commands.run.detaching import detached

        return detached(context, prepared, request)
    return carry_out(context, prepared, request)


def prepare(context: Context, request: StartRequest) -> PreparedRun:
    """Return the run that ``request`` asks for, ready to run; nothing is written yet.

    Raises UsageError, ConfigError, NotFound or Refused.
    """
    from orchestrator.config.routing import route

    check_format(request.format)
    check_jobs(request.jobs)
    key = _key_of(request, context.environ)
    overrides = overrides_of(request)
    store = context.store()
    ancestry = find_parent(store, context.environ, request.parent_run)
    plans, today = PlanCache(store.workspace), context.clock.now().date()

    def known(name: str) -> Outline | None:
        plan = plans.kept(name, request.pipeline, today=today) if name_fault("project", name) is None else None
        return None if plan is None else Outline(name, plan.project_path, plan.task_id)

    parent = ancestry.parent
    target = route(
        store.workspace,
        context.cwd,
        context.environ,
        project=request.project,
        task=request.task,
        parent_project=parent.project if parent else None,
        parent_task=parent.task_id if parent else None,
        known=known,
    )
    builtins = ancestry.builtins(target.project, request.pipeline)
    plan = plans.plan(target.project, request.pipeline, today=today, builtins=builtins)
    project_folder(store.workspace.root, plan.project, plan.project_path)
    ancestry.lineage("")
    redactor = redactor_for(plan, context.environ)
    ancestry.check_plan(plan, redactor)
    actor = actor_of(context.environ, request.actor)

    held: HeldKey | None = None
    found: Location | None = None
    if key is not None:
        from orchestrator.commands.run.keyed_start import take_key

        taken = take_key(store, plan, target.task_id, request, overrides, redactor, key)
        found, held = (taken, None) if isinstance(taken, Location) else (None, taken)

    def open_run(*, unseen: bool = False) -> OpenRun:
        from orchestrator.commands.run.create_run import begin_run
        from orchestrator.runner.first_record import RunTerms

        terms = RunTerms(
            target.task_id,
            actor,
            request.approval_policy,
            overrides,
            request.override_reason,
            context.environ,
            None if key is None else sha256(key.encode()).hexdigest(),
        )
        note = None if held is None else held.note
        try:
            run = begin_run(store, plan, terms, ancestry, redactor, context.clock, unseen=unseen, before_claim=note)
        finally:
            if held is not None:
                held.release()
        plans.keep()
        return run

    return PreparedRun(
        store,
        plan,
        redactor,
        open_run,
        request.jobs,
        task_id=target.task_id,
        fresh=request.no_cache,
        open_unseen=None if request.detach or key is not None else lambda: open_run(unseen=True),
        abandon=_nothing if held is None else held.release,
        found=found,
    )


def _key_of(request: StartRequest, environ: Mapping[str, str]) -> str | None:
    """Return the key of a start, or None. Raises UsageError for one that can't be."""
    if request.pipeline == CANARY:
        return None  # a caller's key is of the run that it starts, and not of a proof beside it
    key = request.key if request.key is not None else environ.get(KEY_VARIABLE) or None
    if key is None:
        return None
    from orchestrator.commands.run.keyed_start import check_key

    return check_key(key)


def _nothing() -> None:
    """Do nothing: no key is held."""
