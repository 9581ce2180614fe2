"""How a plan differs from the one that was approved last for its project and pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import name_fault
from orchestrator.model.approvals import APPROVE, reasons, subject_of, validities
from orchestrator.model.review_policy import ReviewPolicy
from orchestrator.store.find import read_document
from orchestrator.store.last_approved import noted_run
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Drift = tuple[str | None, tuple[str, ...]]
"""The run that was approved last, or None, and how the plan differs from its."""


def drift_from_approved(store: RunStore, plan: Mapping[str, Any], policy_of: Callable[[], ReviewPolicy]) -> Drift:
    """Return the drift of a recorded ``plan``; a run whose approval does not count any more is none.

    Costs one small file where the plan is the approved one, or none was; ``policy_of`` is asked, and that run's
    record read, where the plan is another one.
    """
    project, pipeline = plan.get("project"), plan.get("pipeline")
    if name_fault("project", project) is not None or name_fault("pipeline", pipeline) is not None:
        return None, ()
    noted = noted_run(store, str(project), str(pipeline))
    if noted is None:
        return None, ()
    if noted.plan_digest == plan.get("digest"):
        return noted.where.run_id, ()
    with suppress(NotFound, DamagedRecord, StorageError, KeyError, TypeError, AttributeError):
        record = read_document(store, noted.where)
        if record["version"] == 2 and _stands(record, policy_of()):
            from orchestrator.model.plan_diff import plan_drift  # 1 ms, and few plans differ

            return noted.where.run_id, plan_drift(record["plan"], plan)
    return None, ()


def _stands(record: Mapping[str, Any], policy: ReviewPolicy) -> bool:
    """Tell whether the reviews of a run still approve it; its tree may have moved on, which its plan has not."""
    entries = record["approvals"]
    judged = validities(entries, subject_of(record, "same"), policy)
    shown = [{**entry, "validity": found.as_json()} for entry, found in zip(entries, judged, strict=True)]
    approved = any(item["decision"] == APPROVE and item["validity"]["state"] == "valid" for item in shown)
    return approved and not list(reasons(shown, policy))
