"""A config that is there already, read as a proposal: with ``--keep`` the documents tell what it says."""

from __future__ import annotations

import shlex

from orchestrator.config.builtin import merged
from orchestrator.config.values import ProjectConfig, StageConfig
from orchestrator.onboarding.proposal import Pipeline, Proposal, Stage, Value

TEMPLATE = "configured"


def as_proposal(config: ProjectConfig) -> Proposal:
    """Return what a project's config says of ``diagnostics``."""
    pipeline = merged("diagnostics", config.pipelines, config.name)
    stages = tuple(map(_stage, pipeline.stages)) if pipeline is not None else ()
    return Proposal(
        TEMPLATE,
        (Pipeline("diagnostics", stages),),
        backend=config.session.backend,
        install=config.session.install,
        python=config.session.python,
        pass_env=config.session.pass_env,
    )


def _stage(stage: StageConfig) -> Stage:
    line = None if stage.run is None else shlex.join(stage.run)
    said = {"run": line, "shell": stage.shell, "pipeline": stage.pipeline, "skip": stage.skip}
    keys: dict[str, Value] = {key: text for key, text in said.items() if text is not None}
    return Stage(stage.id, keys or {"skip": "the config says nothing of it yet"})
