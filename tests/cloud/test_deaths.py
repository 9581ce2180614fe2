"""Deaths: whoever dies of worker, agent, scheduler and submitter, the run ends once, and the record says how."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cloud.engine import CloudWorkspace, Engine, Files, ended, pids_of, until
from tests.cloud.link import Link

SETTINGS = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "10s"}
_COUNT = "for i in $(seq 1 {times}); do echo {mark} $i; sleep 0.2; done"


@pytest.fixture
def mortal(tmp_path: Path, authority: Files) -> Iterator[Engine]:
    """Yield an engine of the test's own, with two workers."""
    engine = Engine(tmp_path / "engine", authority, SETTINGS)
    try:
        engine.start_scheduler()
        engine.start_worker("w1")
        engine.start_worker("w2")
        yield engine
    finally:
        engine.close()


@pytest.fixture
def place(tmp_path: Path, mortal: Engine) -> CloudWorkspace:
    """Return a workspace whose project counts for four seconds in its second stage."""
    found = CloudWorkspace(tmp_path / "ws", mortal, 'lease = "4s"')
    mark = f"mark-{tmp_path.name}"
    found.project({"a": "echo first", "b": {"shell": _COUNT.format(times=20, mark=mark), "needs": ["a"]}})
    return found


def test_a_killed_worker_leaves_nothing_and_its_run_goes_on_elsewhere(
    mortal: Engine, place: CloudWorkspace, tmp_path: Path
) -> None:
    """Nothing of the run is left on the host of a killed worker within a second; another one runs all stages anew."""
    process = place.start()
    worker = place.worker_of(place.running("b"))
    mortal.kill(worker)
    killed = time.monotonic()
    until(lambda: not pids_of(f"mark-{tmp_path.name}") or None, 10)
    assert time.monotonic() - killed < 3.0, "the lease is longer: the death itself ended it"
    code, text = ended(process)
    record = place.last()
    assert code == 0, text
    assert [held["outcome"] for held in record["engine"]["incarnations"]] == ["lost", "ended"]
    assert record["engine"]["incarnations"][0]["reason"] == f"worker {worker} was lost"
    attempts = record["commands"][1]["attempts"]
    assert [(attempt["outcome"], attempt["detail"]) for attempt in attempts] == [
        ("error", f"worker {worker} was lost"),
        ("success", None),
    ]
    logs = [(place.folder.root / attempt["log_path"]).read_text() for attempt in attempts]
    assert logs[0].startswith(f"mark-{tmp_path.name} 1\n")
    assert logs[1].count("\n") == 20
    verified = place.call("verify", "--all")
    assert verified.code == 0, verified.stdout


def test_a_stopped_worker_loses_its_run_within_the_lease(mortal: Engine, place: CloudWorkspace, tmp_path: Path) -> None:
    """The run of an agent that is stopped ends itself within the lease, and goes on elsewhere after worker-ttl."""
    process = place.start()
    worker = place.worker_of(place.running("b"))
    mortal.kill(worker, signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: not pids_of(f"mark-{tmp_path.name}") or None, 10)
    assert time.monotonic() - stopped < 4.0 + 4.0, "worker-ttl is longer"
    code, text = ended(process)
    assert code == 0, text
    assert time.monotonic() - stopped < 20.0 + 20.0
    assert place.last()["engine"]["incarnations"][0]["outcome"] == "lost"
    mortal.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("pause", [0.0, 2.0])
def test_a_run_survives_its_scheduler(mortal: Engine, place: CloudWorkspace, pause: float) -> None:
    """A scheduler that is killed takes its workers along; when all are back the run goes on under its id."""
    process = place.start()
    place.running("b")
    mortal.kill("scheduler")
    time.sleep(pause)
    mortal.start_scheduler()
    for name in ("w1", "w2"):
        mortal.processes[name].wait(20)
        mortal.start_worker(name)
    code, text = ended(process)
    assert code == 0, text
    record = place.last()
    assert [held["outcome"] for held in record["engine"]["incarnations"]] == ["lost", "ended"]
    assert place.call("verify", "--all").code == 0


def test_lost_too_often_is_failed(mortal: Engine, tmp_path: Path) -> None:
    """When one more worker is lost than may be, the run is failed with outcome error and names them."""
    place = CloudWorkspace(tmp_path / "ws", mortal, 'lease = "4s"\nretries = 0')
    place.project({"b": "sleep 30"})
    process = place.start()
    worker = place.worker_of(place.running("b"))
    mortal.kill(worker)
    code, text = ended(process)
    record = place.last()
    assert (code, record["status"], record["outcome"]) == (3, "failed", "error"), text
    assert record["status_detail"] == f"worker {worker} was lost"
    assert place.call("verify", "--all").code == 0


