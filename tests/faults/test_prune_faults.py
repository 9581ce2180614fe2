"""A prune that ends, or fails, at every operation: what the chain names is pruned, and all else is whole."""

from __future__ import annotations

import copy
import errno
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Seam
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.doctor.tasks import pruned_of, state_of
from orchestrator.store.doctor.workspace import inspect_records
from orchestrator.store.find import read_document, run_ids
from orchestrator.store.layout import Location
from orchestrator.store.prune import Chosen, Terms, manifest_file, prune_runs
from orchestrator.store.prune_lines import Level, pruned_runs
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.verification.alignment import align_task
from orchestrator.store.verification.tasks import verify_all
from tests.faults.conftest import Scenes
from tests.faults.crash_seam import Crash, Hook, QuickSeam, TornSeam, crash_at, fail_from
from tests.faults.lives import store_of
from tests.faults.power_seam import Fate, PowerSeam
from tests.records import TASK, make_run_id
from tests.unit.store.test_prunes import named
from tests.unit.store.test_verification import ended

RECORDS, LOGS = (1, 2), (3,)
TERMS = Terms("ann", None, {"hello": {"keep_last": 100}})
Told = list[str]


def scene_of(root: Path) -> None:
    """Leave four ended runs."""
    store = store_of(root, QuickSeam())
    for number in (1, 2, 3, 4):
        ended(store, number)


def chosen(store: RunStore, number: int) -> Chosen:
    """Return a run as it is chosen to be pruned."""
    with store.run_folder(Location(TASK, make_run_id(number))) as folder:
        return Chosen(named(store, number), manifest_file(folder))


def prune(root: Path, seam: Seam, told: Told) -> None:
    """Prune two records and the logs of a third run; ``told`` gets the levels that were acknowledged."""
    looking, store = store_of(root, Seam()), store_of(root, seam)
    for level, numbers in (("record", RECORDS), ("logs", LOGS)):
        runs = [chosen(looking, number) for number in numbers]
        assert prune_runs(store, TASK, level, runs, TERMS) == {make_run_id(number) for number in numbers}  # type: ignore[arg-type]
        told.append(level)


def recover(root: Path, seam: Seam) -> None:
    """Do what every writing command on the task does first."""
    recover_task(store_of(root, seam), TASK, interrupted)


def named_in_chain(root: Path, level: Level) -> set[str]:
    """Return the runs that the chain has as pruned."""
    with store_of(root, Seam()).task(TASK) as task:
        return set(pruned_runs(task, level))


def doctor(store: RunStore) -> list[str]:
    """Return what ``doctor`` finds; the model of power cuts keeps no modes of files."""
    return [each.place for each in inspect_records(store).findings if each.code != "token-mode"]


def check(root: Path, told: Told, *, recovered: bool, tidy: bool = True) -> None:
    """Assert what must hold at any moment, and what besides after a recovery; ``tidy``: nothing is left of files."""
    store = store_of(root, Seam())
    found = {each.code for each in verify_all(store).findings}
    assert found <= (set() if recovered else {"chain-torn"})
    assert align_task(store, TASK).findings == ()
    assert doctor(store) == []
    records, logs = named_in_chain(root, "record"), named_in_chain(root, "logs")
    assert records == ({make_run_id(number) for number in RECORDS} if "record" in told else records)
    assert logs == ({make_run_id(number) for number in LOGS} if "logs" in told else logs)
    there = run_ids(store, TASK)
    assert set(there) == {make_run_id(number) for number in (1, 2, 3, 4)} - records
    state = state_of(TASK, [read_document(store, Location(TASK, run_id)) for run_id in there], pruned_of(store, TASK))
    kept = json.loads((root / "out" / TASK / "state.json").read_text())
    assert {**state, "revision": 0} == {**kept, "revision": 0}
    for run_id in set(there) - logs:
        assert (root / ".runs" / TASK / "cli" / run_id / "commands" / "01-build.log").read_text()
    if recovered and tidy:
        runs = root / ".runs"
        for above in (runs / TASK / "cli", runs / TASK / "mcp", runs / "local-mcp"):
            assert {path.name for path in above.iterdir()} == set(there)
        assert {path.name for path in (runs / TASK).glob(".pruned/*")} <= {".lock", ".pending.json.tmp"}
        for run_id in logs:
            left = {path.name for path in (runs / TASK / "cli" / run_id).iterdir()}
            assert not left & {"commands", "errors", "runner.ndjson"}


def crashed(action: Callable[[], object]) -> bool:
    """Tell whether the process ended in ``action``."""
    try:
        action()
    except Crash:
        return True
    return False


def operations(scenes: Scenes, scene: Path) -> int:
    """Return the number of operations of a whole prune."""
    seam = QuickSeam()
    prune(scenes.copy_of(scene), seam, [])
    return seam.count


