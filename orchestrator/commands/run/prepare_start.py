"""What a start is about to run: its project, task, plan and parent, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.identifiers import RESERVED_PIPELINES, name_fault
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import is_empty, project_folder
from orchestrator.commands.context import Context, exports_on_close
from orchestrator.commands.run.ancestry import Ancestry, find_parent
from orchestrator.commands.run.prepared_run import PreparedRun, check_format, check_jobs
from orchestrator.commands.run.requests import KEY_VARIABLE, StartRequest, actor_of, overrides_of
from orchestrator.config.default_pipeline import pipeline_of
from orchestrator.config.plan_cache import PlanCache
from orchestrator.config.project_outlines import Outline
from orchestrator.config.routing import route
from orchestrator.model.plan import Plan, redactor_for
from orchestrator.runner.first_record import RunTerms
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.base.redaction import Redactor
    from orchestrator.commands.run.cloud_place import CloudPlace
    from orchestrator.commands.run.create_run import GivenRun
    from orchestrator.store.keys import HeldKey
    from orchestrator.store.open_run import OpenRun
    from orchestrator.store.store import RunStore


class _Opening(Record):
    """What a new run is claimed with."""

    context: Context
    store: RunStore
    plans: PlanCache
    plan: Plan
    request: StartRequest
    ancestry: Ancestry
    redactor: Redactor
    actor: str
    key: str | None
    held: HeldKey | None
    given: GivenRun | None = None
    cloud: CloudPlace | None = None

    def open(
        self, task_id: str, overrides: Mapping[str, str], *, unseen: bool = False, in_turn: bool = False
    ) -> OpenRun:
        """Claim the run, with ``in_turn`` in the queue's order; raises as ``begin_run`` does."""
        from orchestrator.commands.run.create_run import begin_run

        request, held, key = self.request, self.held, self.key
        terms = RunTerms(
            task_id,
            self.actor,
            request.approval_policy,
            overrides,
            request.override_reason,
            self.context.environ,
            None if key is None else sha256(key.encode()).hexdigest(),
            "local" if self.cloud is None else "cloud",
            None if self.cloud is None else self.cloud.engine(),
        )
        claiming = None
        if in_turn:
            from orchestrator.commands.run.queued_run import claims_in_turn

            claiming = claims_in_turn(self.plan, request)
        try:
            run = begin_run(
                self.store,
                self.plan,
                terms,
                self.ancestry,
                self.redactor,
                self.context.clock,
                unseen=unseen,
                before_claim=None if held is None else held.note,
                claiming=claiming,
                given=self.given,
            )
        finally:
            if held is not None:
                held.release()
        self.plans.store()
        return run


def prepare(
    context: Context, request: StartRequest, *, given: GivenRun | None = None, ancestry: Ancestry | None = None
) -> PreparedRun:
    """Return the run that ``request`` asks for, ready to run; nothing is written yet.

    ``given`` is the run that another process has claimed already, where this one is a worker of it; ``ancestry`` whose
    child it is, where that is known. Raises UsageError, ConfigError, NotFound or Refused.
    """
    check_format(request.format)
    check_jobs(request.jobs)
    wait_seconds = _wait_of(request)
    key = _key_of(request, context.environ)
    overrides = overrides_of(request)
    store = context.store()
    ancestry = ancestry or find_parent(store, context.environ, request.parent_run)
    plans, today = PlanCache(store.workspace), context.clock.now().date()

    def known(name: str) -> Outline | None:
        if name_fault("project", name) is not None:
            return None
        plan = plans.stored(name, pipeline_of(store.workspace.root, name, request.pipeline), today=today)
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
        pipeline=request.pipeline,
    )
    pipeline = pipeline_of(store.workspace.root, target.project, request.pipeline)
    builtins = ancestry.builtins(target.project, pipeline)
    task_id = target.task_id if given is None or given.task_id is None else given.task_id
    plan = plans.plan(target.project, pipeline, today=today, builtins=builtins, command=request.command)
    _check_set_up(store.workspace.root, plan, context.environ)
    ancestry.lineage("")
    redactor = redactor_for(plan, context.environ)
    ancestry.check_plan(plan, redactor)
    actor = actor_of(context.environ, request.actor)
    held: HeldKey | None = None
    found: Location | None = None
    if key is not None:
        from orchestrator.commands.run.keyed_start import take_key

        taken = take_key(store, plan, task_id, request, overrides, redactor, key)
        found, held = (taken, None) if isinstance(taken, Location) else (None, taken)

    cloud = None
    if request.mode == "cloud" and found is None:
        try:
            cloud = _place_in_cloud(context, store, plan)
        except BaseException:
            if held is not None:
                held.release()
            raise
    opening = _Opening(context, store, plans, plan, request, ancestry, redactor, actor, key, held, given, cloud)
    # The engine queues what it runs, and a worker's run has its place there.
    is_limited = plan.queue.are_set and cloud is None and given is None and _takes_place(plan, ancestry)
    is_seen = request.detach or key is not None or is_limited or cloud is not None
    return PreparedRun(
        store,
        plan,
        redactor,
        lambda: opening.open(task_id, overrides, in_turn=is_limited),
        request.jobs,
        task_id=task_id,
        fresh=request.no_cache,
        open_unseen=None if is_seen else lambda: opening.open(task_id, overrides, unseen=True),
        abandon=_nothing if held is None else held.release,
        found=found,
        is_limited=is_limited,
        wait_seconds=wait_seconds,
        cloud=cloud,
        around=ancestry.record,
    )


def _place_in_cloud(context: Context, store: RunStore, plan: Plan) -> CloudPlace:
    from orchestrator.commands.run.cloud_place import cloud_place

    return cloud_place(context, store.workspace.root, plan)


def _check_set_up(root: str, plan: Plan, environ: Mapping[str, str]) -> None:
    """Raise UsageError where the project's folder is missing or not fetched, ConfigError for a wrong ``[export]``."""
    if is_empty(project_folder(root, plan.project, plan.project_path)):
        from orchestrator.checks.empty_folder import refuse_empty_folder

        refuse_empty_folder(root, plan, environ)
    exports_on_close(root, plan.project)


def _key_of(request: StartRequest, environ: Mapping[str, str]) -> str | None:
    """Return the key of a start, or None. Raises UsageError for one that can't be."""
    if request.pipeline in RESERVED_PIPELINES:
        return None  # a caller's key is of the run that it starts, and not of a proof or a command beside it
    key = request.key if request.key is not None else environ.get(KEY_VARIABLE) or None
    if key is None:
        return None
    from orchestrator.commands.run.keyed_start import check_key

    return check_key(key)


def _wait_of(request: StartRequest) -> float | None:
    """Return the longest time in the queue, in seconds. Raises UsageError for options that can't be."""
    if request.priority == 0 and request.wait is None:
        return None
    from orchestrator.commands.run.queued_run import check_waiting

    return check_waiting(request)


def _takes_place(plan: Plan, ancestry: Ancestry) -> bool:
    from orchestrator.commands.run.queued_run import has_limits

    return has_limits(plan, None if ancestry.parent is None else ancestry.parent.document)


def _nothing() -> None:
    """Do nothing: no key is held."""