def test_submitter_and_worker_both_die_and_the_run_ends_once(mortal: Engine, place: CloudWorkspace) -> None:
    """Whoever attaches finds the run going on elsewhere under its id, and its record has one end."""
    process = place.start()
    record = place.running("b")
    process.kill()
    process.communicate()
    mortal.kill(place.worker_of(record))
    attached = place.call("attach", record["run_id"], "--format", "json")
    assert attached.code == 0, attached
    record = place.last()
    assert [held["outcome"] for held in record["engine"]["incarnations"]] == ["lost", "ended"]
    assert [attempt["outcome"] for attempt in record["commands"][1]["attempts"]] == ["error", "success"]
    assert (place.folder.root / record["log_path"]).read_text().count('"run:end"') == 1
    assert place.call("verify", "--all").code == 0


def test_a_worker_that_dies_after_the_end_takes_nothing_along(mortal: Engine, tmp_path: Path) -> None:
    """The record of an ended run is the hub's: it comes home also when submitter and workers are gone by then."""
    place = CloudWorkspace(tmp_path / "ws", mortal, 'lease = "4s"')
    place.project({"b": "sleep 2; echo done"})
    process = place.start()
    run_id = place.running("b")["run_id"]
    process.kill()
    process.communicate()
    fence = mortal.folder / "spool/hub/runs" / f"{run_id}.fence"
    until(lambda: '"kind": "end"' in fence.read_text() or None)
    for name in ("w1", "w2"):
        mortal.kill(name)
    attached = place.call("attach", run_id, "--format", "json")
    assert attached.code == 0, attached
    assert place.log(place.last(), "b") == "done\n"
    assert [held["outcome"] for held in place.last()["engine"]["incarnations"]] == ["ended"]


def test_a_worker_that_is_cut_off_loses_its_run_within_the_lease(
    mortal: Engine, place: CloudWorkspace, tmp_path: Path
) -> None:
    """A link that carries nothing any more is no process's death: the lease ends the run, and it goes on elsewhere."""
    for name in ("w1", "w2"):
        mortal.kill(name)
    with Link(mortal.port) as link:
        mortal.start_worker("far", address=f"tls://127.0.0.1:{link.port}")
        process = place.start()
        place.running("b")
        link.cut()
        cut = time.monotonic()
        until(lambda: not pids_of(f"mark-{tmp_path.name}") or None, 15)
        assert time.monotonic() - cut < 4.0 + 4.0, "worker-ttl is longer"
        mortal.start_worker("near")
        code, text = ended(process)
        assert code == 0, text
    held = place.last()["engine"]["incarnations"]
    assert [(entry["worker"], entry["outcome"]) for entry in held] == [("far", "lost"), ("near", "ended")]


def test_after_a_week_without_contact_a_run_is_given_up(tmp_path: Path, authority: Files) -> None:
    """While the engine is away attach is refused and changes nothing; after seven days the run is closed as lost."""
    engine = Engine(tmp_path / "engine", authority)
    try:
        engine.start_scheduler()
        engine.start_worker("w1")
        place = CloudWorkspace(tmp_path / "ws", engine)
        place.project({"b": "sleep 60"})
        process = place.start()
        run_id = place.running("b")["run_id"]
        process.kill()
        process.communicate()
    finally:
        engine.close()
    path = place.folder.runs("1-x")[0] / "manifest.json"
    before = path.read_bytes()
    refused = place.call("attach", run_id, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "engine-unreachable")
    refused = place.call("cancel", run_id, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "engine-unreachable")
    assert place.call("resume", run_id).code == 5
    assert path.read_bytes() == before
    heard = place.last()["engine"]["last_contact_at"]
    long_ago = (datetime.fromisoformat(heard) - timedelta(days=7, minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    path.write_bytes(
        before.replace(f'"last_contact_at": "{heard}"'.encode(), f'"last_contact_at": "{long_ago}"'.encode())
    )
    assert place.call("attach", run_id).code == 3
    record = place.last()
    assert (record["outcome"], record["engine"]["state"]) == ("error", "lost")
    assert "7 days" in record["status_detail"]
    assert place.call("verify", "--all").code == 0
