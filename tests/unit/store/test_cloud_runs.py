"""Open runs of mode cloud in the store: nobody closes one but who takes it over as its keeper."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.base.errors import DamagedRecord, NotFound, Refused
from orchestrator.base.redaction import Redactor
from orchestrator.commands.run.ancestry import Ancestry
from orchestrator.commands.run.create_run import begin_run
from orchestrator.model.lineage import child_lineage
from orchestrator.model.manifest.document import render
from orchestrator.model.manifest.transitions import begun, closed, interrupted
from orchestrator.runner.first_record import RunTerms
from orchestrator.store.child_links import leave_link
from orchestrator.store.claim import claim
from orchestrator.store.cloud_runs import take_cloud_run
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location
from orchestrator.store.liveness import sign_of_life
from orchestrator.store.recovery import finish, recover_run, recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import take_over
from orchestrator.store.verification.tasks import verify_task
from tests.records import TASK, FakeClock, make_engine, make_manifest, make_plan, make_store, where_is


def left_open(store: RunStore, *, in_cloud: bool = True) -> Location:
    """Return where a run is whose process has died, in the cloud or not."""
    terms = RunTerms(TASK, "ann", mode="cloud", engine=make_engine()) if in_cloud else RunTerms(TASK, "ann")
    run = begin_run(store, make_plan(), terms, Ancestry(None), Redactor(()), FakeClock())
    run.close()
    return run.where


def test_recovery_leaves_it_alone(tmp_path: Path) -> None:
    """Neither the recovery of its task nor its own changes a byte of its folder; a local run beside it is closed."""
    store = make_store(tmp_path)
    where, died = left_open(store), left_open(store, in_cloud=False)
    folder = tmp_path / ".runs" / TASK / "cli" / where.run_id
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert recover_task(store, TASK, interrupted) == [died.run_id]
    assert recover_run(store, where, interrupted) is False
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    with pytest.raises(Refused) as refused:
        take_over(store, where)
    assert (refused.value.code, refused.value.exit_code) == ("unattended", 5)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert read_document(store, where)["status"] == "queued"
    assert read_document(store, died)["status"] == "failed"


def test_a_child_in_the_cloud_outlives_its_parent(tmp_path: Path) -> None:
    """A parent that died is closed; its child in the cloud is not, and stands in the parent's record as it is."""
    store = make_store(tmp_path)
    parent = claim(store, make_manifest(1), "token")
    lineage = child_lineage(parent.manifest.as_json(), "build")
    child = make_manifest(2)._replace(parent_run_id=parent.where.run_id, lineage=lineage, engine=make_engine())
    child = child._replace(mode=child.mode._replace(name="cloud"))
    claim(store, child, "token").close()
    leave_link(store, child)
    parent.close()
    assert recover_task(store, TASK, interrupted) == [parent.where.run_id]
    assert read_document(store, where_is(child))["status"] == "in_progress"
    assert read_document(store, parent.where)["child_runs"][0]["status"] == "in_progress"


def test_a_keeper_takes_it_over_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock is taken and owned as that of a run that goes on; its record is as it was, and can be led to its end."""
    monkeypatch.setattr("orchestrator.store.take_over._PROBE_PATIENCE_SECONDS", 0.1)
    store = make_store(tmp_path)
    where = left_open(store)
    with closing(take_cloud_run(store, where)) as run:
        assert run.manifest.status == "queued"
        assert read_document(store, where)["revision"] == 1
        assert sign_of_life(run.folder, store.clock.now()) == "lock"
        with pytest.raises(Refused) as refused:
            take_cloud_run(store, where)
        assert (refused.value.code, refused.value.exit_code) == ("attended", 5)
        run.save(begun(run.manifest, "2026-11-22T08:44:00.000Z", 54.0))
        finish(store, run, lambda manifest, at: closed(interrupted(manifest, at), at, "error", "lost", None))
    document = read_document(store, where)
    assert (document["status"], document["outcome"], document["status_detail"]) == ("failed", "error", "lost")
    assert document["metrics_recorded"] is True
    assert verify_task(store, TASK).findings == ()
    with closing(take_cloud_run(store, where)) as run:
        assert run.manifest.is_terminal


def test_only_a_run_in_the_cloud_is_taken_so(tmp_path: Path) -> None:
    """A local run that died is refused and stays as it is; one that is not there is not found."""
    store = make_store(tmp_path)
    where = left_open(store, in_cloud=False)
    with pytest.raises(Refused) as refused:
        take_cloud_run(store, where)
    assert refused.value.code == "not-in-cloud"
    assert recover_run(store, where, interrupted) is True
    with pytest.raises(NotFound):
        take_cloud_run(store, Location(TASK, make_manifest(9).run_id))


def test_an_ended_run_is_no_open_one_again(tmp_path: Path) -> None:
    """A record that was set back to open, in the cloud, is altered: nobody takes it over, and ``verify`` names it."""
    store = make_store(tmp_path)
    where = left_open(store, in_cloud=False)
    ended = read_document(store, where)
    assert recover_run(store, where, interrupted) is True
    with closing(store.run_folder(where)) as folder, store.task(TASK) as task, task.sub(".open") as opened:
        same = {key: ended[key] for key in ("run_id", "task_id", "started_at")}
        forged = make_manifest()._replace(**same, engine=make_engine())
        forged = forged._replace(mode=forged.mode._replace(name="cloud"))
        folder.write("manifest.json", render(forged.as_json()))
        opened.create(where.run_id, b"")
    with pytest.raises(DamagedRecord, match="has ended"):
        take_cloud_run(store, where)
    assert "manifest-edited" in {finding.code for finding in verify_task(store, TASK).findings}
