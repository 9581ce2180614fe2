"""What a reviewer must see of a plan: guardrails that guard nothing, secrets too short to mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from orchestrator.base.limits import DEEPEST_NESTING
from orchestrator.base.redaction import looks_secret
from orchestrator.config import GuardrailPolicy, PipelineConfig, ProjectConfig, StageConfig
from orchestrator.config.planning.cannot_fail import argv_reason, shell_reason
from orchestrator.model.builtin_guard import GUARD, REPLACED, guard_options
from orchestrator.model.plan import Flag

SHORTEST_SECRET = 6
"""Bytes; the value of a shorter secret is not masked (contract, section 5, promise 10)."""

Lookup = Callable[[str, str], PipelineConfig | None]
"""The pipeline of a project that the plan reaches, both by name."""


def flags_of(config: ProjectConfig, pipeline: PipelineConfig, lookup: Lookup) -> tuple[Flag, ...]:
    """Return the flags of a plan, in the order of its stages; ``lookup`` finds its sub-pipelines."""
    return (
        *_policy_flags(config, pipeline),
        *_guardrail_flags(config, pipeline, lookup),
        *_operator_flags(pipeline),
        *_secret_flags(config, pipeline),
    )


def _policy_flags(config: ProjectConfig, pipeline: PipelineConfig) -> Iterator[Flag]:
    if not config.guardrails.binds(pipeline.id):
        return
    for guardrail in GuardrailPolicy().required:
        if guardrail not in config.guardrails.required:
            text = f"this project does not require '{guardrail}', which is required by default"
            yield Flag(None, "guardrail-not-required", text)
    softer = config.spec_guard.softer()
    if softer:
        yield Flag(None, "guardrail-softened", f"[spec_guard] asks less than the default: {', '.join(softer)}")


def _guardrail_flags(config: ProjectConfig, pipeline: PipelineConfig, lookup: Lookup) -> Iterator[Flag]:
    required = config.guardrails.required if config.guardrails.binds(pipeline.id) else ()
    for stage in pipeline.stages:
        if stage.guardrail or stage.id in required:
            reason = _reason(config.name, stage, lookup, 0)
            if stage.id == GUARD and (stage.run is None or guard_options(stage.run, config.name) is None):
                text = f"the command of '{stage.id}' is not the built-in guard, which nothing replaces"
                yield Flag(stage.id, REPLACED, text)
            elif reason is not None:
                yield Flag(stage.id, "guardrail-cannot-fail", f"guardrail '{stage.id}' can't fail: {reason}")


def _reason(project: str, stage: StageConfig, lookup: Lookup, level: int) -> str | None:
    if stage.run is not None:
        return argv_reason(list(stage.run))
    if stage.shell is not None:
        return shell_reason(stage.shell)
    if stage.pipeline is None:
        return None
    below = lookup(stage.project or project, stage.pipeline)
    if below is None or level >= DEEPEST_NESTING:
        return None
    for each in below.stages:
        blunt = each.skip is not None or each.allow_failure
        if not blunt and _reason(stage.project or project, each, lookup, level + 1) is None:
            return None
    return f"no stage of its sub-pipeline '{stage.pipeline}' can fail"


def _operator_flags(pipeline: PipelineConfig) -> Iterator[Flag]:
    for stage in pipeline.stages:
        operator = next((word for word in stage.run or () if word in ("&&", "||")), None)
        if operator is not None:
            text = (
                f"'run' starts no shell: '{operator}' is passed to the command as an argument; 'shell' would start one"
            )
            yield Flag(stage.id, "no-shell", text)


def _secret_flags(config: ProjectConfig, pipeline: PipelineConfig) -> Iterator[Flag]:
    names = config.session.secret_env
    yield from _short_secrets(None, config.session.set_env, names)
    for stage in pipeline.stages:
        yield from _short_secrets(stage.id, stage.env or {}, names)


def _short_secrets(stage: str | None, env: Mapping[str, str], names: tuple[str, ...]) -> Iterator[Flag]:
    for name, value in env.items():
        if 0 < len(value.encode()) < SHORTEST_SECRET and (name in names or looks_secret(name)):
            text = f"the value of '{name}' is shorter than {SHORTEST_SECRET} bytes, so that it is not masked"
            yield Flag(stage, "secret-too-short", text)
