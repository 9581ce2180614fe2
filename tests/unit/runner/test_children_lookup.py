"""The lookup of a fleet's children: each is decided once, in bounded time, whatever becomes of the copies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.base.files import Seam
from orchestrator.base.redaction import Redactor
from orchestrator.model.outcome import Ended
from orchestrator.model.plan import PlannedStage
from orchestrator.runner import children_lookup as module
from orchestrator.runner.children_lookup import SHARED_SECONDS, TRUST, ChildrenLookup, UpToDate
from orchestrator.runner.process_loop import GRACE_SECONDS
from orchestrator.runner.stage_log import StageLog
from tests.records import FakeClock, make_stage

STAGES = tuple(make_stage(name)._replace(kind="subpipeline", project=name) for name in "abcdefghijklmnop")


class Loop:
    """What listens to copies, by a clock, and masks what is printed."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.redactor = Redactor(("hunter22",))
        self.is_hurried = False
        self.listeners: dict[int, Callable[[], None]] = {}

    def listen(self, fileno: int, heard: Callable[[], None]) -> None:
        """Take one more."""
        assert fileno not in self.listeners
        self.listeners[fileno] = heard

    def ignore(self, fileno: int) -> None:
        """Listen to it no more."""
        self.listeners.pop(fileno, None)


class FakeCopies:
    """Copies that do a thing when they are told to, or die."""

    def __init__(self, work: Callable[..., Any], most: int) -> None:
        self.work = work
        self.at_work: dict[int, tuple[int, float] | None] = dict.fromkeys(range(10, 10 + most))
        self.given: list[tuple[int, float]] = []
        self.answers: dict[int, Any] = {}
        self.is_closed = False

    @property
    def filenos(self) -> tuple[int, ...]:
        """Those that live."""
        return tuple(self.at_work)

    @property
    def are_free(self) -> bool:
        """Whether one has nothing to do."""
        return None in self.at_work.values()

    def give(self, thing: tuple[int, float]) -> None:
        """Give a thing to one of them."""
        free = next(fileno for fileno, has in self.at_work.items() if has is None)
        self.at_work[free] = thing
        self.given.append(thing)

    def hear(self, fileno: int) -> Any:
        """Return what it was told to answer; it dies of the answer ``dies``."""
        thing, answer = self.at_work[fileno], self.answers.pop(fileno)
        self.at_work[fileno] = None
        if answer == "dies":
            del self.at_work[fileno]
            return None if thing is None else (thing, None)
        return thing, answer

    def watch(self) -> float | None:
        """Have those at work minded within a while."""
        return 2.0 if any(self.at_work.values()) else None

    def close(self) -> None:
        """End all."""
        self.at_work.clear()
        self.is_closed = True


class Scene:
    """A lookup among fakes; ``works`` says which children are up to date, by stage."""

    def __init__(self, stages: tuple[PlannedStage, ...], count: int) -> None:
        self.clock = FakeClock()
        self.loop = Loop(self.clock)
        self.shown: list[tuple[str, bytes]] = []
        self.made: list[FakeCopies] = []
        self.works: Callable[[PlannedStage], bool] = lambda stage: True
        self._count = count
        self.lookup = ChildrenLookup(
            {stage.id: stage for stage in stages},
            self._answer,
            self.loop,  # type: ignore[arg-type]
            lambda stage_id, data: self.shown.append((stage_id, data)),
            len(stages),
        )

    def _answer(self, stage: PlannedStage, since: float) -> UpToDate | None:
        return (
            UpToDate(stage.id.encode(), "then", 1.5, 0.5, 1 << 20, {"run_id": stage.id}) if self.works(stage) else None
        )

    def copies_of(self, work: Callable[..., Any], most: int) -> FakeCopies:
        """Make the copies."""
        self.made.append(FakeCopies(work, min(most, self._count)))
        return self.made[-1]

    @property
    def copies(self) -> FakeCopies:
        """The copies that were made."""
        [made] = self.made
        return made

    def finish(self, fileno: int, *, dies: bool = False) -> None:
        """Let a copy do what it has, or die."""
        thing = self.copies.at_work[fileno]
        self.copies.answers[fileno] = "dies" if dies or thing is None else self.copies.work(*thing)
        self.loop.listeners[fileno]()

    def finish_all(self) -> None:
        """Let copies work until none has anything to do."""
        while busy := [fileno for fileno, has in self.copies.at_work.items() if has is not None]:
            self.finish(busy[0])

    def taken(self) -> list[str]:
        """Return which children are to be recorded now."""
        return [stage.id for stage, _ in self.lookup.take()]


