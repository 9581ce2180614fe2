"""How a run stands with its reviewers, and with the current tree, in lines of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.model.approvals import APPROVE, DECISIONS, REQUEST_CHANGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_LISTED = 5
_MOST_REASON = 200
_DONE = {APPROVE: "approved", REQUEST_CHANGES: "asks for changes", "comment": "commented"}

Part = tuple[str, Sequence[str], str]
"""A label, its values, and their style."""


def listed(entries: list[str]) -> list[str]:
    """Return the first entries, and how many more there are."""
    more = len(entries) - _MOST_LISTED
    return entries if more <= 0 else [*entries[:_MOST_LISTED], f"and {more} more"]


def review_lines(document: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the reviews of a status document, the newest first, and how its plan differs from the approved one."""
    policy = f" (policy: {document['approval_policy']})" if document["approval_policy"] else ""
    entries = [review_line(entry) for entry in reversed(document["approvals"])]
    yield "Approvals", listed(entries) or [f"none{policy}{_asked(document['review'])}"], ""
    drift = document["drift"]
    if drift["changes"]:
        head = f"other than the plan approved with {drift['approved_run']}:"
        yield "Drift", [head, *listed([f"- {change}" for change in drift["changes"]])], "yellow"


def _asked(review: Mapping[str, Any]) -> str:
    asked = [f"{review['approvals']} needed"] if review["approvals"] else []
    asked += [f"role '{role}' needed" for role in review["roles"]]
    return f"; {', '.join(asked)}" if asked else ""


def review_line(entry: Mapping[str, Any]) -> str:
    """Return one review in a line: who, what, when, why, and whether it counts."""
    if entry.get("decision") not in DECISIONS:
        found = [f"{key} {value}" for key, value in entry.items() if isinstance(value, str)]
        return _clipped(", ".join(found)) + " (bound to no record)"
    role = f" as {entry['role']}" if entry.get("role") else ""
    scope = f" ({entry['scope']})" if entry.get("scope") not in (None, "run") else ""
    reason = f": {_clipped(entry['reason'])}" if entry.get("reason") else ""
    escalated = f"; escalated: {_clipped(entry['escalation'])}" if entry.get("escalation") else ""
    validity = entry["validity"]
    counts = [] if validity["state"] == "valid" else [validity["state"]]
    noted = "; ".join([*counts, *([validity["reason"]] if validity["reason"] else [])])
    done = _DONE[entry["decision"]]
    at = str(entry.get("timestamp", ""))[:16].replace("T", " ")
    return f"{entry.get('actor') or 'somebody'}{role} {done}{scope}, {at}{reason}{escalated}" + (
        f" [{noted}]" if noted else ""
    )


def _clipped(value: object) -> str:
    text = str(value)
    return text if len(text) <= _MOST_REASON else text[: _MOST_REASON - 1] + "…"


def tree_line(fresh: Mapping[str, Any]) -> Iterator[Part]:
    """Yield how the project's current tree compares with the one that ran; nothing when nobody looked."""
    now = fresh["now"]
    if now is None:
        return
    if fresh["tree"] == "same":
        yield "Tree", ["still what ran"], ""
    elif fresh["tree"] == "moved":
        yield "Tree", [f"has changed since: {_move(fresh['then'], now)}"], "yellow"
    else:
        yield "Tree", [f"can't be compared: {fresh['note'] or 'its digest is not known'}"], "yellow"


def _move(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if then["commit"] == now["commit"]:
        return "changes that are not committed" if now["dirty"] else "other files at the same commit"
    commits = [str(state["commit"] or "no commit")[:12] for state in (then, now)]
    branch = f" on {now['branch']}" if now["branch"] else ""
    return f"commit {commits[0]}, now {commits[1]}{branch}" + (", not all committed" if now["dirty"] else "")
