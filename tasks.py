"""Invoke's entry point: ``invoke <command>`` anywhere below the workspace."""

from orchestrator.cli import namespace as ns  # noqa: F401 - Invoke looks for this name
