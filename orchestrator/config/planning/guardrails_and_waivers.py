"""What policy asks of a pipeline: nothing left unsaid, no required guardrail dropped, skipped or softened."""

from __future__ import annotations

from datetime import date

from orchestrator.config.values import PipelineConfig, ProjectConfig, StageConfig


def policy_faults(config: ProjectConfig, pipeline: PipelineConfig, today: date) -> list[str]:
    """Return why ``pipeline`` of ``config`` may not run on ``today`` (UTC), one line for each reason."""
    place = f"{config.file}: pipelines.{pipeline.id}"
    faults = [
        f"{place}: the built-in stage '{stage.id}' runs nothing yet: "
        f"say what '{stage.id}' is (run or shell), or skip it with a reason"
        for stage in pipeline.stages
        if not stage.complete
    ]
    if config.guardrails.binds(pipeline.id):
        for guardrail in config.guardrails.required:
            if not any(waiver.guardrail == guardrail and waiver.stands(today) for waiver in config.waivers):
                faults += _guardrail_faults(place, config, pipeline, guardrail)
    return faults


def _guardrail_faults(place: str, config: ProjectConfig, pipeline: PipelineConfig, guardrail: str) -> list[str]:
    ended = max((waiver.until for waiver in config.waivers if waiver.guardrail == guardrail), default=None)
    note = f"; its waiver ended on {ended}" if ended else ""
    stage = next((stage for stage in pipeline.stages if stage.id == guardrail), None)
    if stage is None:
        return [f"{place}: has no stage '{guardrail}', the guardrail that it must have{note}"]
    return [f"{place}.stages[{guardrail}].{fault}{note}" for fault in _softened(stage)]


def _softened(stage: StageConfig) -> list[str]:
    faults = []
    if stage.skip is not None:
        faults.append("skip: a required guardrail can't be skipped")
    if stage.allow_failure:
        faults.append("allow_failure: a required guardrail can't be allowed to fail")
    if not stage.guardrail:
        faults.append("guardrail: must be true, because policy requires this guardrail")
    return faults
