"""Projects' configs: ``project_configs/*.toml`` read into frozen values, with all faults in one error.

Names come from their modules when they are first asked for: routing, which every command needs, reads outlines only.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.config.builtin import builtin_names, merged
    from orchestrator.config.collisions import pipeline_names, session_name, session_names
    from orchestrator.config.loading import load_project, read_all
    from orchestrator.config.outlines import Outline, project_names
    from orchestrator.config.values import PipelineConfig, ProjectConfig, SessionConfig, StageConfig

__all__ = [
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
    "read_all",
    "session_name",
    "session_names",
]

_MODULES = {
    "builtin": ("builtin_names", "merged"),
    "collisions": ("pipeline_names", "session_name", "session_names"),
    "loading": ("load_project", "read_all"),
    "outlines": ("Outline", "project_names"),
    "values": ("PipelineConfig", "ProjectConfig", "SessionConfig", "StageConfig"),
}


def outline(root: str, name: str) -> Outline:
    """Return name, path and default task of project ``name``; raises as ``load_project`` does."""
    from orchestrator.config.outlines import Outline, quick_outline

    found = quick_outline(root, name)
    if found is None:
        from orchestrator.config.loading import load_project

        config = load_project(root, name)
        found = Outline(config.name, config.path, config.task_id)
    return found


def load_all(root: str) -> tuple[dict[str, ProjectConfig], list[str]]:
    """Return every valid config by project name, and the faults of all other files and of sessions that collide."""
    from orchestrator.config.collisions import collision_faults
    from orchestrator.config.loading import read_all

    configs, faults = read_all(root)
    return configs, [*faults, *collision_faults(configs)]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            full = f"{__name__}.{module}"
            __import__(full)  # importlib would have to be imported itself
            return getattr(sys.modules[full], name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
