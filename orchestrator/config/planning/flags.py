"""What a project's config asks less than the default, as flags of its plan."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.config import GuardrailPolicy, PipelineConfig, ProjectConfig
from orchestrator.model.plan import Flag


def policy_flags(config: ProjectConfig, pipeline: PipelineConfig) -> Iterator[Flag]:
    """Yield what the config of a pipeline's project leaves out of the default policy, where policy binds it."""
    if not config.guardrails.binds(pipeline.id):
        return
    for guardrail in GuardrailPolicy().required:
        if guardrail not in config.guardrails.required:
            text = f"this project does not require '{guardrail}', which is required by default"
            yield Flag(None, "guardrail-not-required", text)
    softer = config.spec_guard.softer()
    if softer:
        yield Flag(None, "guardrail-softened", f"[spec_guard] asks less than the default: {', '.join(softer)}")
