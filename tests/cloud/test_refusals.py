"""What can't run in the cloud is refused before anything is written, or closed with the reason; so are full disks."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.clock import parse_stamp
from orchestrator.base.identifiers import make_run_id
from orchestrator.cloud.hub_client import HubClient, HubRefused
from orchestrator.config.cloud_policy import read_cloud_policy
from tests.cloud.engine import CloudWorkspace, Engine, Files, ended, until

_LIMITED = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)); "


@pytest.fixture(scope="module")
def barren(tmp_path_factory: pytest.TempPathFactory, authority: Files) -> Iterator[Engine]:
    """Yield a scheduler with a worker that has no agent."""
    engine = Engine(tmp_path_factory.mktemp("barren"), authority)
    try:
        engine.start_scheduler()
        engine.start_worker("plain", preload=None)
        yield engine
    finally:
        engine.close()


def test_a_lease_that_outlasts_worker_ttl_is_refused(engine: Engine, tmp_path: Path) -> None:
    """With the hub's own worker-ttl of 30 s a lease of 40 s is refused, and nothing is written."""
    place = CloudWorkspace(tmp_path / "ws", engine, 'lease = "40s"')
    place.project({"a": "true"})
    for which in (("--project", "x"), ("--all",)):
        done = place.call("start", "work", *which, "--mode", "cloud", "--format", "json")
        assert (done.code, done.document["error"]["code"]) == (2, "bad-lease")
    assert not (place.folder.root / ".runs").exists()