Make = Callable[..., Scene]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return what makes scenes of so many stages and copies."""

    def made(stages: int = 4, copies: int = 2) -> Scene:
        scene = Scene(STAGES[:stages], copies)
        monkeypatch.setattr(module, "Copies", scene.copies_of)
        return scene

    return made


def test_what_is_found_waits_for_what_comes_soon(make: Make) -> None:
    """For 50 ms from the first one, and no longer than until none is at work; then all are taken at once, each once."""
    scene = make()
    for stage in STAGES[:4]:
        assert scene.lookup.concerns(stage)
        scene.lookup.look_up(stage)
        scene.lookup.look_up(stage)
    assert scene.copies.given == [(0, 0.0), (1, 0.0)]
    assert (scene.taken(), scene.lookup.patience()) == ([], 2.0)
    scene.finish(11)
    scene.clock.advance(0.02)
    scene.finish(10)
    assert scene.taken() == []
    assert scene.lookup.patience() == pytest.approx(SHARED_SECONDS - 0.02)
    assert all(scene.lookup.has_asked(stage) for stage in STAGES[:4])
    scene.clock.advance(0.03)
    assert scene.taken() == ["a", "b"]
    assert [scene.lookup.concerns(stage) for stage in STAGES[:4]] == [False, False, True, True]
    scene.finish_all()
    assert (scene.lookup.patience(), scene.taken(), scene.taken()) == (0.0, ["c", "d"], [])
    assert scene.lookup.documents == {name: {"run_id": name} for name in "abcd"}
    assert (scene.copies.is_closed, scene.loop.listeners, scene.lookup.patience()) == (True, {}, None)


def test_what_is_found_is_a_success_with_its_figures(make: Make) -> None:
    """As the stage that stands for it would have ended."""
    scene = make(1)
    scene.lookup.look_up(STAGES[0])
    scene.finish_all()
    [(stage, child)] = scene.lookup.take()
    assert (stage, child.began_at, child.printed) == (STAGES[0], "then", b"a")
    assert child.ended == Ended("success", 0, wall_seconds=1.5, cpu_seconds=0.5, max_rss_bytes=1 << 20)


def test_a_declined_child_is_nobodys(make: Make) -> None:
    """It is started at once, whatever the others do, and stands in no answer."""
    scene = make()
    scene.works = lambda stage: stage.id != "a"
    for stage in STAGES[:2]:
        scene.lookup.look_up(stage)
    scene.finish(10)
    assert [scene.lookup.concerns(stage) for stage in STAGES[:3]] == [False, True, True]
    scene.finish_all()
    assert scene.taken() == ["b"]
    assert sorted(scene.lookup.documents) == ["b"]
    assert not scene.lookup.interrupted


def test_a_lookup_that_finds_nothing_is_given_up(make: Make) -> None:
    """After four that have to run more than are up to date; each that is up to date earns one more."""
    scene = make(16, 1)
    scene.works = lambda stage: stage.id in "bd"
    for stage in STAGES:
        scene.lookup.look_up(stage)
    scene.finish_all()
    assert len(scene.copies.given) == TRUST + 2 * 2
    assert scene.taken() == ["b", "d"]
    assert not any(scene.lookup.concerns(stage) for stage in STAGES)
    assert scene.copies.is_closed


def test_a_copy_that_dies_declines_its_child(make: Make) -> None:
    """The others go on; without any copy all is declined but what was found."""
    scene = make(6, 2)
    for stage in STAGES[:5]:
        scene.lookup.look_up(stage)
    scene.finish(10, dies=True)
    assert [scene.lookup.concerns(stage) for stage in STAGES[:6]] == [False] + [True] * 5
    assert sorted(scene.loop.listeners) == [11]
    scene.finish(11)
    assert scene.copies.given[-1][0] == 2
    scene.finish(11, dies=True)
    assert [scene.lookup.concerns(stage) for stage in STAGES[:6]] == [False, True, False, False, False, False]
    assert (scene.taken(), scene.loop.listeners) == (["b"], {})
    assert scene.lookup.interrupted == {"a", "c"}


def test_no_copy_at_all(make: Make) -> None:
    """Where no process can be made each child is started."""
    scene = make(3, 0)
    scene.lookup.look_up(STAGES[0])
    assert not any(scene.lookup.concerns(stage) for stage in STAGES[:3])
    assert (scene.taken(), scene.lookup.patience()) == ([], None)


def test_a_change_is_noted_with_what_is_asked_after_it(make: Make) -> None:
    """What was seen before a stage ended does not count for a child that is asked for after that."""
    scene = make(3, 1)
    for stage in STAGES[:3]:
        scene.lookup.look_up(stage)
    scene.clock.advance(3.0)
    scene.lookup.note_change()
    scene.clock.advance(1.0)
    scene.finish_all()
    assert scene.copies.given == [(0, 0.0), (1, 3.0), (2, 3.0)]


def test_a_stop_lets_what_was_begun_end(make: Make) -> None:
    """Nothing else is asked for; what is found within the grace is taken, the rest is ended and declined."""
    scene = make(5, 2)
    for stage in STAGES[:4]:
        scene.lookup.look_up(stage)
    scene.lookup.stop()
    assert any(map(scene.lookup.concerns, STAGES))
    assert [scene.lookup.concerns(stage) for stage in STAGES[:5]] == [True, True, False, False, False]
    scene.finish(10)
    assert scene.copies.given == [(0, 0.0), (1, 0.0)]
    scene.clock.advance(GRACE_SECONDS - 0.1)
    scene.lookup.stop()
    assert any(map(scene.lookup.concerns, STAGES))
    assert scene.taken() == ["a"]
    scene.clock.advance(0.2)
    scene.lookup.stop()
    assert not any(map(scene.lookup.concerns, STAGES))
    assert (scene.copies.is_closed, scene.loop.listeners) == (True, {})
    assert not scene.lookup.concerns(STAGES[1])


def test_a_second_stop_signal_is_not_waited_for(make: Make) -> None:
    """What a copy has begun is ended at once, as stages are."""
    scene = make(2)
    scene.lookup.look_up(STAGES[0])
    scene.lookup.stop()
    assert any(map(scene.lookup.concerns, STAGES))
    scene.loop.is_hurried = True
    scene.lookup.stop()
    assert not any(map(scene.lookup.concerns, STAGES))
    assert (scene.copies.is_closed, scene.lookup.concerns(STAGES[0])) == (True, False)


def test_what_a_child_printed_is_masked_as_any_output(make: Make, tmp_path: Path) -> None:
    """In its log, on the screen and in what is kept of it; a log that can't be written is closed."""
    scene = make(1)
    path = tmp_path / "log"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    tail, finished = scene.lookup.log(StageLog(fd, 1 << 20, Seam(), str(path)), "a", b"it is hunter22\n")
    assert "hunter22" not in tail
    assert path.read_bytes() == tail.encode()
    assert (scene.shown, finished.left_out) == ([("a", tail.encode())], 0)

    class Full(Seam):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            raise OSError(28, "No space left on device")

    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    with pytest.raises(Exception, match="no space left"):
        scene.lookup.log(StageLog(fd, 1 << 20, Full(), str(path)), "a", b"x\n")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


