"""The reserved pipeline ``canary``: each guardrail on the tree as it is, and with each canary's files."""

from __future__ import annotations

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.config.builtin import builtin_names, merged
from orchestrator.config.guardrail_policy import ALWAYS_BOUND
from orchestrator.config.values import PipelineConfig, ProjectConfig, StageConfig
from orchestrator.model.canary import CANARY, clean_stage, planted_stage


def canary_pipeline(config: ProjectConfig) -> PipelineConfig:
    """Return the pipeline that ``prove`` runs. Raises UsageError without a canary, ConfigError without a command."""
    if not config.guardrails.canaries:
        raise UsageError(
            f"project '{config.name}' has no canary",
            hint=f"add [[guardrails.canary]] to {config.file}: docs/guardrails.md",
            code="no-canary",
        )
    stages: list[StageConfig] = []
    for guardrail in dict.fromkeys(canary.guardrail for canary in config.guardrails.canaries):
        guard = _guard(config, guardrail)
        clean = clean_stage(guardrail)
        stages.append(guard._replace(id=clean, title=f"{guardrail} on the tracked tree", needs=()))
        plants = [canary.plant for canary in config.guardrails.canaries if canary.guardrail == guardrail]
        for number, plant in enumerate(plants, start=1):
            title = f"{guardrail} with {', '.join(sorted(plant))} planted"
            planted = guard._replace(id=planted_stage(guardrail, number), title=title, needs=(clean,))
            stages.append(planted._replace(allow_failure=True))
    return PipelineConfig(CANARY, "Canaries of the guardrails", None, tuple(stages))


def _guard(config: ProjectConfig, guardrail: str) -> StageConfig:
    """Return the guard's stage of the first pipeline that runs it as a command, with its command only."""
    for name in dict.fromkeys((ALWAYS_BOUND, *config.guardrails.pipelines, *config.pipelines, *builtin_names())):
        pipeline = merged(name, config.pipelines, config.name)
        for stage in pipeline.stages if pipeline is not None else ():
            if stage.id == guardrail and (stage.run is not None or stage.shell is not None):
                return stage._replace(
                    inputs=None, outputs=None, retries=None, allow_failure=None, guardrail=None, reports=None
                )
    raise ConfigError([f"{config.file}: guardrails.canary: no pipeline runs '{guardrail}' as a command"])
