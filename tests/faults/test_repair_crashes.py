"""The process ends at every operation of a repair: the next one finishes it, and nothing readable is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.base.files import Seam
from orchestrator.model.guardrails import judged
from orchestrator.model.manifest.transitions import closed, interrupted, stage_ended, stage_started
from orchestrator.model.outcome import Ended
from orchestrator.store.claim import claim
from orchestrator.store.doctor.repair import repair
from orchestrator.store.doctor.workspace import inspect_records
from orchestrator.store.layout import CLI, METRICS
from orchestrator.store.publish import publish
from orchestrator.store.store import RunStore
from tests.faults.crash_seam import CountingSeam, Crash, crash_at
from tests.records import TASK, FakeClock, make_manifest, make_plan, make_run_id, make_workspace

AT = "2026-11-22T08:43:09.000Z"


class QuickSeam(CountingSeam):
    """Doesn't wait for the disk."""

    def fsync(self, fd: int) -> None:
        self._step("fsync")


def store_of(root: Path, seam: Seam) -> RunStore:
    """Return a store whose warnings are of no interest."""
    return RunStore(make_workspace(root), FakeClock(), seam=seam, warn=lambda message: None)


def broken_scene(root: Path) -> None:
    """Leave four runs, and break something of each kind: one is damaged, one died, the folds are torn."""
    store = store_of(root, QuickSeam())
    for number in range(1, 5):
        run = claim(store, make_manifest(number), "token")
        manifest = run.manifest
        if number != 4:
            for command in manifest.commands:
                manifest = stage_started(manifest, command.id, AT, "log")
                ended = Ended("success", 0, wall_seconds=1.0)
                manifest = stage_ended(manifest, command.id, AT, ended, summary=None, left_out=0, forgiven=False)
            run.save(closed(judged(manifest, make_plan(), FakeClock()), AT, "success", None, "done"))
            publish(store, run, certain=True)
        run.close()
    task = root / ".runs" / TASK
    (task / CLI / make_run_id(1) / "manifest.json").write_text("{")
    lines = (task / METRICS).read_text().splitlines(keepends=True)
    (task / METRICS).write_text(lines[0] + lines[1] + "noise\n" + lines[1] + lines[2][:40])
    (root / "out" / TASK / "state.json").write_text("{")
    shutil.rmtree(task / "mcp" / make_run_id(2))
    (root / ".runs" / "local-mcp" / make_run_id(3) / "manifest.json").unlink()
    (task / CLI / make_run_id(2) / ".reserve").touch()
    (task / CLI / make_run_id(3) / ".resume-token").chmod(0o644)


def mend(root: Path, seam: Seam) -> int:
    """Repair once; return how many things were mended."""
    store = store_of(root, seam)
    return len(list(repair(store, inspect_records(store), interrupted)))


@pytest.mark.slow
def test_a_repair_that_dies_is_finished_by_the_next(tmp_path: Path) -> None:
    """At each operation: afterwards nothing is wrong, every readable line is there once, and all is done."""
    scene = tmp_path / "scene"
    scene.mkdir()
    broken_scene(scene)
    counting = QuickSeam()
    whole = shutil.copytree(scene, tmp_path / "whole", symlinks=True)
    mend(whole, counting)
    assert counting.count > 40
    for number in range(1, counting.count + 1):
        root = shutil.copytree(scene, tmp_path / "broken", symlinks=True)
        crashed = False
        try:
            mend(root, QuickSeam(crash_at(number)))
        except Crash:
            crashed = True
        assert crashed, number
        mend(root, QuickSeam())
        check(root)
        assert mend(root, QuickSeam(crash_at(1))) == 0
        shutil.rmtree(root)


def check(root: Path) -> None:
    """Assert that nothing is wrong and nothing was lost."""
    assert inspect_records(store_of(root, Seam())).findings == ()
    task = root / ".runs" / TASK
    lines = [json.loads(line) for line in (task / METRICS).read_text().splitlines()]
    assert sorted(line["run_id"] for line in lines) == [make_run_id(number) for number in range(1, 5)]
    aside = b"".join(path.read_bytes() for path in task.glob("metrics.damaged-*"))
    assert b"noise\n" in aside
    assert (task / ".damaged" / make_run_id(1) / "manifest.json").read_text() == "{"
    state = json.loads((root / "out" / TASK / "state.json").read_text())
    assert [run["status"] for run in state["runs"]] == ["succeeded", "succeeded", "failed"]
