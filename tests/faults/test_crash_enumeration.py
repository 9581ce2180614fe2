"""The process ends at every operation of a run's life, and again at every operation of its recovery."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.durable import Seam
from orchestrator.manifest.document import parse
from orchestrator.manifest.schema import load
from orchestrator.manifest.shape import Manifest
from orchestrator.manifest.transitions import closed, interrupted, stage_ended, stage_started
from orchestrator.outcome import TERMINAL, Ended
from orchestrator.recording import judged
from orchestrator.run_store.claim import claim
from orchestrator.run_store.layout import CLI, MANIFEST, METRICS, OPEN, STATE
from orchestrator.run_store.publish import publish
from orchestrator.run_store.recovery import recover_task
from orchestrator.run_store.store import RunStore
from tests.faults.crash_seam import CountingSeam, Crash, crash_at, torn_write_at
from tests.records import TASK, FakeClock, make_manifest, make_plan, make_workspace

AT = "2026-11-22T08:43:09.000Z"


class QuickSeam(CountingSeam):
    """Doesn't wait for the disk: what is enumerated is the order of operations, which the kernel keeps."""

    def fsync(self, fd: int) -> None:
        self._step("fsync")


def store_of(root: Path, seam: Seam) -> RunStore:
    """Return a store whose warnings are of no interest."""
    return RunStore(make_workspace(root), FakeClock(), seam=seam, warn=lambda message: None)


def live(root: Path, seam: Seam, told: list[str]) -> None:
    """Lead a run from its claim to its published end; ``told`` gets its id once it may be told."""
    store = store_of(root, seam)
    recover_task(store, TASK, interrupted)
    plan = make_plan()
    run = claim(store, make_manifest(1, plan), "token")
    told.append(run.where.run_id)
    try:
        manifest: Manifest = run.manifest
        for stage in plan.stages:
            manifest = run.save(stage_started(manifest, stage.id, AT, "log"))
            ended = Ended("success", 0, wall_seconds=1.0)
            manifest = stage_ended(manifest, stage.id, AT, ended, summary=None, left_out=0, forgiven=False)
        run.save(closed(judged(manifest, plan, FakeClock()), AT, "success", None, "done"))
        publish(store, run, certain=True)
    finally:
        # What the kernel does when a process dies: descriptors are closed, locks are free.
        run.close()


def recover(root: Path, seam: Seam) -> None:
    """Do what every writing command on the task does first."""
    recover_task(store_of(root, seam), TASK, interrupted)


def check(root: Path, told: list[str], *, recovered: bool) -> None:
    """Assert the promises of the contract's section 5 on what is on disk."""
    task = root / ".runs" / TASK
    seen = sorted(os.listdir(task / CLI)) if (task / CLI).is_dir() else []
    assert set(told) <= set(seen)
    for run_id in seen:
        document = whole_manifest(task / CLI / run_id)
        if run_id in told:
            assert (task / "mcp" / run_id / MANIFEST).is_file()
            assert (root / ".runs" / "local-mcp" / run_id / MANIFEST).resolve() == task / CLI / run_id / MANIFEST
        if recovered:
            check_published(root, task, run_id, document)
    if recovered:
        assert not list((task / OPEN).iterdir()) if (task / OPEN).is_dir() else True


def whole_manifest(folder: Path) -> dict[str, Any]:
    """Return a manifest after the full check of its shape."""
    document = parse((folder / MANIFEST).read_bytes(), "m")
    load(document, "m").check()
    return document


def check_published(root: Path, task: Path, run_id: str, document: dict[str, Any]) -> None:
    """Assert that exactly one line, one entry and a fresh pointer follow from a run's end."""
    assert document["status"] in TERMINAL
    assert document["metrics_recorded"] is True
    lines = [json.loads(line) for line in (task / METRICS).read_text().splitlines()]
    assert [(line["run_id"], line["status"]) for line in lines] == [(run_id, document["status"])]
    state = json.loads((root / "out" / TASK / STATE).read_text())
    assert [(run["runId"], run["status"]) for run in state["runs"]] == [(run_id, document["status"])]
    assert state["totals"]["runs"] == 1
    assert state["totals"][document["status"]] == 1
    pointer = json.loads((task / "mcp" / run_id / MANIFEST).read_text())
    assert pointer["status"] == document["status"]


def crashed(action: Any, *arguments: Any) -> bool:
    """Tell whether the process ended in ``action``."""
    try:
        action(*arguments)
    except Crash:
        return True
    return False


def scenes(tmp_path: Path) -> Iterator[Path]:
    """Yield empty folders; each is removed when the next is asked for."""
    number = 0
    while True:
        scene = tmp_path / str(number)
        scene.mkdir()
        yield scene
        shutil.rmtree(scene)
        number += 1


@pytest.fixture
def operations(tmp_path: Path) -> int:
    """The number of operations of a whole run."""
    seam = QuickSeam()
    live(tmp_path / "whole", seam, [])
    return seam.count


def test_every_crash_point_of_a_run_is_recovered(tmp_path: Path, operations: int) -> None:
    """Wherever a run's process ends, what was told is on disk, whole, and recovery finishes the rest once."""
    assert operations > 60
    for point, scene in zip(range(1, operations + 1), scenes(tmp_path), strict=False):
        told: list[str] = []
        assert crashed(live, scene, QuickSeam(crash_at(point)), told)
        check(scene, told, recovered=False)
        recover(scene, QuickSeam())
        recover(scene, QuickSeam())
        check(scene, told, recovered=True)


def test_every_crash_point_of_every_recovery_is_recovered(tmp_path: Path, operations: int) -> None:
    """A recovery that ends at any operation is itself recovered, with the same result."""
    points = 0
    makers = scenes(tmp_path)
    for point in range(1, operations + 1):
        for second in range(1, 200):
            scene = next(makers)
            told: list[str] = []
            crashed(live, scene, QuickSeam(crash_at(point)), told)
            again = crashed(recover, scene, QuickSeam(crash_at(second)))
            check(scene, told, recovered=False)
            recover(scene, QuickSeam())
            check(scene, told, recovered=True)
            if not again:
                break
            points += 1
    assert points > 1000


def test_torn_writes_are_recovered(tmp_path: Path, operations: int) -> None:
    """A write that stops half way, at whatever operation, leaves no torn record behind."""
    for point, scene in zip(range(1, operations + 1), scenes(tmp_path), strict=False):
        torn = torn_write_at(point)()
        told: list[str] = []
        if crashed(live, scene, torn, told):
            recover(scene, QuickSeam())
            check(scene, told, recovered=True)
