"""Slots of a tree of runs: never more than there are, lent to what a stage starts, free when their holder dies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.model.lineage import RUN_FOLDER_VARIABLE
from orchestrator.runner.slots import JOBS_FILE, Slots, usable_cores

HOLDER = """
import sys
from orchestrator.model.lineage import RUN_FOLDER_VARIABLE
from orchestrator.runner.slots import Slots
folder, above, jobs, lent = sys.argv[1], sys.argv[2], int(sys.argv[3]) or None, sys.argv[4] == "True"
slots = Slots.open(folder, {RUN_FOLDER_VARIABLE: above} if above else {}, jobs, lent=lent)
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() in ("take", "beside"):
        print(slots.take(beside=line.strip() == "beside"), slots.patience() is not None, flush=True)
    else:
        slots.give()
        print("given", flush=True)
"""


class Run:
    """A run in a process of its own, since record locks belong to processes."""

    def __init__(self, folder: Path, above: Path | None = None, jobs: int = 0, *, lent: bool = True) -> None:
        folder.mkdir()
        self.folder = folder
        command = [sys.executable, "-c", HOLDER, str(folder), str(above or ""), str(jobs), str(lent)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.answer() == "ready"

    def answer(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _ask(self, word: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.answer()

    def take(self, *, beside: bool = False) -> bool:
        """Take a slot for one more stage, ``beside`` those that gave theirs back."""
        taken, short = self._ask("beside" if beside else "take").split()
        assert (taken == "False") == (short == "True"), "who is refused asks again, and nobody else does"
        return taken == "True"

    def give(self) -> None:
        """End a stage."""
        assert self._ask("give") == "given"

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """Runs that are ended after the test."""
    made: list[Run] = []
    yield made
    for run in made:
        run.end()
        for stream in (run.process.stdin, run.process.stdout):
            assert stream is not None
            stream.close()


def test_the_topmost_run_has_as_many_as_asked_for(tmp_path: Path) -> None:
    """By default as many as there are usable cores; what ended makes room."""
    slots = Slots.open(str(tmp_path), {}, 2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.give()
    assert slots.take()
    slots.close()
    cores = Slots.open(str(tmp_path), {}, None)
    assert sum(cores.take() for _ in range(usable_cores() + 3)) == usable_cores()
    cores.close()


def test_slots_are_left_for_others(tmp_path: Path) -> None:
    """Nothing is taken where fewer than asked for would be left, also not for a first stage, and nothing kept then."""
    slots = Slots.open(str(tmp_path), {}, 2)
    assert not slots.take(leaving=2)
    assert slots.patience() is not None
    assert slots.take(leaving=1)
    assert not slots.take(leaving=1)
    assert slots.take()
    slots.close()


def test_a_stage_lends_its_slot_to_the_run_that_it_starts(tmp_path: Path, runs: list[Run]) -> None:
    """With one slot in all, a run below a stage below a stage runs one stage, and no second one."""
    top = Run(tmp_path / "top", jobs=1)
    child = Run(tmp_path / "child", top.folder)
    deep = Run(tmp_path / "deep", child.folder)
    runs += [top, child, deep]
    for run in (top, child, deep):
        assert run.take()
        assert not run.take()


def test_a_run_that_waited_takes_a_slot_of_its_own(tmp_path: Path, runs: list[Run]) -> None:
    """A child whose stage gave its slot back needs one for its first stage too, and waits for it."""
    top = Run(tmp_path / "top", jobs=1)
    child = Run(tmp_path / "child", top.folder, lent=False)
    runs += [top, child]
    assert top.take()
    assert not child.take()
    top.give()
    assert child.take()
    assert not child.take()
    assert not top.take(beside=True)
    assert top.take(), "a first stage runs where none gave its slot back"


def test_the_whole_tree_shares_the_slots(tmp_path: Path, runs: list[Run]) -> None:
    """Two runs side by side with three slots run three stages, whichever of them asks."""
    top = Run(tmp_path / "top", jobs=3)
    one, two = Run(tmp_path / "one", top.folder), Run(tmp_path / "two", top.folder)
    runs += [top, one, two]
    assert top.take()
    assert top.take()
    assert one.take()
    assert two.take()
    assert one.take()
    assert not two.take()
    assert not top.take()
    one.give()
    assert two.take()


def test_a_killed_holders_slots_are_free_at_once(tmp_path: Path, runs: list[Run]) -> None:
    """Whatever it held, and also when the topmost run dies: what is started then is topmost itself."""
    top = Run(tmp_path / "top", jobs=2)
    child = Run(tmp_path / "child", top.folder)
    runs += [top, child]
    assert top.take()
    assert child.take()
    assert child.take()
    assert not top.take()
    child.end()
    assert top.take()
    top.end()
    heir = Run(tmp_path / "heir", top.folder, jobs=2)
    runs.append(heir)
    assert heir.take()
    assert heir.take()
    assert not heir.take()


def test_asking_for_less_inside_narrows_all_below(tmp_path: Path, runs: list[Run]) -> None:
    """``--jobs 1`` of a child binds its own children too; asking for more gives no more than there is."""
    top = Run(tmp_path / "top", jobs=4)
    narrow = Run(tmp_path / "narrow", top.folder, jobs=1)
    below = Run(tmp_path / "below", narrow.folder)
    wide = Run(tmp_path / "wide", top.folder, jobs=9)
    runs += [top, narrow, below, wide]
    assert top.take()
    assert top.take()
    assert narrow.take()
    assert below.take()
    assert not below.take()
    assert [wide.take() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"jobs": "9", "above": null}', '{"jobs": 0, "above": 7}'])
def test_a_damaged_file_makes_a_run_of_its_own(tmp_path: Path, content: str) -> None:
    """Neither a crash nor a limit that nobody set."""
    (tmp_path / "above").mkdir()
    (tmp_path / "above" / JOBS_FILE).write_text(content)
    (tmp_path / "own").mkdir()
    slots = Slots.open(str(tmp_path / "own"), {RUN_FOLDER_VARIABLE: str(tmp_path / "above")}, 2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.close()


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """The limit then holds for this run alone, and what the link leads to stays as it is."""
    target = tmp_path / "precious"
    target.write_text("x")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / JOBS_FILE).symlink_to(target)
    slots = Slots.open(str(tmp_path / "run"), {}, 2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    assert target.read_text() == "x"
    slots.close()


def test_taking_and_giving_costs_little(tmp_path: Path) -> None:
    """A system call each: less than a fifth of a millisecond."""
    slots = Slots.open(str(tmp_path), {}, 8)
    began = time.process_time()
    for _ in range(1000):
        slots.take()
        slots.give()
    assert time.process_time() - began < 0.2
    slots.close()
    assert os.listdir(tmp_path) == [JOBS_FILE]
