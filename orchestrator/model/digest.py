"""Digests of JSON values: what state, approvals, evidence and the chain cite a record by."""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.base.sha256 import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_DIGESTED = frozenset({"approvals", "metrics_recorded", "child_runs", "heartbeat_at", "updated_at", "revision"})
"""Keys that change after a run's end, and so are no part of the manifest digest (contract, section 4)."""


def digest_of(value: object) -> str:
    """Return the sha256 (hex) of the canonical JSON of ``value``: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def manifest_digest(document: Mapping[str, Any]) -> str:
    """Return the manifest digest that state, approvals and evidence cite (contract, section 4)."""
    return digest_of({key: value for key, value in document.items() if key not in NOT_DIGESTED})
