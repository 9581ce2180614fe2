"""From a file to a validated config: the project that was asked for, or all of them."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.identifiers import name_fault
from orchestrator.base.quoting import shown
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.config.collisions import collision_faults
from orchestrator.config.faults import fault_lines
from orchestrator.config.guardrail_policy import Canary, GuardrailPolicy
from orchestrator.config.project_names import config_stems
from orchestrator.config.source import Source, config_file, parsed_source, source_of
from orchestrator.config.spec_guard_policy import SpecGuardPolicy
from orchestrator.config.stage_groups import with_groups
from orchestrator.config.values import PipelineConfig, ProjectConfig, SessionConfig, StageConfig
from orchestrator.model.metrics_policy import MetricsPolicy
from orchestrator.model.plan import Waiver
from orchestrator.model.queue import Limit
from orchestrator.model.review_policy import policy_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.config import shape


def load_project(root: str, name: str) -> ProjectConfig:
    """Return the validated config of project ``name``; no other file is read.

    Raises UsageError for a name that no project has, and ConfigError with every fault of the file.
    """
    return parse_project(source_of(root, name))


def parse_bytes(name: str, data: bytes) -> ProjectConfig:
    """Return the validated config of project ``name`` that ``data`` holds; raises ConfigError with every fault."""
    return parse_project(parsed_source(name, data))


def parse_project(source: Source) -> ProjectConfig:
    """Return the validated config of a parsed file; raises ConfigError with every fault in it."""
    from orchestrator.config.rules import rule_faults
    from orchestrator.config.validation import validated

    table, of_groups = with_groups(source.table)
    shaped, faults = validated(table)
    faults += rule_faults(source.name, table)
    if of_groups or faults or shaped is None:
        lines = [*fault_lines(source.file, source.table, of_groups), *fault_lines(source.file, table, faults)]
        raise ConfigError(lines)
    return _config(source, shaped)


def read_all(root: str) -> tuple[dict[str, ProjectConfig], list[str]]:
    """Return every valid config by project name, and the faults of all other files of ``project_configs/``."""
    configs: dict[str, ProjectConfig] = {}
    faults: list[str] = []
    for stem in config_stems(root):
        fault = name_fault("project", stem)
        if fault is not None:
            faults.append(f"{CONFIG_FOLDER}/: the file {shown(stem + '.toml')} is no project's: {fault}")
            continue
        try:
            configs[stem] = load_project(root, stem)
        except ConfigError as error:
            faults += error.faults
        except UsageError as error:  # the file went away in between
            faults.append(f"{config_file(stem)}: {error.message}")
    return configs, faults


def load_all(root: str) -> tuple[dict[str, ProjectConfig], list[str]]:
    """Return every valid config by project name, and the faults of all other files and of sessions that collide."""
    configs, faults = read_all(root)
    return configs, [*faults, *collision_faults(configs)]


def _config(source: Source, shaped: shape.Config) -> ProjectConfig:
    session, project = shaped.session, shaped.project
    return ProjectConfig(
        name=project.name,
        path=project.path,
        task_id=project.task_id,
        file=source.file,
        digest=source.digest,
        owners=tuple(project.owners),
        tags=tuple(project.tags),
        depends_on=tuple(dict.fromkeys(project.depends_on)),
        also=tuple(project.also),
        session=SessionConfig(
            backend=session.backend,
            python=session.python,
            install=tuple(session.install),
            pass_env=tuple(session.pass_env),
            set_env=dict(session.set_env),
            secret_env=tuple(session.secret_env),
            cloud=session.cloud,
        ),
        guardrails=GuardrailPolicy(
            required=tuple(dict.fromkeys(shaped.guardrails.required)),
            pipelines=tuple(shaped.guardrails.pipelines),
            reuse=shaped.guardrails.reuse,
            proof_required=shaped.guardrails.proof is not None,
            canaries=tuple(Canary(item.guardrail, dict(item.plant)) for item in shaped.guardrails.canary),
        ),
        review=policy_of(source.table),
        metrics=MetricsPolicy(shaped.metrics.min_coverage, shaped.metrics.sla_budget, shaped.metrics.max_sla_age),
        queue=Limit(shaped.queue.running, shaped.queue.waiting),
        spec_guard=_spec_guard(shaped.spec_guard),
        waivers=tuple(
            Waiver(item.guardrail, item.reason, item.approved_by, item.until, item.stage) for item in shaped.waivers
        ),
        pipelines={name: _pipeline(name, item) for name, item in shaped.pipelines.items()},
    )


def _spec_guard(shaped: shape.SpecGuard) -> SpecGuardPolicy:
    return SpecGuardPolicy(
        code=tuple(shaped.code),
        exclude=tuple(shaped.exclude),
        specs=tuple(shaped.specs),
        base=shaped.base,
        max_review_age=shaped.max_review_age,
        checklists=shaped.checklists,
        evidence=shaped.evidence,
        records=shaped.records,
    )


def _pipeline(name: str, shaped: shape.Pipeline) -> PipelineConfig:
    return PipelineConfig(name, shaped.title, shaped.sla, tuple(_stage(item) for item in shaped.stages))


def _stage(shaped: shape.Stage) -> StageConfig:
    return StageConfig(
        id=shaped.id,
        title=shaped.title,
        run=_tuple(shaped.run),
        shell=shaped.shell,
        pipeline=shaped.pipeline,
        project=shaped.project,
        skip=shaped.skip,
        cwd=shaped.cwd,
        env=shaped.env,
        timeout=shaped.timeout,
        needs=_tuple(shaped.needs),
        inputs=_tuple(shaped.inputs),
        outputs=_tuple(shaped.outputs),
        retries=shaped.retries,
        allow_failure=shaped.allow_failure,
        guardrail=shaped.guardrail,
        log_limit=shaped.log_limit,
        reports=_tuple(shaped.reports),
    )


def _tuple(items: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if items is None else tuple(items)
