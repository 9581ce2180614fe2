"""The process ends at every operation of a run's life, and again at every operation of its recovery."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Scenes
from tests.faults.crash_seam import Crash, QuickSeam, ShortSeam, TornSeam, crash_at
from tests.faults.lives import (
    Life,
    Told,
    check,
    exported_life,
    full_life,
    held_back_life,
    plain_life,
    recover,
    reporting_life,
)

LIVES = pytest.mark.parametrize(
    "life", [plain_life, full_life, held_back_life, exported_life], ids=["plain", "full", "held back", "exported"]
)


def crashed(action: Callable[..., None], *arguments: Any) -> bool:
    """Tell whether the process ended in ``action``."""
    try:
        action(*arguments)
    except Crash:
        return True
    return False


def operations(life: Life, root: Path) -> int:
    """Return the number of operations of a whole life."""
    seam = QuickSeam()
    life(root, seam, Told())
    return seam.count


@LIVES
def test_every_crash_point_of_a_run_is_recovered(scenes: Scenes, life: Life) -> None:
    """Wherever a run's process ends, what was told is on disk, whole, and recovery finishes the rest once."""
    for point in range(1, operations(life, scenes.new()) + 1):
        scene, told = scenes.new(), Told()
        assert crashed(life, scene, QuickSeam(crash_at(point)), told)
        check(scene, told, recovered=False)
        recover(scene, QuickSeam())
        recover(scene, QuickSeam())
        check(scene, told, recovered=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("life", "step", "least"),
    [(plain_life, 2, 500), (full_life, 13, 300), (held_back_life, 7, 200), (exported_life, 5, 200)],
    ids=["plain", "full", "held back", "exported"],
)
def test_every_crash_point_of_every_recovery_is_recovered(scenes: Scenes, life: Life, step: int, least: int) -> None:
    """A recovery that ends at any operation is itself recovered, with the same result."""
    points = 0
    died = scenes.keep() / "died"
    for point in range(1, operations(life, scenes.new()) + 1, step):
        died.mkdir()
        told = Told()
        crashed(life, died, QuickSeam(crash_at(point)), told)
        for second in range(1, 400):
            scene = scenes.copy_of(died)
            again = crashed(recover, scene, QuickSeam(crash_at(second)))
            check(scene, told, recovered=False)
            recover(scene, QuickSeam())
            check(scene, told, recovered=True)
            if not again:
                break
            points += 1
        shutil.rmtree(died)
    assert points > least


def test_a_kill_while_reports_are_copied(scenes: Scenes) -> None:
    """Before a copy, within it, and before the record has its digest: what a record names is whole, and masked."""
    for point in range(1, operations(reporting_life, scenes.new()) + 1):
        for seam in (QuickSeam(crash_at(point)), TornSeam(point)):
            scene, told = scenes.new(), Told()
            if crashed(reporting_life, scene, seam, told):
                check(scene, told, recovered=False)
                recover(scene, QuickSeam())
                check(scene, told, recovered=True)


@LIVES
def test_torn_writes_are_recovered(scenes: Scenes, life: Life) -> None:
    """A write that stops half way, at whatever operation, leaves no torn record behind."""
    for point in range(1, operations(life, scenes.new()) + 1):
        scene, told = scenes.new(), Told()
        if crashed(life, scene, TornSeam(point), told):
            check(scene, told, recovered=False)
            recover(scene, QuickSeam())
            check(scene, told, recovered=True)


@pytest.mark.parametrize("most", [1, 7, 100])
def test_short_writes_are_finished(scenes: Scenes, most: int) -> None:
    """Where each write takes a few bytes only, all bytes are written all the same."""
    scene, told = scenes.new(), Told()
    full_life(scene, ShortSeam(most), told)
    check(scene, told, recovered=True)


def test_a_second_start_goes_on_from_every_crash(scenes: Scenes) -> None:
    """The next run on the task starts as if nothing had been left: locks of the dead stop nobody."""
    for point in range(1, operations(plain_life, scenes.new()) + 1, 3):
        scene = scenes.new()
        crashed(plain_life, scene, QuickSeam(crash_at(point)), Told())
        for crash_file in scene.glob(".runs/*/cli/*"):
            assert crash_file.is_dir()
        told = Told()
        recover(scene, QuickSeam())
        full_life_after(scene, told)
        check(scene, told, recovered=True)


def full_life_after(scene: Path, told: Told) -> None:
    """Lead a second run on the same task to its end."""
    from orchestrator.model.manifest.transitions import interrupted
    from orchestrator.store.claim import claim
    from orchestrator.store.publish import publish
    from tests.faults.lives import store_of
    from tests.records import make_manifest, make_plan

    store = store_of(scene, QuickSeam())
    run = claim(store, make_manifest(7, make_plan()), "token")
    told.claimed.append(run.where.run_id)
    run.save(interrupted(run.manifest, "2026-11-22T08:43:10.000Z"))
    publish(store, run, certain=True)
    run.close()
