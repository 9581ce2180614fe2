"""Children that are over are not read again at each step of a run that has hundreds."""

from __future__ import annotations

from pathlib import Path

from orchestrator.base.files import Folder
from orchestrator.base.json_values import json_text
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import interrupted, stage_ended, stage_started
from orchestrator.model.outcome import Ended
from orchestrator.store.child_links import ChildNote, settled_children, with_children
from orchestrator.store.claim import claim
from orchestrator.store.layout import CHILDREN
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore
from tests.records import make_manifest, make_plan, make_stage, make_store, where_is

AT = "2026-11-22T08:43:59.000Z"


def left_by(store: RunStore, parent: Folder, number: int, stage_id: str | None) -> OpenRun:
    """Return a new run that left its note with ``parent``."""
    run = claim(store, make_manifest(number), "token")
    note = ChildNote(run.manifest.run_id, run.manifest.task_id, stage_id)
    with parent.sub(CHILDREN, create=True, sync=False) as children:
        children.write(f"{note.run_id}.json", json_text(note._asdict()).encode())
    return run


def end(run: OpenRun) -> None:
    """Record the end of a run."""
    run.save(interrupted(run.manifest, AT))


def statuses(manifest: Manifest) -> dict[str | None, str]:
    """Return the status of the child of each stage."""
    return {child.stage_id: child.status for child in manifest.child_runs}


def test_only_children_that_ended_with_their_stage_are_settled(tmp_path: Path) -> None:
    """One of a stage that runs, one that runs on, and one of no stage are read again; the first at its stage's end."""
    store = make_store(tmp_path)
    plan = make_plan(make_stage("a"), make_stage("b"), make_stage("c"))
    parent = claim(store, make_manifest(1, plan), "token")
    runs = {stage: left_by(store, parent.folder, number, stage) for number, stage in enumerate(("a", "b", None), 2)}
    manifest = parent.manifest
    for stage in ("a", "b"):
        manifest = stage_started(manifest, stage, AT, f"logs/{stage}", None)
    manifest = with_children(store, parent.folder, manifest)
    assert statuses(manifest) == {"a": "in_progress", "b": "in_progress", None: "in_progress"}
    end(runs["a"])
    end(runs[None])
    manifest = with_children(store, parent.folder, manifest, settled_children(manifest))
    assert statuses(manifest) == {"a": "failed", "b": "in_progress", None: "failed"}
    assert settled_children(manifest) == frozenset()
    for stage in ("a", "b"):
        manifest = stage_ended(manifest, stage, AT, Ended("failure", 1), summary=None)
    settled = settled_children(manifest)
    assert settled == {runs["a"].manifest.run_id}
    end(runs["b"])
    runs["a"].save(runs["a"].manifest._replace(pipeline_id="other"))
    later = with_children(store, parent.folder, manifest, settled)
    assert statuses(later)["b"] == "failed"
    assert {child.pipeline_id for child in later.child_runs} == {"diagnostics"}
    assert "other" in {child.pipeline_id for child in with_children(store, parent.folder, later).child_runs}
    for run in (parent, *runs.values()):
        assert where_is(run.manifest) == run.where
        run.close()