class Lookups(RuleBasedStateMachine):
    """A lookup in any order of what can happen to it, with what must hold after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.taken: list[str] = []
        self.asked: set[str] = set()
        self.changed_at = 0.0
        self.first_found_at: float | None = None
        self.is_stopped = False
        self.known = 0

    def teardown(self) -> None:
        """Give the real copies back."""
        self.patch.undo()

    @initialize(stages=st.integers(1, len(STAGES)), copies=st.integers(0, 4), stale=st.frozensets(st.integers(0, 15)))
    def begin(self, stages: int, copies: int, stale: frozenset[int]) -> None:
        """Begin with some stages, of which some have to run."""
        self.stages = STAGES[:stages]
        self.stale = {STAGES[number].id for number in stale}
        self.scene = Scene(self.stages, copies)
        self.scene.works = lambda stage: stage.id not in self.stale
        self.patch.setattr(module, "Copies", self.scene.copies_of)
        self.lookup = self.scene.lookup

    @rule(number=st.integers(0, 15))
    def look_up(self, number: int) -> None:
        """Let the needs of a stage be met."""
        stage = self.stages[number % len(self.stages)]
        if self.lookup.concerns(stage):
            self.lookup.look_up(stage)
            self.asked.add(stage.id)

    @precondition(lambda self: self.scene.made and self.scene.copies.filenos)
    @rule(number=st.integers(0, 3), dies=st.sampled_from([False, False, False, True]))
    def hear(self, number: int, dies: bool) -> None:
        """Let a copy that is at work answer, or any one die."""
        busy = tuple(fileno for fileno, has in self.scene.copies.at_work.items() if has is not None)
        filenos = self.scene.copies.filenos if dies else busy or self.scene.copies.filenos
        before = len(self.found())
        self.scene.finish(filenos[number % len(filenos)], dies=dies)
        if not before and self.found():
            self.first_found_at = self.scene.clock.passed

    @rule(seconds=st.sampled_from([0.01, 0.03, 0.06, 6.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.scene.clock.advance(seconds)

    @rule()
    def note_change(self) -> None:
        """Let a stage end."""
        self.lookup.note_change()
        self.changed_at = self.scene.clock.passed

    @rule()
    def take(self) -> None:
        """Record what is to be recorded."""
        found = self.found()
        is_last = not self.at_work()
        now = self.scene.taken()
        assert now in ([], found)
        if found and is_last:
            assert now
        if now and not is_last:
            assert self.first_found_at is not None
            assert self.scene.clock.passed - self.first_found_at >= SHARED_SECONDS - 1e-9
        self.taken += now

    @precondition(lambda self: self.taken)
    @rule()
    def stop(self) -> None:
        """Stop the fleet, which has got somewhere."""
        self.is_stopped = True
        self.lookup.stop()
        assert all(map(self.lookup.has_asked, filter(self.lookup.concerns, self.stages)))

    @precondition(lambda self: self.taken)
    @rule()
    def close(self) -> None:
        """End the lookup: what was found stays found."""
        found = self.found()
        self.lookup.close()
        assert self.found() == found
        assert not self.at_work()

    def found(self) -> list[str]:
        """Return what waits to be taken, in the plan's order."""
        return [self.stages[number].id for number in sorted(self.lookup._found)]

    def at_work(self) -> list[int]:
        """Return the numbers of the stages that copies are at work on."""
        copies = self.scene.made[0].at_work.values() if self.scene.made else ()
        return [has[0] for has in copies if has is not None]

    @invariant()
    def each_is_decided_once(self) -> None:
        """A child is taken once, and only one that is up to date; it is given once, with the last change."""
        if not hasattr(self, "scene"):
            return
        assert len(set(self.taken)) == len(self.taken)
        assert not self.stale & {*self.taken, *self.found()}
        assert sorted(self.lookup.documents) == sorted(self.taken)
        assert self.lookup.has_found_all == (len(self.taken) == len(self.stages))
        assert not any(self.lookup.concerns(stage) for stage in self.stages if stage.id in self.taken)
        assert all(self.lookup.concerns(stage) for stage in self.stages if stage.id in self.found())
        given = self.scene.made[0].given if self.scene.made else []
        assert len({number for number, _ in given}) == len(given)
        assert {self.stages[number].id for number, _ in given} <= self.asked
        assert {since for _, since in given[self.known :]} <= {self.changed_at}
        self.known = len(given)

    @invariant()
    def nothing_waits_for_nothing(self) -> None:
        """What was asked for is decided, found, or in the queue of copies that are all at work; each is listened to."""
        if not hasattr(self, "scene"):
            return
        at_work = {self.stages[number].id for number in self.at_work()}
        waiting = {stage.id for stage in self.stages if self.lookup.concerns(stage) and stage.id in self.asked}
        assert self.lookup.is_at_work == bool(at_work)
        assert {stage.id for stage in self.stages if self.lookup.has_asked(stage)} == {*at_work, *self.found()}
        live = self.scene.made[0].filenos if self.scene.made else ()
        if waiting - at_work - set(self.found()):
            assert len(at_work) == len(live) > 0
            assert not self.is_stopped
        assert sorted(self.scene.loop.listeners) == sorted(live)
        assert (self.lookup.patience() is None) == (not at_work and not self.found())


TestLookups = Lookups.TestCase
