"""Config → plan: the pipeline that was asked for, every default filled in, its stages in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

from orchestrator.base.errors import ConfigError, Refusal, UsageError
from orchestrator.base.identifiers import RESERVED_PIPELINES, check_name, near_hint
from orchestrator.base.limits import DEFAULT_LOG_BYTES, DEFAULT_SLA_SECONDS
from orchestrator.base.workspace import project_folder
from orchestrator.config.builtin import builtin_names, merged
from orchestrator.config.collisions import (
    collision_fault,
    environment_folder,
    pipeline_names,
    rivals,
    session_name,
)
from orchestrator.config.dependencies import Dependencies, dependencies_of
from orchestrator.config.graph import in_order, vertices
from orchestrator.config.guardrail_policy import ALWAYS_BOUND
from orchestrator.config.loading import load_all, load_project
from orchestrator.config.plan_policy import plan_policy
from orchestrator.config.planning.canary import canary_pipeline
from orchestrator.config.planning.exec_pipeline import exec_pipeline
from orchestrator.config.planning.guardrails_and_waivers import policy_faults
from orchestrator.config.planning.subpipelines import Reach
from orchestrator.config.project_names import project_names
from orchestrator.config.queue_policy import queue_limit
from orchestrator.config.values import PipelineConfig, ProjectConfig, StageConfig
from orchestrator.config.workspace_check import checked_workspace
from orchestrator.model.canary import CANARY
from orchestrator.model.exec_command import EXEC
from orchestrator.model.plan import Plan, PlannedStage, SessionPlan, StageKind
from orchestrator.model.plan_flags import with_flags
from orchestrator.model.queue import QueueLimits


def compile_plan(
    root: str,
    project: str,
    pipeline: str,
    *,
    today: date,
    builtins: Mapping[str, int] = MappingProxyType({}),
    alone: bool = False,
    command: tuple[str, ...] = (),
) -> Plan:
    """Return the plan of ``pipeline`` for ``project`` of the workspace at ``root``.

    Reads that project's config and those that its sub-pipelines reach, no other; ``today`` (UTC) decides
    which waivers stand. ``builtins`` names the versions of built-in pipelines that an earlier plan was made of.
    With ``alone`` nobody asks whether what the project depends on is there: no plan holds it. ``command`` is what the
    pipeline ``exec`` runs.
    Raises UsageError for an unknown project or pipeline, and ConfigError with every fault of the configs read.
    """
    plan, _ = compile_with_sources(
        root, project, pipeline, today=today, builtins=builtins, alone=alone, command=command
    )
    return plan


def compile_with_sources(
    root: str,
    project: str,
    pipeline: str,
    *,
    today: date,
    builtins: Mapping[str, int] = MappingProxyType({}),
    alone: bool = False,
    command: tuple[str, ...] = (),
) -> tuple[Plan, dict[str, str] | None]:
    """Return the plan as ``compile_plan`` does, and the sha256 of each config that it rests on, by project.

    None takes the place of the digests where other configs were read, for a collision of their sessions.
    """
    config = load_project(root, project)
    chosen = _chosen(root, config, pipeline, builtins.get(pipeline), command)
    reach = Reach(root, {project: config}, builtins=builtins)
    needed = Dependencies() if alone or not config.depends_on else dependencies_of(root, project)
    faults = [*_faults(reach, config, pipeline, today), *_collisions(root, config, pipeline), *needed.faults]
    if faults:
        raise ConfigError(faults)
    digests = {name: reached.digest for name, reached in reach.configs.items()} | dict(needed.read)
    has_rivals = bool(rivals(pipeline, config.name, project_names(root)))
    below = tuple(_plan(reach.configs[node[0]], reached) for node, reached in reach.below(config.name, chosen))
    queue = QueueLimits(config.queue, queue_limit(checked_workspace(root).get("queue", {})))
    plan = with_flags(_plan(config, chosen)._replace(subplans=below, queue=queue))
    return plan, None if has_rivals else digests


def survey(root: str, *, today: date) -> tuple[dict[str, ProjectConfig], list[str]]:
    """Return every valid config of the workspace, and all faults that any start of any pipeline would meet.

    For ``nox --list`` and ``doctor``. A built-in pipeline that a project says nothing about is not
    asked to be complete, unless the project could run nothing at all.
    """
    configs, faults = load_all(root)
    for config in configs.values():
        if config.depends_on:
            faults += dependencies_of(root, config.name).faults
        asked = dict.fromkeys([*pipeline_names(config), *config.pipelines]) or {"diagnostics": None}
        for pipeline in asked:
            faults += _faults(Reach(root, dict(configs)), config, pipeline, today)
    return configs, list(dict.fromkeys(faults))


def check_project_folder(root: str, project: ProjectConfig | Plan) -> str:
    """Return the absolute folder of a project; raises UsageError when there is none."""
    if isinstance(project, Plan):
        return project_folder(root, project.project, project.project_path)
    return project_folder(root, project.name, project.path)


def _chosen(
    root: str, config: ProjectConfig, pipeline: str, version: int | None, command: tuple[str, ...] = ()
) -> PipelineConfig:
    if pipeline == CANARY:
        return canary_pipeline(config)
    if pipeline == EXEC:
        return exec_pipeline(command)
    known = [*builtin_names(), *config.pipelines]
    check_name("pipeline", pipeline, known)
    chosen = merged(pipeline, config.pipelines, config.name, version)
    if chosen is None:
        is_project = pipeline in project_names(root)
        raise UsageError(
            f"project '{config.name}' has no pipeline '{pipeline}'",
            hint=f"'{pipeline}' is a project: --project {pipeline}" if is_project else near_hint(pipeline, known),
            code="unknown-pipeline",
        )
    return chosen


def _faults(reach: Reach, config: ProjectConfig, pipeline: str, today: date) -> list[str]:
    reach.follow((config.name, pipeline))
    faults = [
        fault
        for (project, _), reached in reach.pipelines.items()
        for fault in policy_faults(reach.configs[project], reached, today)
    ]
    # A loop in another pipeline of the same file is a fault of the file too.
    for other in config.pipelines:
        reach.follow((config.name, other), at_home=True)
    return list(dict.fromkeys([*reach.faults, *faults]))


def _collisions(root: str, config: ProjectConfig, pipeline: str) -> list[str]:
    own = session_name(pipeline, config.name)
    faults = []
    for folder, rival in rivals(pipeline, config.name, project_names(root)):
        try:
            others = pipeline_names(load_project(root, rival))
        except Refusal:
            continue  # it has no session before it is repaired
        faults += [
            collision_fault((pipeline, config.name), (other, rival))
            for other in others
            if environment_folder(other) == folder
        ]
    faults += [
        collision_fault((pipeline, config.name), (other, config.name))
        for other in pipeline_names(config)
        if other != pipeline and environment_folder(session_name(other, config.name)) == environment_folder(own)
    ]
    return faults


def _plan(config: ProjectConfig, pipeline: PipelineConfig) -> Plan:
    session = config.session
    # Guards of a canary run judge in the environment in which they judge the project; a command runs there too.
    environment = ALWAYS_BOUND if pipeline.id in RESERVED_PIPELINES else pipeline.id
    policy = plan_policy(pipeline.id, config.guardrails, config.spec_guard, config.waivers)
    return Plan(
        project=config.name,
        project_path=config.path,
        task_id=config.task_id,
        pipeline=pipeline.id,
        title=pipeline.title or pipeline.id,
        stages=_stages(config.name, pipeline),
        session=SessionPlan(
            name=session_name(environment, config.name),
            backend=session.backend,
            python=session.python,
            install=session.install,
            pass_env=session.pass_env,
            set_env=session.set_env,
            secret_env=session.secret_env,
        ),
        sla_seconds=pipeline.sla or DEFAULT_SLA_SECONDS,
        required_guardrails=policy.required_guardrails,
        waivers=policy.waivers,
        flags=policy.flags,
        owners=config.owners,
        builtin_version=pipeline.version,
        config_digest=config.digest,
        reuse_guardrails=config.guardrails.reuse,
        code=policy.code,
        not_code=policy.not_code,
        proof_required=policy.proof_required,
    )


def _stages(project: str, pipeline: PipelineConfig) -> tuple[PlannedStage, ...]:
    graph = vertices((stage.id, stage.needs) for stage in pipeline.stages)
    needs = {vertex.id: vertex.needs for vertex in graph}
    stages = {stage.id: stage for stage in pipeline.stages}
    return tuple(_stage(project, stages[stage_id], needs[stage_id]) for stage_id in in_order(graph))


def _stage(project: str, stage: StageConfig, needs: tuple[str, ...]) -> PlannedStage:
    return PlannedStage(
        id=stage.id,
        title=stage.title or stage.id,
        kind=_kind(stage),
        argv=stage.run or (),
        shell=stage.shell,
        pipeline=stage.pipeline,
        project=(stage.project or project) if stage.pipeline else None,
        skip=stage.skip,
        cwd=stage.cwd or ".",
        env=dict(stage.env or {}),
        timeout_seconds=stage.timeout,
        needs=needs,
        inputs=stage.inputs or (),
        outputs=stage.outputs or (),
        retries=stage.retries or 0,
        allow_failure=bool(stage.allow_failure),
        guardrail=bool(stage.guardrail),
        log_limit_bytes=stage.log_limit or DEFAULT_LOG_BYTES,
        reports=stage.reports or (),
    )


def _kind(stage: StageConfig) -> StageKind:
    if stage.skip is not None:
        return "skip"
    if stage.pipeline is not None:
        return "subpipeline"
    return "shell" if stage.shell is not None else "command"
