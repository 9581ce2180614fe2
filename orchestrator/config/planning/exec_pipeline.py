"""The reserved pipeline ``exec``: the one command that was given, in the session of the project."""

from __future__ import annotations

from orchestrator.base.errors import UsageError
from orchestrator.config.values import PipelineConfig, StageConfig
from orchestrator.model.exec_command import COMMAND_STAGE, EXEC


def exec_pipeline(command: tuple[str, ...]) -> PipelineConfig:
    """Return the pipeline of the words of a command. Raises UsageError without any: no config says what it runs."""
    if not command:
        raise UsageError(
            f"pipeline '{EXEC}' is of the command 'exec', which is given what it runs",
            hint="codex-orchestrator exec --project NAME -- COMMAND …",
            code="reserved-pipeline",
        )
    return PipelineConfig(EXEC, "One command", None, (StageConfig(COMMAND_STAGE, run=command),))
