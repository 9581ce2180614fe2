"""Masking: which values are secret, and how they are taken out of everything that a stage prints.

Sources of the rules: the Buildkite agent's ``redacted-vars`` (names), the GitHub Actions runner's
``ValueEncoders`` (encodings, three base64 offsets, lines of multi-line values), and the gitleaks
rules (shapes of well-known tokens). What is masked and what is not: ``docs/security.md``.
"""

from __future__ import annotations

from orchestrator.base.redaction.names import MASK, looks_secret
from orchestrator.base.redaction.redactor import Redactor
from orchestrator.base.redaction.values import MIN_BYTES, secret_values

__all__ = ["MASK", "MIN_BYTES", "Redactor", "looks_secret", "secret_values"]
