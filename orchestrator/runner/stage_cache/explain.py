"""Why each stage of a plan would run now, or why not."""

from __future__ import annotations

from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.runner.stage_cache.cache import StageCache, may_reuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def explained(plan: Plan, cache: StageCache | None) -> dict[str, dict[str, Any]]:
    """Return ``would``, ``reasons`` and ``reused`` of each stage, by its id.

    ``would`` is ``run``, ``reuse`` (``reused`` is then the success that would stand for it), ``skip`` (by the
    config), or ``unknown``: it is unchanged now, and a stage that would run before it may change that.
    ``cache`` is None where no stage can be cached.
    """
    found: dict[str, dict[str, Any]] = {}
    for stage in plan.stages:
        found[stage.id] = _explained_stage(plan, stage, cache, found)
    return found


def _explained_stage(
    plan: Plan, stage: PlannedStage, cache: StageCache | None, before: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    if stage.kind == "skip":
        return {"would": "skip", "reasons": [f"skipped by the config: {stage.skip}"], "reused": None}
    if cache is None:
        reason = may_reuse(plan, stage)
        return {"would": "run", "reasons": [] if reason is None else [reason], "reused": None}
    lookup = cache.lookup(stage)
    if lookup.reused is None:
        return {"would": "run", "reasons": list(lookup.reasons), "reused": None}
    moving = [need for need in stage.needs if before[need]["would"] in ("run", "unknown")]
    if moving:
        names = ", ".join(f"'{need}'" for need in moving)
        return {
            "would": "unknown",
            "reasons": [f"unchanged since run {lookup.reused.run_id}, unless {names}, which comes first, changes that"],
            "reused": lookup.reused._asdict(),
        }
    return {"would": "reuse", "reasons": [], "reused": lookup.reused._asdict()}
