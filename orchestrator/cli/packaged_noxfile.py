"""The noxfile of a workspace that has none: the projects' sessions, registered as the root noxfile does."""

from orchestrator.nox_session import register

register()
