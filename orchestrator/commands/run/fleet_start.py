"""``start`` with a selection: many projects, one run. Its plan is frozen, and run by the engine of every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.errors import EXIT_DONE, UsageError
from orchestrator.base.identifiers import FLEET, RESERVED_PIPELINES, check_name
from orchestrator.base.json_values import json_text
from orchestrator.base.redaction import Redactor, secret_values
from orchestrator.base.sha256 import sha256
from orchestrator.commands.context import Answer, Context, exports_on_close
from orchestrator.commands.run.ancestry import Ancestry, find_parent
from orchestrator.commands.run.child_start import ChildStart, child_start_of
from orchestrator.commands.run.create_run import begin_run
from orchestrator.commands.run.fleet_selection import Choice, chosen, planned
from orchestrator.commands.run.keyed_start import check_key, take_fleet_key
from orchestrator.commands.run.prepared_run import PreparedRun, check_format, check_jobs
from orchestrator.commands.run.queued_run import check_waiting
from orchestrator.commands.run.requests import KEY_VARIABLE, StartRequest, actor_of, overrides_of
from orchestrator.config.fleet.options import SelectionOptions, check_options
from orchestrator.config.fleet.selection import Selection
from orchestrator.config.project_names import project_names
from orchestrator.model.plan import Plan, SessionPlan
from orchestrator.report.fleet_text import selection_text
from orchestrator.runner.first_record import RunTerms
from orchestrator.store.claim import claim
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.model.manifest.manifest import Manifest
    from orchestrator.store.keys import HeldKey
    from orchestrator.store.open_run import OpenRun
    from orchestrator.store.store import RunStore


def fleet_or_nothing(context: Context, request: StartRequest) -> PreparedRun | Answer:
    """Return the fleet that ``request`` asks for, ready to run, or the answer that nothing is to be run.

    Raises as ``prepare_fleet`` does.
    """
    prepared = prepare_fleet(context, request)
    return nothing_to_run(context, prepared, request.format) if isinstance(prepared, Selection) else prepared


def options_of(request: StartRequest) -> SelectionOptions:
    """Return the options of a request's selection."""
    return SelectionOptions(
        request.everything,
        request.projects,
        request.affected,
        request.base,
        request.no_dependents,
        request.owners,
        request.tags,
        request.exclude,
        request.failed,
        request.shard,
    )


def check_alone(project: str | None, task: str | None) -> None:
    """Raise UsageError where a selection is given together with what names one project or task."""
    for flag, value in (("--project", project), ("--task", task)):
        if value is not None:
            raise UsageError(
                f"{flag} can't be given with a selection of projects",
                hint="--projects A,B selects projects by name" if flag == "--project" else "leave it out",
                code="option-conflict",
            )


def prepare_fleet(context: Context, request: StartRequest) -> PreparedRun | Selection:
    """Return the fleet that ``request`` asks for, ready to run, or a selection that is empty; nothing is written yet.

    Raises UsageError, ConfigError, or Refused.
    """
    options = _checked_options(context, request)
    overrides = overrides_of(request)
    check_waiting(request)
    store = context.store()
    ancestry = find_parent(store, context.environ, request.parent_run)
    if ancestry.parent is not None:
        raise UsageError(
            f"a selection starts a fleet, and this call is inside run '{ancestry.parent.document['run_id']}'",
            hint="start one project here, or the fleet outside of any run",
            code="fleet-inside-run",
        )
    actor = actor_of(context.environ, request.actor)
    key = _key_of(request, context.environ, store)
    held, found = _taken(store, options, request, overrides, key)
    if found is not None:
        return _found(store, request, options, found)
    try:
        if request.mode == "cloud":
            _require_engine(store.workspace.root, context.environ)
        choice = chosen(context, store, options, request.pipeline)
        if not choice.selection.projects:
            _release(held)
            return choice.selection
        _check_task(choice)
        made = planned(context, store, choice, request.pipeline, fail_fast=request.fail_fast)
    except BaseException:
        _release(held)
        raise
    plan = made.plan
    redactor = Redactor(tuple(dict.fromkeys(secret_values(context.environ, ()))))
    terms = RunTerms(
        plan.task_id,
        actor,
        request.approval_policy,
        overrides,
        request.override_reason,
        context.environ,
        None if key is None else sha256(key.encode()).hexdigest(),
        "cloud" if request.mode == "cloud" else "local",
    )

    child_start = child_start_of(request, key)

    def open_run() -> OpenRun:
        try:
            note = None if held is None else held.note
            above = Ancestry(None, ancestry.note)
            run = begin_run(
                store, plan, terms, above, redactor, context.clock, before_claim=note, claiming=_claiming(child_start)
            )
        finally:
            _release(held)
        made.store()
        return run

    return PreparedRun(
        store,
        plan,
        redactor,
        open_run,
        request.jobs,
        task_id=plan.task_id,
        fresh=request.no_cache,
        abandon=lambda: _release(held),
        key=key,
        child_options=child_start.options,
        folders=tuple(filter(None, (choice.members.projects[name].path for name in choice.selection.names))),
    )


