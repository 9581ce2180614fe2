"""What a project asks of a review: its config's table ``[review]``."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_APPROVALS = 100


class ReviewPolicy(Record):
    """``[review]``. By default a run needs no approval, and nobody approves a run of their own.

    ``approvals`` people must approve, and somebody in each of ``roles``; ``alone`` lets the run's own actor
    do it; ``stale_when_tree_moves`` ends an approval as soon as the project's tree is another one. ``signers`` is
    an allowed_signers file; with ``signed`` only approvals by one of its keys count.
    """

    approvals: int = 0
    roles: tuple[str, ...] = ()
    alone: bool = False
    stale_when_tree_moves: bool = False
    signers: str | None = None
    signed: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the table, defaults filled in."""
        return {**self._asdict(), "roles": list(self.roles)}


def policy_of(table: Mapping[str, Any]) -> ReviewPolicy:
    """Return the policy that a parsed config asks for, without the validator, which takes 100 ms to load.

    Raises ValueError when ``[review]`` holds what the validator would refuse too: a policy that can't be
    read must not count as none.
    """
    review = table.get("review", {})
    if not isinstance(review, Mapping) or not set(ReviewPolicy._fields).issuperset(review):
        raise ValueError("[review] is no table with known keys")
    approvals, roles = review.get("approvals", 0), review.get("roles", [])
    if isinstance(approvals, bool) or not isinstance(approvals, int) or not 0 <= approvals <= MOST_APPROVALS:
        raise ValueError(f"review.approvals is no number from 0 to {MOST_APPROVALS}")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise ValueError("review.roles is no list of text")
    switches = {key: review.get(key, False) for key in ("alone", "stale_when_tree_moves", "signed")}
    if not all(isinstance(value, bool) for value in switches.values()):
        raise ValueError("review.alone, review.signed and review.stale_when_tree_moves are true or false")
    signers = review.get("signers")
    wrong = None if signers is None else signers_fault(signers)
    if wrong is not None or (switches["signed"] and signers is None):
        raise ValueError(f"review.signers {wrong or 'is missing, and review.signed needs it'}")
    return ReviewPolicy(approvals, tuple(dict.fromkeys(roles)), signers=signers, **switches)


def signers_fault(value: object) -> str | None:
    """Return in words what is wrong with ``review.signers``, a path from the workspace; None when nothing is."""
    if not isinstance(value, str) or not value.strip():
        return "is no path"
    if value.startswith("/") or ".." in value.split("/") or "\0" in value:
        return "is no path inside the workspace"
    return None
