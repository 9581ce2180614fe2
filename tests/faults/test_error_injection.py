"""Every operation of a run's life fails, once or from then on: exit code 8, and never a success that is not on disk."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from orchestrator.base.errors import EXIT_STORAGE, StorageError
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.layout import CLI
from tests.faults.conftest import Scenes
from tests.faults.crash_seam import Hook, QuickSeam, fail_from
from tests.faults.lives import Life, Told, check, full_life, plain_life, recover, reporting_life, whole_manifest
from tests.records import TASK

FAULTS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE]
CASES: dict[str, tuple[Life, int]] = {
    **{f"plain-{errno.errorcode[code]}": (plain_life, code) for code in FAULTS},
    **{f"full-{errno.errorcode[code]}": (full_life, code) for code in FAULTS[:2]},
    "reporting-ENOSPC": (reporting_life, errno.ENOSPC),
}
"""What a read-only disk and a lack of descriptors meet is a part of what an I/O error meets."""


def calls(life: Life, root: Path) -> int:
    """Return the number of operations of a whole life, opening for reading included."""
    seam = QuickSeam(reads=True)
    life(root, seam, Told())
    return seam.count


def failed(life: Life, root: Path, hook: Hook, told: Told) -> StorageError | None:
    """Return how the life was refused, or None when it went through; any other exception is a bug."""
    try:
        life(root, QuickSeam(hook, reads=True), told)
    except StorageError as error:
        return error
    return None


def open_runs(root: Path) -> list[str]:
    """Return the ids of runs whose record is not closed."""
    folders = (root / ".runs" / TASK / CLI).glob("*")
    return [folder.name for folder in folders if whole_manifest(folder)["status"] not in TERMINAL]


@pytest.mark.slow
@pytest.mark.parametrize("once", [True, False], ids=["once", "for-ever"])
@pytest.mark.parametrize(("life", "code"), CASES.values(), ids=CASES)
def test_a_fault_at_every_operation(scenes: Scenes, life: Life, code: int, once: bool) -> None:
    """The run is refused with exit code 8 or all of it is on disk; what is there is whole; recovery finishes it."""
    refused = 0
    for point in range(1, calls(life, scenes.new()) + 1):
        scene, told = scenes.new(), Told()
        error = failed(life, scene, fail_from(point, code, once=once), told)
        check(scene, told, recovered=error is None)
        if error is not None:
            refused += 1
            assert error.exit_code == EXIT_STORAGE
            if once and life in (full_life, reporting_life):
                assert open_runs(scene) == [], f"operation {point}: the disk works, and the record is not closed"
        recover(scene, QuickSeam())
        check(scene, told, recovered=True)
    assert refused > 10


@pytest.mark.parametrize("code", FAULTS, ids=[errno.errorcode[code] for code in FAULTS])
def test_a_fault_at_every_operation_of_a_recovery(scenes: Scenes, code: int) -> None:
    """A recovery that the disk refuses is a StorageError, and done by the next one."""

    def died(root: Path, told: Told) -> None:
        with pytest.raises(ZeroDivisionError):
            plain_life(root, QuickSeam(_gone), told)

    def _gone(number: int, name: str) -> None:
        if number == 60:
            raise ZeroDivisionError

    for point in range(1, 200):
        scene, told = scenes.new(), Told()
        died(scene, told)
        seam = QuickSeam(fail_from(point, code, once=False), reads=True)
        try:
            recover(scene, seam)
        except StorageError:
            check(scene, told, recovered=False)
        else:
            check(scene, told, recovered=True)
        recover(scene, QuickSeam())
        check(scene, told, recovered=True)
        if seam.count < point:
            return
    raise AssertionError("a recovery has fewer operations than that")
