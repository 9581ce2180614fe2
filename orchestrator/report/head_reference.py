"""The branch or tag that a run is of: by git or, where HEAD is detached as in most CI checkouts, by the CI job."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = ("refs/heads/", "refs/tags/", "refs/pull/")


def head_reference(body: Mapping[str, Any], provenance: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return the short name of the reference of an attempt, and whether CI said it; None where nobody did.

    ``body`` is the run's record, ``provenance`` the attempt's entry in it. The name is short as ``GITHUB_REF_NAME`` is:
    ``main``, ``v1.0``, ``5/merge``.
    """
    if provenance.get("branch"):
        return str(provenance["branch"]), False
    jobs, place = body.get("ci") or (), int(provenance.get("attempt") or 0) - 1
    job = jobs[place] if 0 <= place < len(jobs) else None
    name = (job or {}).get("ref")
    if not name:
        return None, False
    return next((name[len(kind) :] for kind in _KINDS if name.startswith(kind)), str(name)), True
