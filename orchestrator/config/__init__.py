"""Projects' configs: ``project_configs/*.toml`` read into frozen values, with all faults in one error."""

from __future__ import annotations

from orchestrator.config.builtin import builtin_names, merged
from orchestrator.config.collisions import collision_faults, pipeline_names, session_name, session_names
from orchestrator.config.loading import Outline, load_project, outline, project_names, read_all
from orchestrator.config.values import GuardrailPolicy, PipelineConfig, ProjectConfig, SessionConfig, StageConfig


def load_all(root: str) -> tuple[dict[str, ProjectConfig], list[str]]:
    """Return every valid config by project name, and the faults of all other files and of sessions that collide."""
    configs, faults = read_all(root)
    return configs, [*faults, *collision_faults(configs)]


__all__ = [
    "GuardrailPolicy",
    "Outline",
    "PipelineConfig",
    "ProjectConfig",
    "SessionConfig",
    "StageConfig",
    "builtin_names",
    "load_all",
    "load_project",
    "merged",
    "outline",
    "pipeline_names",
    "project_names",
    "session_name",
    "session_names",
]