def test_a_project_that_keeps_its_runs_here_is_refused(cloud: CloudWorkspace) -> None:
    """``[session] cloud = false`` is exit code 2, and nothing is written."""
    cloud.project({"a": "true"})
    config = cloud.folder.root / "project_configs/x.toml"
    config.write_text(config.read_text().replace('backend = "none"', 'backend = "none"\ncloud = false'))
    done = cloud.call("start", "work", "--project", "x", "--mode", "cloud", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (2, "cloud-refused")
    assert not cloud.folder.runs("1-x")


def test_a_run_that_no_worker_fits_is_closed_in_time(barren: Engine, tmp_path: Path) -> None:
    """After queue_timeout the run is an error that names who is connected; ``cloud check`` says so beforehand."""
    place = CloudWorkspace(tmp_path / "ws", barren, 'lease = "4s"\nqueue_timeout = "3s"')
    place.project({"a": "true"})
    checked = place.call("cloud", "check", "--format", "json")
    assert (checked.code, [problem["code"] for problem in checked.document["problems"]]) == (4, ["no-worker"])
    code, text = ended(place.start())
    record = place.last()
    assert (code, record["status"], record["outcome"]) == (3, "failed", "error"), text
    assert "connected: plain (without an agent)" in record["status_detail"]
    assert (record["began_at"], record["engine"]["incarnations"]) == (None, []) or record["queued_seconds"] >= 3
    assert place.call("verify", "--all").code == 0


def test_a_queued_run_is_cancelled(barren: Engine, tmp_path: Path) -> None:
    """What no worker has begun ends at once, and is never begun."""
    place = CloudWorkspace(tmp_path / "ws", barren)
    place.project({"a": "true"})
    process = place.start()
    until(lambda: (place.last().get("engine") or {}).get("state") == "queued" or None)
    assert place.last()["status"] == "queued"
    done = place.call("cancel", place.last()["run_id"], "--actor", "me", "--reason", "no")
    assert done.code == 0, done
    assert ended(process)[0] == 3
    assert (place.last()["status"], place.last()["status_detail"]) == ("cancelled", "cancelled by me: no")


def test_a_run_id_that_the_hub_knows_is_refused(engine: Engine, tmp_path: Path) -> None:
    """Another submission under an id that is known is refused; the one that is there stays."""
    place = CloudWorkspace(tmp_path / "ws", engine)
    policy = read_cloud_policy(str(place.folder.root), {})
    run_id = make_run_id(parse_stamp("2026-01-01T00:00:00.000Z"), b"\1\2\3\4")
    terms = {"snapshot": {"pack_sha256": "0" * 64}, "label": "none-has-it", "retries": 0}

    async def tried() -> list[str]:
        codes = []
        async with HubClient(policy) as hub:
            call: dict[str, Any] = {"run_id": run_id, "attempt": 1, "ticket": "1" * 64, "terms": terms}
            changes: tuple[dict[str, Any], ...] = ({}, {"terms": None}, {"run_id": "../../x"})
            for change in changes:
                with pytest.raises(HubRefused) as refusal:
                    await hub.call("submit", **{**call, **change})
                codes.append(refusal.value.code)
            data = b"pack"
            name = hashlib.sha256(data).hexdigest()
            await hub.call("put_blob", name=name, ticket="1" * 64, offset=0, data=data, is_last=True)
            call["terms"] = {**terms, "snapshot": {"pack_sha256": name}}
            await hub.call("submit", **call)
            with pytest.raises(HubRefused) as refusal:
                await hub.call("submit", **{**call, "ticket": "2" * 64})
            codes.append(refusal.value.code)
            await hub.call("stop", run_id=run_id, attempt=1, actor="me", reason="over")
        return codes

    assert asyncio.run(tried()) == ["no-blob", "unknown-run", "bad-call", "known-run"]


def test_a_hub_that_was_emptied_has_lost_the_run(tmp_path: Path, authority: Files) -> None:
    """The submitter closes the record as an error, and the engine's state is lost; it is not run again."""
    engine = Engine(tmp_path / "engine", authority)
    try:
        engine.start_scheduler()
        engine.start_worker("w1")
        place = CloudWorkspace(tmp_path / "ws", engine, 'lease = "4s"')
        place.project({"b": "sleep 60"})
        process = place.start()
        place.running("b")
        engine.kill("scheduler")
        shutil.rmtree(engine.folder / "spool/hub")
        engine.start_scheduler()
        code, text = ended(process)
    finally:
        engine.close()
    record = place.last()
    assert (code, record["outcome"], record["engine"]["state"]) == (3, "error", "lost"), text
    assert "does not know the run" in record["status_detail"]
    assert place.call("verify", "--all").code == 0


@pytest.mark.parametrize("whose", ["scheduler", "w1"])
def test_a_disk_that_takes_no_more_is_named(tmp_path: Path, authority: Files, whose: str) -> None:
    """A hub or worker that can't write the snapshot ends the run as an error that names it, and does not go on."""
    engine = Engine(tmp_path / "engine", authority)
    try:
        engine.start_scheduler(limited=_LIMITED if whose == "scheduler" else "")
        engine.start_worker("w1", limited=_LIMITED if whose == "w1" else "")
        place = CloudWorkspace(tmp_path / "ws", engine)
        place.folder.project("x", {"a": "true"}, pipeline="work")
        big = random.Random(1).randbytes(900_000)
        (place.folder.root / "packages/x/big").write_bytes(big)
        place.folder.commit()
        began = time.monotonic()
        code, text = ended(place.start())
    finally:
        engine.close()
    record = place.last()
    assert (code, record["outcome"]) == (3, "error"), text
    assert ("the hub" if whose == "scheduler" else "worker w1") in record["status_detail"]
    assert time.monotonic() - began < 60
    assert place.call("verify", "--all").code == 0


def test_a_stage_that_kills_its_agent_fails_the_run(tmp_path: Path, authority: Files) -> None:
    """The agent is a worker that was lost: after the last retry the run is an error, and it is not run for ever."""
    engine = Engine(tmp_path / "engine", authority)
    try:
        engine.start_scheduler()
        engine.start_worker("w1")
        place = CloudWorkspace(tmp_path / "ws", engine, 'lease = "4s"\nretries = 0')
        pid = engine.processes["w1"].pid
        place.project({"a": f"sleep 1; kill -9 {pid}; sleep 30"})
        code, text = ended(place.start())
    finally:
        engine.close()
    assert (code, place.last()["status_detail"]) == (3, "worker w1 was lost"), text
