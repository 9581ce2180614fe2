"""From a file to a validated config: the project that was asked for, or all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.config.faults import fault_lines
from orchestrator.config.source import Source, config_file, read_source
from orchestrator.config.values import GuardrailPolicy, PipelineConfig, ProjectConfig, SessionConfig, StageConfig
from orchestrator.errors import ConfigError, UsageError
from orchestrator.identifiers import check_name, name_fault, near_hint, shown
from orchestrator.metrics_policy import MetricsPolicy
from orchestrator.plan import Waiver
from orchestrator.review_policy import policy_of
from orchestrator.spec_guard_policy import SpecGuardPolicy
from orchestrator.workspace import CONFIG_FOLDER, refuse_broken

if TYPE_CHECKING:
    from orchestrator.config import shape

_SUFFIX = ".toml"


class Outline(NamedTuple):
    """What routing needs of a config: read without validating the rest of it."""

    name: str
    path: str
    task_id: str


def project_names(root: str) -> tuple[str, ...]:
    """Return the projects of the workspace, sorted: the names of its config files, none of them read."""
    return tuple(name for name in _stems(root) if name_fault("project", name) is None)


def load_project(root: str, name: str) -> ProjectConfig:
    """Return the validated config of project ``name``; no other file is read.

    Raises UsageError for a name that no project has, and ConfigError with every fault of the file.
    """
    return parse_project(source_of(root, name))


def source_of(root: str, name: str) -> Source:
    """Return the parsed config of project ``name``, not validated; raises as ``load_project`` does."""
    if name_fault("project", name) is not None:
        check_name("project", name, project_names(root))
    try:
        return read_source(root, name)
    except FileNotFoundError:
        known = project_names(root)
        hint = near_hint(name, known) or f"there is no project yet: make {config_file(name)}"
        raise UsageError(f"there is no project '{name}'", hint=hint, code="unknown-project") from None


def outline(root: str, name: str) -> Outline:
    """Return name, path and default task of project ``name``; raises as ``load_project`` does."""
    source = source_of(root, name)
    project = source.table.get("project")
    if isinstance(project, dict):
        path, task_id = project.get("path"), project.get("task_id")
        if isinstance(path, str) and path and name_fault("task", task_id) is None:
            return Outline(name, path, str(task_id))
    config = parse_project(source)
    return Outline(config.name, config.path, config.task_id)


def parse_project(source: Source) -> ProjectConfig:
    """Return the validated config of a parsed file; raises ConfigError with every fault in it."""
    from orchestrator.config.rules import rule_faults
    from orchestrator.config.wording import validated

    shaped, faults = validated(source.table)
    faults += rule_faults(source.name, source.table)
    if faults or shaped is None:
        raise ConfigError(fault_lines(source.file, source.table, faults))
    return _config(source, shaped)


def read_all(root: str) -> tuple[dict[str, ProjectConfig], list[str]]:
    """Return every valid config by project name, and the faults of all other files of ``project_configs/``."""
    configs: dict[str, ProjectConfig] = {}
    faults: list[str] = []
    for stem in _stems(root):
        fault = name_fault("project", stem)
        if fault is not None:
            faults.append(f"{CONFIG_FOLDER}/: the file {shown(stem + _SUFFIX)} is no project's: {fault}")
            continue
        try:
            configs[stem] = load_project(root, stem)
        except ConfigError as error:
            faults += error.faults
        except UsageError as error:  # the file went away in between
            faults.append(f"{config_file(stem)}: {error.message}")
    return configs, faults


def _stems(root: str) -> list[str]:
    folder = os.path.join(root, CONFIG_FOLDER)
    try:
        files = os.listdir(folder)
    except OSError as error:
        refuse_broken(folder, error)
        return []
    return sorted(file[: -len(_SUFFIX)] for file in files if file.endswith(_SUFFIX) and not file.startswith("."))


def _config(source: Source, shaped: shape.Config) -> ProjectConfig:
    session, project = shaped.session, shaped.project
    return ProjectConfig(
        name=project.name,
        path=project.path,
        task_id=project.task_id,
        file=source.file,
        digest=source.digest,
        owners=tuple(project.owners),
        session=SessionConfig(
            backend=session.backend,
            python=session.python,
            install=tuple(session.install),
            pass_env=tuple(session.pass_env),
            set_env=dict(session.set_env),
            secret_env=tuple(session.secret_env),
        ),
        guardrails=GuardrailPolicy(
            required=tuple(dict.fromkeys(shaped.guardrails.required)),
            pipelines=tuple(shaped.guardrails.pipelines),
            reuse=shaped.guardrails.reuse,
        ),
        review=policy_of(source.table),
        metrics=MetricsPolicy(shaped.metrics.min_coverage, shaped.metrics.sla_budget),
        spec_guard=_spec_guard(shaped.spec_guard),
        waivers=tuple(Waiver(item.guardrail, item.reason, item.approved_by, item.until) for item in shaped.waivers),
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
    )


def _tuple(items: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if items is None else tuple(items)