@pytest.fixture
def scene(scenes: Scenes) -> Path:
    """Four ended runs, to be copied."""
    root = scenes.keep()
    scene_of(root)
    return root


def test_every_crash_point_of_a_prune_and_of_its_recovery(scenes: Scenes, scene: Path) -> None:
    """Wherever it ends, nothing is found; so it is wherever its recovery ends, and the one after finishes it."""
    count, points = operations(scenes, scene), 0
    assert count > 40
    died = scenes.keep() / "died"
    for point in range(1, count + 1, 1 if os.environ.get("EVERY_POINT") else 9):
        shutil.copytree(scene, died, symlinks=True)
        told: Told = []
        assert crashed(lambda: prune(died, QuickSeam(crash_at(point)), told))  # noqa: B023
        check(died, told, recovered=False)
        for second in range(1, 400):
            root = scenes.copy_of(died)
            again = crashed(lambda: recover(root, QuickSeam(crash_at(second))))  # noqa: B023
            check(root, told, recovered=False)
            recover(root, QuickSeam())
            check(root, told, recovered=True)
            if not again:
                break
            points += 1
        shutil.rmtree(died)
    assert points > 60


def test_torn_writes_of_a_prune(scenes: Scenes, scene: Path) -> None:
    """A write that stops half way names no run; a start goes on after it."""
    for point in range(1, operations(scenes, scene) + 1):
        root, told = scenes.copy_of(scene), list[str]()
        if crashed(lambda: prune(root, TornSeam(point), told)):  # noqa: B023
            recover(root, QuickSeam())
            ended(store_of(root, QuickSeam()), 9)
            assert verify_all(store_of(root, Seam())).findings == ()


def test_a_power_cut_at_every_operation_of_a_prune(scenes: Scenes, scene: Path) -> None:
    """Whatever a power cut leaves of what was not synced, what was acknowledged is so and nothing is found."""
    root = scenes.keep()
    shutil.copytree(scene, root, symlinks=True, dirs_exist_ok=True)
    chance, cuts, told = random.Random(7), 0, list[str]()
    fates: tuple[Fate, ...] = ("all", "nothing", "half")

    def before(number: int, name: str) -> None:
        nonlocal cuts
        if number % 2:
            return
        losses: list[tuple[Callable[[], bool], Callable[[], Fate]]] = [
            (lambda: False, lambda: "nothing"),
            (lambda: True, lambda: "nothing"),
            (lambda: chance.random() < 0.5, lambda: chance.choice(fates)),
            (lambda: chance.random() < 0.5, lambda: chance.choice(fates)),
        ]
        for keeps, fate in losses:
            image = scenes.new()
            seam.cut_power(image, keeps=keeps, fate=fate)
            promised = copy.deepcopy(told)
            check(image, promised, recovered=False)
            recover(image, QuickSeam())
            check(image, promised, recovered=True, tidy=False)
            cuts += 1

    seam = PowerSeam(root, before)
    prune(root, seam, told)
    assert cuts > 80


def test_a_kill_then_recovery_then_a_power_cut(scenes: Scenes, scene: Path) -> None:
    """What a recovery finished rests on nothing that the killed process did not come to sync."""
    for point in range(1, operations(scenes, scene) + 1):
        root, told = scenes.copy_of(scene), list[str]()
        seam = PowerSeam(root, crash_at(point))
        crashed(lambda: prune(root, seam, told))  # noqa: B023
        seam.dead, seam.before = False, lambda number, name: None
        recover(root, seam)
        image = scenes.keep()
        seam.cut_power(image)
        check(image, told, recovered=False)
        recover(image, QuickSeam())
        check(image, told, recovered=True, tidy=False)
        shutil.rmtree(image)


@pytest.mark.parametrize("once", [True, False], ids=["once", "for-ever"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_fault_at_every_operation_of_a_prune(scenes: Scenes, scene: Path, code: int, once: bool) -> None:
    """A full, broken or read-only disk is exit code 8, nothing is half named, and the next command finishes it."""
    seam = QuickSeam(reads=True)
    prune(scenes.copy_of(scene), seam, [])
    refused = 0
    for point in range(1, seam.count + 1, 2):
        root, told = scenes.copy_of(scene), list[str]()
        hook: Hook = fail_from(point, code, once=once)
        try:
            prune(root, QuickSeam(hook, reads=True), told)
        except StorageError:
            refused += 1
        except AssertionError:  # one of the runs could not be looked at, and was left alone
            pass
        check_any(root)
        recover(root, QuickSeam())
        check_any(root)
    assert refused > 5


def check_any(root: Path) -> None:
    """Assert that nothing is found, whatever was pruned."""
    store = store_of(root, Seam())
    assert verify_all(store).findings == ()
    assert align_task(store, TASK).findings == ()
    assert doctor(store) == []
