"""Which project and which task a command means."""

from __future__ import annotations

from orchestrator.config.routing.deciding import TASK_VARIABLE, Route, route

__all__ = ["TASK_VARIABLE", "Route", "route"]
