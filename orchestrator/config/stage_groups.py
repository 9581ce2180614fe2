"""Named groups of stages: ``[[stage_groups.checks]]``, put in a pipeline by ``group = "checks"``."""

from __future__ import annotations

from orchestrator.config.faults import Fault, did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEY = "stage_groups"
_GROUP = "group"


def with_groups(table: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Return the table of a config with the stages of groups in their places, and the faults of what names them.

    What has no right shape is left as it is, for the check of shapes. A group holds stages only: ``group`` inside one
    is an unknown key there.
    """
    groups, pipelines = table.get(KEY), table.get("pipelines")
    if not isinstance(pipelines, dict):
        return table, []
    known = groups if isinstance(groups, dict) else {}
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for name, pipeline in pipelines.items():
        stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
        if not isinstance(stages, list) or not any(isinstance(stage, dict) and _GROUP in stage for stage in stages):
            found[name] = pipeline
            continue
        listed: list[Any] = []
        for place, stage in enumerate(stages):
            if not isinstance(stage, dict) or _GROUP not in stage:
                listed.append(stage)
                continue
            faults += _faults(("pipelines", name, "stages", place), stage, known)
            group = known.get(stage[_GROUP]) if isinstance(stage[_GROUP], str) else None
            listed += group if isinstance(group, list) else []
        found[name] = {**pipeline, "stages": listed}
    return {**table, "pipelines": found}, faults


def _faults(keys: tuple[str | int, ...], stage: dict[str, Any], known: dict[str, Any]) -> list[Fault]:
    name = stage[_GROUP]
    if not isinstance(name, str):
        return [Fault((*keys, _GROUP), "must be text")]
    others = sorted(set(stage) - {_GROUP})
    faults = [
        Fault((*keys, other), f"has no place beside '{_GROUP}', which stands for the group's stages")
        for other in others
    ]
    if name not in known:
        faults.append(Fault((*keys, _GROUP), f"there is no group '{name}' in {KEY}{did_you_mean(name, known)}"))
    return faults
