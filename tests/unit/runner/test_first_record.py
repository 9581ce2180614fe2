"""The first record of a run."""

from __future__ import annotations

import pytest

from orchestrator.base.redaction import Redactor
from orchestrator.runner.first_record import RunTerms, first_manifest
from orchestrator.store.layout import RunPaths
from tests.records import FakeClock, make_manifest, make_plan


@pytest.mark.parametrize(
    ("task", "slug"),
    [("1001-hello", "hello"), ("0-a-1-b", "a-1-b"), ("x-2024-y", "x-2024-y"), ("2024", "2024"), ("a1-b", "a1-b")],
)
def test_the_slug_is_the_id_without_its_number(task: str, slug: str) -> None:
    """A number that the task's id begins with is left out; what else it holds stays."""
    known = make_manifest()
    paths = RunPaths(*(known.artifact_root for _ in RunPaths._fields))
    manifest = first_manifest(
        make_plan(), RunTerms(task, "me"), known.run_id, known.lineage, paths, "digest", Redactor(()), FakeClock()
    )
    assert manifest.task_slug == slug
