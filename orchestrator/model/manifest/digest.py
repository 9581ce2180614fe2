"""The manifest digest: what state, approvals, evidence and the chain cite a record by."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.canonical import canonical_digest, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_DIGESTED = frozenset({"approvals", "metrics_recorded", "child_runs", "heartbeat_at", "updated_at", "revision"})
"""Keys that change after a run's end, and so are no part of the manifest digest (contract, section 4)."""


def manifest_digest(document: Mapping[str, Any]) -> str:
    """Return the manifest digest that state, approvals and evidence cite (contract, section 4)."""
    digested = {key: value for key, value in document.items() if key not in NOT_DIGESTED}
    return canonical_digest(digested) if document.get("digest_form") == 2 else digest_of(digested)
