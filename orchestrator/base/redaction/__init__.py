"""Masking: which values are secret, and how they are taken out of everything that a stage prints.

Sources of the rules: the Buildkite agent's ``redacted-vars`` (names), the GitHub Actions runner's
``ValueEncoders`` (encodings, three base64 offsets, lines of multi-line values), and the gitleaks
rules (shapes of well-known tokens). What is masked and what is not: ``docs/security.md``.
"""

from __future__ import annotations

from orchestrator.base.redaction.names import MASK, looks_secret
from orchestrator.base.redaction.values import MIN_BYTES, secret_values, too_short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.base.redaction.masking import Stream
    from orchestrator.base.redaction.redactor import Redactor

__all__ = ["MASK", "MIN_BYTES", "Redactor", "Stream", "looks_secret", "secret_values", "too_short"]


def __getattr__(name: str) -> object:
    """Import the masking itself when it is first asked for: plans and ``status`` need only the names."""
    if name == "Redactor":
        from orchestrator.base.redaction.redactor import Redactor

        return Redactor
    if name == "Stream":
        from orchestrator.base.redaction.masking import Stream

        return Stream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
