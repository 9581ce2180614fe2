"""The first record of a run."""

from __future__ import annotations

import pytest

from orchestrator.base.redaction import Redactor
from orchestrator.model.manifest.engine import Engine
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


def test_a_run_of_mode_cloud_waits_for_a_worker_first() -> None:
    """With an engine the first record is of mode cloud and queued; it has not begun."""
    known = make_manifest()
    paths = RunPaths(*(known.artifact_root for _ in RunPaths._fields))
    engine = Engine("dask.distributed", "tls://scheduler.example:8786", "submitting")
    terms = RunTerms("1001-hello", "me", mode="cloud", engine=engine)
    manifest = first_manifest(
        make_plan(), terms, known.run_id, known.lineage, paths, "digest", Redactor(()), FakeClock()
    )
    assert (manifest.mode.name, manifest.engine) == ("cloud", engine)
    assert (manifest.status, manifest.status_detail, manifest.began_at) == ("queued", "waits for a worker", None)