def _checked_options(context: Context, request: StartRequest) -> SelectionOptions:
    """Return the selection's options. Raises UsageError or ConfigError where they, or what is beside them, can't be."""
    check_format(request.format)
    check_jobs(request.jobs)
    check_alone(request.project, request.task)
    exports_on_close(context.workspace().root, FLEET)
    options = options_of(request)
    if not options.is_given:
        raise UsageError("--fail-fast is for a selection", hint="--all --fail-fast", code="option-conflict")
    check_options(options)
    check_name("pipeline", request.pipeline)
    if request.pipeline in RESERVED_PIPELINES:
        raise UsageError(
            f"pipeline '{request.pipeline}' is of no config, so that no fleet can run it",
            code="reserved-pipeline",
        )
    return options


def _require_engine(root: str, environ: Mapping[str, str]) -> None:
    """Raise UsageError where no child could be placed: the fleet itself runs here, and each child by itself there."""
    from orchestrator.cloud.connect import require_distributed, require_engine  # of mode cloud alone
    from orchestrator.commands.run.cloud_place import check_lease
    from orchestrator.config.cloud_policy import read_cloud_policy

    policy = read_cloud_policy(root, environ)
    require_distributed()
    require_engine(policy)
    check_lease(policy)


def _claiming(child_start: ChildStart) -> Callable[[RunStore, Manifest, str], OpenRun]:
    return lambda store, manifest, token: claim(store, manifest, token, child_start.to_bytes())


def nothing_to_run(context: Context, selection: Selection, form: str) -> Answer:
    """Return the answer of an empty selection: exit code 0, and on GitHub ``status=nothing``."""
    if context.environ.get("GITHUB_ACTIONS") == "true":
        from orchestrator.commands.run.ci_outputs import report_nothing

        report_nothing(context)
    document = selection.as_empty_answer()
    if form == "ndjson":
        return Answer(EXIT_DONE, None, json_text({"type": "fleet:nothing", **document}, separators=(",", ":")) + "\n")
    return Answer(EXIT_DONE, document, selection_text(document["selection"], width=120, color=False))


def _key_of(request: StartRequest, environ: Mapping[str, str], store: RunStore) -> str | None:
    key = request.key if request.key is not None else environ.get(KEY_VARIABLE) or None
    if key is None:
        return None
    longest = max(project_names(store.workspace.root), key=len, default="")
    check_key(key)
    return check_key(f"{key}/{longest}")[: len(key)]


def _taken(
    store: RunStore,
    options: SelectionOptions,
    request: StartRequest,
    overrides: Mapping[str, str],
    key: str | None,
) -> tuple[HeldKey | None, Location | None]:
    if key is None:
        return None, None
    taken = take_fleet_key(store, options.by(), request, overrides, key)
    return (None, taken) if isinstance(taken, Location) else (taken, None)


def _found(store: RunStore, request: StartRequest, options: SelectionOptions, where: Location) -> PreparedRun:
    """Return the run that a used key stands for; of its plan nothing is asked but that it is a fleet's."""
    selection = {"by": options.by(), "fail_fast": request.fail_fast}
    session = SessionPlan(FLEET, "none")
    plan = Plan(FLEET, ".", where.task_id, request.pipeline, "", (), session, 0.0, selection=selection)

    def open_run() -> OpenRun:
        raise AssertionError("a run that was found is not opened")

    return PreparedRun(store, plan, Redactor(()), open_run, request.jobs, task_id=where.task_id, found=where)


def _check_task(choice: Choice) -> None:
    """Raise UsageError where the task of fleets is a project's own: its state and its totals are of one project."""
    for member in choice.members.projects.values():
        if member.task_id == choice.policy.task_id:
            raise UsageError(
                f"workspace.toml: fleet.task_id: '{member.task_id}' is the task of project '{member.name}'",
                hint="choose another task for fleets",
                code="fleet-task-taken",
            )


def _release(held: HeldKey | None) -> None:
    if held is not None:
        held.release()
