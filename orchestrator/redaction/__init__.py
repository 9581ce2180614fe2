"""Masking: which values are secret, and how they are taken out of everything that a stage prints."""

from __future__ import annotations

from orchestrator.redaction.names import looks_secret

MASK = "***"
"""What stands in a secret's place; the same as GitHub's runner writes."""

__all__ = ["MASK", "looks_secret"]
