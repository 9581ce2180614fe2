"""What is asked of a life under the model of power cuts: a lint of acknowledgements, and cuts at every operation."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path

from tests.faults.conftest import Scenes
from tests.faults.crash_seam import Crash, QuickSeam, crash_at
from tests.faults.lives import RIGHT, Life, Told, Verbs, check, recover
from tests.faults.power_seam import Fate, PowerSeam
from tests.records import make_workspace

MakeSeam = Callable[[Path], PowerSeam]


def lint(scenes: Scenes, life: Life, make: MakeSeam = PowerSeam, verbs: Verbs = RIGHT) -> int:
    """Check at each acknowledgement that all that it rests on is safe; return how many there were."""
    root = scenes.keep()
    make_workspace(root)
    seam = make(root)
    acknowledged = 0

    def watch(told: Told) -> None:
        nonlocal acknowledged
        acknowledged += 1
        image = scenes.new()
        seam.cut_power(image)
        check(image, told, recovered=False)

    life(root, seam, Told(), watch=watch, verbs=verbs)
    return acknowledged


def cut_everywhere(scenes: Scenes, life: Life, make: MakeSeam = PowerSeam, verbs: Verbs = RIGHT, step: int = 1) -> int:
    """Cut the power before each operation, four times with different losses; return the number of cuts."""
    root = scenes.keep()
    make_workspace(root)
    chance = random.Random(7)
    fates: tuple[Fate, ...] = ("all", "nothing", "half")
    cuts = 0
    told = Told()

    def before(number: int, name: str) -> None:
        nonlocal cuts
        if number % step:
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
            recover(image, QuickSeam(), verbs)
            check(image, promised, recovered=True)
            cuts += 1

    seam = make(root)
    seam.before = before
    life(root, seam, told, verbs=verbs)
    return cuts


def kill_then_cut(scenes: Scenes, life: Life, make: MakeSeam = PowerSeam, verbs: Verbs = RIGHT, step: int = 1) -> int:
    """Kill the process before each operation, let another recover, cut the power: what was recovered stays so."""
    point, kills = 1, 0
    while True:
        root = scenes.keep()
        make_workspace(root)
        seam = make(root)
        seam.before = crash_at(point)
        told = Told()
        try:
            life(root, seam, told, verbs=verbs)
            return kills
        except Crash:
            seam.dead = False
        recover(root, seam, verbs)
        image = scenes.new()
        seam.cut_power(image)
        assert runs_of(root) == runs_of(image), "a recovered run is lost"
        check(image, told, recovered=True, tidy=False)
        recover(image, QuickSeam())
        check(image, told, recovered=True)
        kills += 1
        point += step


def runs_of(root: Path) -> set[str]:
    """Return the runs that are there."""
    return {folder.name for folder in root.glob(".runs/*/cli/*")}
