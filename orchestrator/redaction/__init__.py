"""Masking: which values are secret, and how they are taken out of everything that a stage prints.

Sources of the rules: the Buildkite agent's ``redacted-vars`` (names), the GitHub Actions runner's
``ValueEncoders`` (encodings, three base64 offsets, lines of multi-line values), and the gitleaks
rules (shapes of well-known tokens). What is masked and what is not: ``docs/security.md``.
"""

from __future__ import annotations

from orchestrator.redaction.masking import MASK, Redactor, Stream
from orchestrator.redaction.names import looks_secret
from orchestrator.redaction.values import MIN_BYTES, secret_values, too_short

__all__ = ["MASK", "MIN_BYTES", "Redactor", "Stream", "looks_secret", "secret_values", "too_short"]
