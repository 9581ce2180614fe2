"""What a run is judged by and is not in its record: its project's review policy, and the current tree."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.base.identifiers import name_fault
from orchestrator.commands.review.approved_plan import drift_from_approved
from orchestrator.commands.review.granted_policy import GrantedPolicy, signers_of, with_base
from orchestrator.commands.review.project_policy import review_policy
from orchestrator.model.approvals import ReviewContext
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.git import Capture

GIT_PATIENCE_SECONDS = 5.0
"""A look at a run waits no longer for git; a run itself waits 30 s."""


def review_context_of(
    store: RunStore, record: Mapping[str, Any], environ: Mapping[str, str], *, look: bool = True
) -> ReviewContext:
    """Return the review context of a run, by its manifest ``record``; ``look`` at the project's tree, which starts git.

    The tree of a run that goes on, or that never came to record its own, is not looked at. Raises nothing.
    """
    project = record.get("project")
    if record.get("version") != 2 or name_fault("project", project) is not None:
        return ReviewContext()
    capture = _begin(store.workspace.root, record, environ) if look else None
    policy, fault = review_policy(store.workspace.root, str(project))
    base = GrantedPolicy(policy)
    if policy.alone or policy.signers or policy.signed:
        base = with_base(store.workspace.root, str(project), policy, environ)
        policy, fault = base.policy, fault or base.fault
    entries = record.get("approvals") or ()
    signed = signers_of(str(record.get("run_id")), entries, base.signers, environ)
    plan = record.get("plan")
    approved, drift = drift_from_approved(store, plan, lambda: policy) if isinstance(plan, Mapping) else (None, ())
    tree = capture.finish_tree() if capture is not None else None
    return ReviewContext(policy, fault, tree, approved, drift, signed)


def _begin(root: str, record: Mapping[str, Any], environ: Mapping[str, str]) -> Capture | None:
    plan, provenance = record.get("plan"), record.get("provenance")
    if not isinstance(plan, Mapping) or not isinstance(provenance, list) or record.get("status") not in TERMINAL:
        return None
    path = plan.get("project_path")
    last = provenance[-1] if provenance else None
    if not isinstance(path, str) or not isinstance(last, Mapping) or not last.get("tree_digest"):
        return None
    folder = os.path.normpath(os.path.join(root, path))
    if not os.path.isdir(folder):
        return None
    from orchestrator.git import Capture, CodePatterns

    outputs, kept = _outputs(plan.get("stages")), plan.get("spec_guard")
    code = CodePatterns()
    if isinstance(kept, Mapping):
        code = CodePatterns(_texts(kept.get("code")), _texts(kept.get("exclude")))
    return Capture.begin(folder, root, environ, ignored=outputs, code=code, timeout_seconds=GIT_PATIENCE_SECONDS)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _outputs(stages: object) -> Sequence[str]:
    """Return the globs that were no part of the tree when the run recorded it."""
    entries = [stage for stage in stages if isinstance(stage, Mapping)] if isinstance(stages, list) else []
    found = [stage.get(key) for stage in entries for key in ("outputs", "reports")]
    return [glob for globs in found if isinstance(globs, list) for glob in globs if isinstance(glob, str)]
