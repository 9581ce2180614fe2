"""Pipelines that lead back to themselves by their sub-pipelines: a config with one would be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.onboarding.proposal import Pipeline, skip


def without_circles(pipelines: list[Pipeline]) -> tuple[list[Pipeline], list[tuple[str, str, str]]]:
    """Return the pipelines with each stage skipped that leads back to its own pipeline, and these stages.

    A stage is named by its pipeline, its id and the pipeline that it would have run.
    """
    leads = {
        item.id: {str(stage.keys["pipeline"]) for stage in item.stages if "pipeline" in stage.keys}
        for item in pipelines
    }
    found, circles = [], []
    for item in pipelines:
        stages = []
        for stage in item.stages:
            below = stage.keys.get("pipeline")
            if isinstance(below, str) and _reaches(leads, below, item.id):
                leads[item.id].discard(below)
                circles.append((item.id, stage.id, below))
                stages.append(skip(stage.id, f"the early version's pipeline '{below}' led back to this one"))
            else:
                stages.append(stage)
        found.append(replace(item, stages=tuple(stages)))
    return found, circles


def _reaches(leads: Mapping[str, set[str]], name: str, wanted: str) -> bool:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        here = waiting.pop()
        if here == wanted:
            return True
        if here not in seen:
            seen.add(here)
            waiting += leads.get(here, ())
    return False
