"""``plan`` of one project: what ``start`` would run; runs nothing and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date

from orchestrator.base.errors import EXIT_DONE, UsageError
from orchestrator.base.json_values import plain
from orchestrator.base.text.appearance import appearance
from orchestrator.base.text.safe_text import safe_text
from orchestrator.checks.stage_programs import missing_programs, words_of
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review.approved_plan import drift_from_approved
from orchestrator.commands.review.project_policy import review_policy
from orchestrator.config.default_pipeline import pipeline_of
from orchestrator.config.planning import check_project_folder, compile_plan
from orchestrator.config.routing import route
from orchestrator.model.canary import own_guards
from orchestrator.model.guardrails import foreseen
from orchestrator.model.plan import Plan, redacted, redactor_for
from orchestrator.model.plan_diff import plan_drift
from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.node_engines import engine_warning, node_version
from orchestrator.report.plan_text import plan_document, plan_text
from orchestrator.runner.environment import environment_folder
from orchestrator.runner.stage_cache.explain import explained
from orchestrator.runner.stage_cache.for_run import cache_for
from orchestrator.store.canary_proof import proofs_of
from orchestrator.store.find import find_run, read_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def plan_of_project(
    context: Context,
    *,
    project: str | None,
    pipeline: str,
    task: str | None,
    against: str | None,
    explain: bool,
    form: str,
) -> Answer:
    """Return the compiled plan of a pipeline, its sub-pipelines' in it, with secret values masked.

    The digest is the one that the manifest of a run started now would have. ``drift`` tells how it differs
    from the plan of the run ``against``, else from the one that was approved last. With ``explain``, each
    stage says whether it would run now, and why. Raises UsageError and ConfigError as ``start`` would, and
    NotFound and DamagedRecord for ``against``.
    """
    workspace = context.workspace()
    target = route(
        workspace,
        context.cwd,
        context.environ,
        project=project,
        task=task,
        parent_project=None,
        parent_task=None,
        pipeline=pipeline,
    )
    today = context.clock.now().date()
    pipeline = pipeline_of(workspace.root, target.project, pipeline)
    compiled = compile_plan(workspace.root, target.project, pipeline, today=today)
    check_project_folder(workspace.root, compiled)
    document = _document(context, workspace.root, compiled, target.task_id, today)
    if form == "text":
        _warn_of_missing(context, workspace.root, compiled)
    document["drift"] = _drift(context, document, against)
    if explain:
        _explain(context, compiled, target.task_id, document)
    seen = appearance(context.stdout, context.environ)
    width, color = seen.width, seen.color
    return Answer(EXIT_DONE, document, plan_text(document, today=today, width=width, color=color))


def _drift(context: Context, document: Mapping[str, Any], against: str | None) -> dict[str, Any]:
    """Return ``approved_run`` or ``against``, the run that the plan is compared with, and ``changes``."""
    store = context.store()
    plan = {
        key: value
        for key, value in document.items()
        if key not in ("task_id", "owners", "subplans", "guardrails", "unproven")
    }
    if against is None:
        root, project = store.workspace.root, document["project"]
        run_id, changes = drift_from_approved(store, plan, lambda: review_policy(root, project)[0])
        return {"approved_run": run_id, "against": run_id, "changes": list(changes)}
    where = find_run(store, against)
    record = read_document(store, where)
    named = (record.get("project"), record["pipeline_id"])
    if named != (document["project"], document["pipeline"]) or not isinstance(record.get("plan"), Mapping):
        raise UsageError(
            f"run '{where.run_id}' is of pipeline '{named[1]}' of project '{named[0]}', or of version 1",
            hint=f"name a run of '{document['pipeline']}' of '{document['project']}'",
            code="other-pipeline",
        )
    return {"approved_run": None, "against": where.run_id, "changes": list(plan_drift(record["plan"], plan))}


def _explain(context: Context, compiled: Plan, task_id: str, document: Mapping[str, Any]) -> None:
    """Say of each stage of the document, under ``explain``, whether it would run now, and why."""
    store = context.store()
    env_dir = environment_folder(store.workspace.environments_dir, compiled.session)
    cache = cache_for(store, compiled, task_id, env_dir, context.environ, context.clock, writes=False)
    explanations = explained(compiled, cache)
    for stage in document["stages"]:
        stage["explain"] = explanations[stage["id"]]


def _warn_of_missing(context: Context, root: str, compiled: Plan) -> None:
    """Say on stderr which programs that the stages call are not on PATH, and whether it is another Node than asked."""
    path = context.environ.get("PATH", "")
    stages = [(stage.id, stage.shell or " ".join(stage.argv)) for stage in compiled.stages]
    found = words_of(missing_programs(stages, path))
    folder = os.path.join(root, compiled.project_path)
    if os.path.isfile(os.path.join(folder, "package.json")):
        engine = engine_warning(Codebase(folder), node_version(path))
        found = [*found, *filter(None, (engine,))]
    for text in found:
        context.stderr.write(f"warning: {safe_text(text)}\n")


def _document(context: Context, root: str, compiled: Plan, task_id: str, today: date) -> dict[str, Any]:
    """Return the document of a plan; sub-pipelines that reach themselves were refused when it was compiled."""
    nested = {}
    for stage in compiled.stages:
        if stage.pipeline is not None:
            owner = stage.project or compiled.project
            below = compile_plan(root, owner, stage.pipeline, today=today)
            below_task = task_id if owner == compiled.project else below.task_id
            nested[stage.id] = _document(context, root, below, below_task, today)
    shown = redacted(compiled, redactor_for(compiled, context.environ).text)
    document = plan_document(shown, nested, task_id=task_id)
    guards = {stage.id for stage in own_guards(shown)}
    stages = [stage for stage in document["stages"] if stage["id"] in guards]
    proofs = proofs_of(context.store(), shown.project, stages)
    entries = foreseen(shown, today=today, proved=frozenset(proofs))
    guardrails = [{**entry, "proof": plain(proofs.get(str(entry["id"])))} for entry in entries]
    return {**document, "guardrails": guardrails, "unproven": sorted(guards - proofs.keys())}
