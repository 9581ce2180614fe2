"""A record that is rendered again and again is the same bytes as one that is rendered once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.manifest.document import render
from orchestrator.model.manifest.manifest import ChildRun, Manifest
from orchestrator.model.manifest.rendering import Rendering
from orchestrator.model.manifest.transitions import stage_ended, stage_skipped, stage_started
from orchestrator.model.outcome import Ended
from tests.records import make_manifest, make_plan, make_run_id, make_stage

AT = "2026-11-22T08:43:59.000Z"
MANY = 25


def many(form: int = 2, count: int = MANY) -> Manifest:
    """Return the first record of a run of many stages."""
    plan = make_plan(*(make_stage(f"s{number}", needs=()) for number in range(count)))
    return make_manifest(1, plan)._replace(digest_form=form)


def child(number: int, status: str = "in_progress") -> ChildRun:
    """Return a child of the stage of that number."""
    run_id = make_run_id(number + 2)
    return ChildRun(run_id, "smoke", status, f"x/{run_id}", "1-a", "a\udcff", f"s{number}")  # type: ignore[arg-type]


def changed(manifest: Manifest, kind: str, number: int) -> Manifest:
    """Return a later record of the same run."""
    stage = f"s{number}"
    status = manifest.command(stage).status
    if kind == "start" and status == "pending":
        return stage_started(manifest, stage, AT, f"logs/{stage}", None)
    if kind == "end" and status == "running":
        return stage_ended(manifest, stage, AT, Ended("failure", 1), summary="é")
    if kind == "skip" and status == "pending":
        return stage_skipped(manifest, stage, "why")
    if kind == "child":
        return manifest._replace(child_runs=(*manifest.child_runs, child(number)))
    if kind == "plan":
        return manifest._replace(plan={**manifest.plan, "title": stage})
    return manifest._replace(summary=stage, revision=manifest.revision + 1)


STEPS = st.lists(
    st.tuples(st.sampled_from(("start", "end", "skip", "child", "plan", "other")), st.integers(0, MANY - 1)),
    max_size=40,
)


@pytest.mark.parametrize("form", [1, 2])
@pytest.mark.parametrize("count", [3, MANY])
@given(steps=STEPS)
def test_whatever_changed_the_bytes_are_those_of_the_record(
    form: int, count: int, steps: list[tuple[str, int]]
) -> None:
    """After each change of stages, children, plan and the rest, of few or many stages, in either form of digests."""
    manifest, rendering = many(form, count), Rendering()
    for kind, number in [("other", 0), *steps]:
        manifest = changed(manifest, kind, number % count)
        assert rendering.data(manifest) == render(manifest.as_json())
        if number % 2:
            assert rendering.document(manifest) == manifest.as_json()
    assert json.loads(rendering.data(manifest))["commands"][0]["id"] == "s0"


def test_a_part_that_is_gone_is_forgotten() -> None:
    """No text stays of a stage's earlier state, whose place in memory another one may take."""
    rendering, manifest = Rendering(), many()
    for number in range(MANY):
        manifest = changed(manifest, "start", number)
        rendering.data(manifest)
    assert len(rendering._known) == MANY + 1
