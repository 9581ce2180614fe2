"""Stages that passed on different trees are judged for each project by itself."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.report.readiness import mixed_stages, readiness


def body(*stages: tuple[str, str | None, int], trees: tuple[str | None, ...], children: Any = ()) -> dict[str, Any]:
    """Return what matters of a status document: stages (id, project of a sub-pipeline, attempt), the run's trees."""
    return {
        "project": "top",
        "attempt": len(trees),
        "provenance": [{"attempt": number, "tree_digest": tree} for number, tree in enumerate(trees, start=1)],
        "commands": [
            {"id": stage, "status": "succeeded", "attempts": [{"run_attempt": attempt}]} for stage, _, attempt in stages
        ],
        "plan_projects": {stage: project for stage, project, _ in stages},
        "child_runs": [{"run_id": run, "stage_id": stage, "project": project} for run, stage, project, _ in children],
        "child_trees": {run: tree for run, _, _, tree in children},
    }


OWN = ("own", None, 1)


@pytest.mark.parametrize(
    ("document", "mixed"),
    [
        (body(OWN, trees=("a", "a")), {}),
        (body(OWN, trees=("a", "b")), {"own": 1}),
        (body(OWN, trees=("a", None)), {"own": 1}),
        (body(("same", "top", 1), trees=("a", "b")), {"same": 1}),
        (body(("far", "x", 1), ("more", "y", 2), trees=("a", "b"), children=[("1", "far", "x", "t")]), {}),
        (
            body(
                *(("one", "x", 1), ("two", "x", 2)),
                trees=("a", "b"),
                children=[("1", "one", "x", "t"), ("2", "two", "x", "u")],
            ),
            {"one": 1},
        ),
        (
            body(
                *(("one", "x", 1), ("two", "x", 2)),
                trees=("a", "b"),
                children=[("1", "one", "x", "t"), ("2", "two", "x", "t")],
            ),
            {},
        ),
        (
            body(("one", "x", 2), trees=("a", "b"), children=[("1", "one", "x", "t"), ("2", "one", "x", "u")]),
            {},
        ),
    ],
)
def test_each_project_is_judged_by_its_own_trees(document: dict[str, Any], mixed: dict[str, int]) -> None:
    """A sub-pipeline of another project is compared with that project's newest child run, not with the run's tree."""
    assert mixed_stages(document) == mixed


def test_what_several_attempts_say_alike_is_said_once() -> None:
    """Two attempts that moved the same files give one reason; other files give another."""
    document = {
        **body(OWN, ("late", None, 2), trees=("a", "a")),
        "version": 2,
        "status": "succeeded",
        "outcome": "success",
        "alive": False,
        "status_detail": None,
        "guardrails": [],
        "plan": None,
        "plan_stages": {},
        "approvals": [],
        "review": {"fault": None, "approvals": 0, "roles": []},
    }
    for second, count in (("x.py", 1), ("y.py", 2)):
        for entry, moved in zip(document["provenance"], ("x.py", second), strict=True):
            entry["at_end"] = {"moved": [moved]}
        codes = [reason["code"] for reason in readiness(document)["reasons"]]
        assert codes == ["tree-moved-while-running"] * count
