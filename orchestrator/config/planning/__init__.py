"""What will run: the plan of one pipeline for one project, compiled from their configs."""

from __future__ import annotations

from orchestrator.config.collisions import session_names
from orchestrator.config.planning.compile import check_project_folder, compile_plan, compile_with_sources, survey

__all__ = ["check_project_folder", "compile_plan", "compile_with_sources", "session_names", "survey"]
