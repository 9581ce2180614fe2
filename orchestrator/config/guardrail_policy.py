"""What a project asks of guardrails: its config's table ``[guardrails]``."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.record import Record

DEFAULT_REQUIRED = ("spec-guard",)
ALWAYS_BOUND = "diagnostics"
"""The pipeline that required guardrails bind whatever ``guardrails.pipelines`` says (contract, section 3)."""


class Canary(Record):
    """``[[guardrails.canary]]``: files (path from the project → text) that ``guardrail`` must reject."""

    guardrail: str
    plant: Mapping[str, str]


class GuardrailPolicy(Record):
    """``[guardrails]``: stages that must hold, and the pipelines that they bind besides ``diagnostics``.

    With ``reuse``, a guardrail that declares inputs is not run again while they are unchanged. With
    ``proof_required``, one of the project's own without a proof that it can fail is ``advisory``.
    """

    required: tuple[str, ...] = DEFAULT_REQUIRED
    pipelines: tuple[str, ...] = (ALWAYS_BOUND,)
    reuse: bool = False
    proof_required: bool = False
    canaries: tuple[Canary, ...] = ()

    def binds(self, pipeline: str) -> bool:
        """Tell whether the required guardrails bind ``pipeline``."""
        return pipeline == ALWAYS_BOUND or pipeline in self.pipelines
