"""Links of children: none is lost to a kill, and those that are over are not read again at each step."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.base.files import Folder
from orchestrator.base.json_values import json_text
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import interrupted, stage_ended, stage_started
from orchestrator.model.outcome import Ended
from orchestrator.runner.run_end import close_children
from orchestrator.store.child_links import (
    ChildNote,
    leave_early_note,
    leave_link,
    notes_left,
    settled_children,
    with_children,
    withdraw_note,
)
from orchestrator.store.claim import claim
from orchestrator.store.find import goes_on, read_document
from orchestrator.store.layout import CHILDREN, MANIFEST
from orchestrator.store.open_run import OpenRun
from orchestrator.store.recovery import recover_task
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


def test_what_has_not_changed_is_the_same_object(tmp_path: Path) -> None:
    """A fleet's record is rendered by what is new: stages and children whose runs stand as before are not made anew."""
    store = make_store(tmp_path)
    plan = make_plan(*(make_stage(stage)._replace(kind="subpipeline", pipeline="smoke") for stage in ("a", "b")))
    parent = claim(store, make_manifest(1, plan), "token")
    runs = {}
    for number, stage in enumerate(("a", "b"), start=2):
        child = nested(number, parent)
        child = child._replace(lineage=child.lineage._replace(parent_stage_id=stage))
        runs[stage] = claim(store, child, "token")
        leave_link(store, child)
    manifest = parent.manifest
    for stage in ("a", "b"):
        manifest = stage_started(manifest, stage, AT, f"logs/{stage}", None)
    linked = with_children(store, parent.folder, manifest)
    assert [command.sub_run_id for command in linked.commands] == [run.manifest.run_id for run in runs.values()]
    assert with_children(store, parent.folder, linked) is linked
    end(runs["a"])
    later = with_children(store, parent.folder, linked)
    assert statuses(later) == {"a": "failed", "b": "in_progress"}
    assert all(after is before for after, before in zip(later.commands, linked.commands, strict=True))
    assert later.child_runs[1] is linked.child_runs[1]
    for run in (parent, *runs.values()):
        run.close()


def test_a_parent_that_goes_on_is_known_by_its_first_lines(tmp_path: Path) -> None:
    """Only of the run asked for, in progress, as this program writes it; each other record is read."""
    store = make_store(tmp_path)
    run = claim(store, make_manifest(1)._replace(summary='\n  "status": "succeeded",\n'), "token")
    where, written = run.where, run.folder.read(MANIFEST, 1 << 20)
    assert goes_on(run.folder, where)
    assert not goes_on(run.folder, where._replace(run_id=make_manifest(2).run_id))
    compact = json.dumps(json.loads(written)).encode()
    for other in (compact, written.replace(b'"version": 2', b'"version": 1'), b"", b"{", written[:40]):
        run.folder.write(MANIFEST, other)
        assert not goes_on(run.folder, where)
    run.folder.remove(MANIFEST)
    assert not goes_on(run.folder, where)
    run.folder.write(MANIFEST, written)
    end(run)
    assert not goes_on(run.folder, where)
    run.close()


def nested(number: int, parent: OpenRun) -> Manifest:
    """Return the first record of a run inside ``parent``, of another task."""
    manifest = make_manifest(number)
    lineage = manifest.lineage._replace(
        parentRunId=parent.manifest.run_id, parent_task_id=parent.manifest.task_id, parent_stage_id="build", depth=1
    )
    return manifest._replace(parent_run_id=parent.manifest.run_id, lineage=lineage, task_id="2-other")


def test_a_child_that_died_between_claim_and_link_is_closed_with_its_parent(tmp_path: Path) -> None:
    """The note that is left before the claim leads to it; of a run that never came to be it says nothing."""
    store = make_store(tmp_path)
    parent = claim(store, make_manifest(1), "token")
    child, never = nested(2, parent), nested(3, parent)
    for each in (child, never):
        leave_early_note(store, each)
    claim(store, child, "token").close()
    parent.close()
    assert recover_task(store, parent.manifest.task_id, interrupted) == [parent.manifest.run_id]
    record = read_document(store, where_is(child))
    assert (record["status"], record["status_detail"], record["metrics_recorded"]) == ("failed", "interrupted", True)
    [known] = read_document(store, where_is(parent.manifest))["child_runs"]
    assert (known["run_id"], known["status"]) == (child.run_id, "failed")


def test_a_claim_that_is_refused_leaves_no_note(tmp_path: Path) -> None:
    """What was left before it is taken back, and nothing else of the folder."""
    store = make_store(tmp_path)
    parent = claim(store, make_manifest(1), "token")
    refused, other = nested(2, parent), nested(3, parent)
    leave_early_note(store, refused)
    leave_link(store, other)
    withdraw_note(store, refused)
    assert [note.run_id for note in notes_left(parent.folder)] == [other.run_id]
    parent.close()


def test_a_run_that_ends_closes_its_children_that_were_killed(tmp_path: Path) -> None:
    """One whose process died before its end was published is published; one that goes on is left alone."""
    store = make_store(tmp_path)
    parent = claim(store, make_manifest(1), "token")
    died, ended_only, open_one = (nested(number, parent) for number in (2, 3, 4))
    runs = {manifest.run_id: claim(store, manifest, "token") for manifest in (died, ended_only, open_one)}
    for manifest in (died, ended_only, open_one):
        leave_link(store, manifest)
    end(runs[ended_only.run_id])
    for manifest in (died, ended_only):
        runs[manifest.run_id].close()
    close_children(store, parent)
    for manifest in (died, ended_only):
        record = read_document(store, where_is(manifest))
        assert (record["status"], record["metrics_recorded"]) == ("failed", True)
    assert read_document(store, where_is(open_one))["status"] == "in_progress"
    runs[open_one.run_id].close()
    parent.close()
