"""Deaths: whoever dies of worker, agent, scheduler and submitter, the run ends once, and the record says how."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.engine import CloudWorkspace, Engine, Files, ended, pids_of, until

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
    assert time.monotonic() - killed < 1.0
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
    assert time.monotonic() - stopped < 4.0 + 1.0
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
