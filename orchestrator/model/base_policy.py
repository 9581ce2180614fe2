"""What a run's record says of its policy beside the base commit's (contract, section 7, "Policy")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from orchestrator.model.approvals import ALONE, APPROVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POLICY_SOFTENED = "policy-softened"
COMMAND_CHANGED = "command-changed"
SKIP_ADDED = "skip-added"
POLICY_NOT_COMPARED = "policy-not-compared"
"""Codes of an entry of the record's ``policy``; all but the first are only named."""


def unapproved_softening(
    policy: Iterable[Mapping[str, Any]], approvals: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield the reason that a run is not ready for: its config asks less than the base's, and nobody approved that.

    ``approvals`` have their validity. The account that ran the run may do it where ``review.alone`` held at the base.
    """
    softer = [entry for entry in policy if entry["code"] == POLICY_SOFTENED]
    if not softer:
        return
    newly_alone = any(entry["key"] == "review.alone" for entry in softer)
    for entry in approvals:
        validity = entry["validity"]
        counts = entry["decision"] == APPROVE and validity["state"] == "valid"
        if counts and not (newly_alone and validity["reason"] == ALONE):
            return
    what = "; ".join(f"{entry['key']}: {entry['message']}" for entry in softer[:5])
    more = f" and {len(softer) - 5} more" if len(softer) > 5 else ""
    yield POLICY_SOFTENED, f"the config asks less than the base's, and nobody else approved that: {what}{more}"
