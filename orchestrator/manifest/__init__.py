"""The record of a run: its shape (version 2), its transitions, its digest and its JSON Schema."""

from orchestrator.manifest.shape import (
    Attempt,
    ChildRun,
    Command,
    GuardrailEntry,
    Lineage,
    Manifest,
    Mode,
    ResumeEvent,
    SessionInfo,
    Sla,
    manifest_digest,
    render,
)

__all__ = [
    "Attempt",
    "ChildRun",
    "Command",
    "GuardrailEntry",
    "Lineage",
    "Manifest",
    "Mode",
    "ResumeEvent",
    "SessionInfo",
    "Sla",
    "manifest_digest",
    "render",
]
