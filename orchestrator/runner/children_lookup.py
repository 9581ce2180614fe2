"""Children of a fleet that may be up to date: copies of its process find out, and record the run of each that is.

A child for which something has to run is declined untouched, and started as ever. What is found is reported a little
later, so that what happened in that time shares one write of the fleet's record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from orchestrator.base.record import Record
from orchestrator.model.manifest.manifest import ChildRun
from orchestrator.model.outcome import Ended
from orchestrator.model.plan import PlannedStage
from orchestrator.process.copies import Copies
from orchestrator.runner.process_loop import GRACE_SECONDS, TAIL_BYTES, ProcessLoop
from orchestrator.runner.slots import usable_cores
from orchestrator.runner.stage_log import FinishedLog, StageLog

MOST_COPIES = 8
"""One more than there are cores, since each waits for the disk; more of them take more than they give."""
TRUST = 4
"""So many more children may be declined than were found up to date; then none is looked up: a lookup costs time."""
SHARED_SECONDS = 0.05
"""How long the first of those that were found waits for others."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from orchestrator.model.manifest.manifest import Manifest
    from orchestrator.model.plan import Plan
    from orchestrator.runner.stage_command import StageJobs

    Answer: TypeAlias = "Callable[[Manifest, PlannedStage, Mapping[str, str], float], UpToDate | None]"

_UNASKED, _QUEUED, _ASKED, _FOUND = "unasked", "queued", "asked", "found"


class UpToDate(Record):
    """A child run that was found to be up to date, and was recorded; in plain values, from copy to owner.

    It began at ``began_at`` (a stamp) and took ``wall_seconds`` and ``cpu_seconds``, at ``max_rss_bytes`` of memory.
    ``document`` is what its fleet's status needs of its own.
    """

    printed: bytes
    began_at: str
    wall_seconds: float
    cpu_seconds: float
    max_rss_bytes: int
    document: Mapping[str, Any]

    def link(self, stage: PlannedStage) -> ChildRun:
        """Return the entry of the run that ``stage`` stands for in its fleet's record."""
        document = self.document
        return ChildRun(
            run_id=document["run_id"],
            pipeline_id=document["pipeline_id"],
            status=document["status"],
            manifest=document["manifest"],
            task_id=document["task_id"],
            project=document["project"],
            stage_id=stage.id,
        )

    @property
    def ended(self) -> Ended:
        """How the stage ended that stands for it."""
        return Ended(
            "success",
            0,
            wall_seconds=self.wall_seconds,
            cpu_seconds=self.cpu_seconds,
            max_rss_bytes=self.max_rss_bytes,
        )


def lookup_of(
    answer: Answer, plan: Plan, jobs: StageJobs, loop: ProcessLoop, show: Callable[[str, bytes], None]
) -> ChildrenLookup:
    """Return the lookup of a fleet's children; one that an earlier attempt began is waited for or resumed instead."""
    stages = {stage.id: stage for stage in plan.stages if stage.kind == "subpipeline" and not jobs.has_child(stage)}

    def answered(stage: PlannedStage, since: float) -> UpToDate | None:
        return answer(jobs.manifest, stage, jobs.env_of(plan, stage), since)

    return ChildrenLookup(stages, answered, loop, show, len(plan.stages))


class ChildrenLookup:
    """Looks up ``candidates``, by their stages' ids. ``answer`` is called in a copy: it records a child's run.

    It gets the moment of the last change that is known here (the clock's monotonic seconds), and returns None for one
    that has to run. ``loop`` is the run's, which listens to the copies; ``show`` gets what a child printed, masked, as
    the stage's output; ``most`` is how many stages the run has.
    """

    def __init__(
        self,
        candidates: Mapping[str, PlannedStage],
        answer: Callable[[PlannedStage, float], UpToDate | None],
        loop: ProcessLoop,
        show: Callable[[str, bytes], None],
        most: int,
    ) -> None:
        self._stages = tuple(candidates.values())
        self._states = dict.fromkeys(candidates, _UNASKED)
        """Of each stage that is not decided, how far its child's lookup has come."""
        self._answer = answer
        self._loop = loop
        self._show = show
        self._most = most
        self._clock = loop.clock
        self._copies: Copies | None = None
        self._queue: deque[int] = deque()
        self._since = self._clock.monotonic()
        self._found: dict[int, UpToDate] = {}
        self._found_at = 0.0
        self.documents: dict[str, Mapping[str, Any]] = {}
        """What was found, by stage: its child's document, as ``UpToDate`` has it."""
        self.interrupted: set[str] = set()
        """The stages whose child's copy died: it may have begun the child's run, and even have ended it."""
        self._trust = TRUST
        self._ends_at: float | None = None

    def concerns(self, stage: PlannedStage) -> bool:
        """Tell whether a stage waits for what the lookup of its child says."""
        return stage.id in self._states

    def has_asked(self, stage: PlannedStage) -> bool:
        """Tell whether a copy is at work on a stage's child, or has found it up to date, and ``take`` has not."""
        return self._states.get(stage.id) in (_ASKED, _FOUND)

    def is_undecided(self, stage: PlannedStage) -> bool:
        """Tell whether a stage may yet have to be started: its child was not found up to date, nor declined."""
        return self._states.get(stage.id, _FOUND) != _FOUND

    def look_up(self, stage: PlannedStage) -> None:
        """Have the child of a stage looked up, whose needs are met; harmless when repeated."""
        if self._states[stage.id] == _UNASKED:
            self._states[stage.id] = _QUEUED
            self._queue.append(self._stages.index(stage))
            self._give()

    @property
    def has_found_all(self) -> bool:
        """Whether all stages of the run were found up to date in this attempt, so that nothing ran."""
        return len(self.documents) == self._most

    @property
    def is_at_work(self) -> bool:
        """Whether a child is being looked up."""
        return _ASKED in self._states.values()

    def note_change(self) -> None:
        """Take note that a stage has ended, which may have changed files: what was seen before does not count."""
        self._since = self._clock.monotonic()

    def take(self) -> list[tuple[PlannedStage, UpToDate]]:
        """Return the children that were found up to date, each once, in the plan's order, when it is time for it."""
        if not self._found or self._left() > 0:
            return []
        found = [(self._stages[number], child) for number, child in sorted(self._found.items())]
        self._found.clear()
        for stage, child in found:
            del self._states[stage.id]
            self.documents[stage.id] = child.document
        return found

    def patience(self) -> float | None:
        """Return the seconds until ``take`` is to be called again, None where no child is looked up."""
        watched = None if self._copies is None else self._copies.watch()
        if not self._found:
            return watched
        return self._left() if watched is None else min(self._left(), watched)

    def stop(self) -> None:
        """Look up no more. What a copy has begun ends in time, or is ended."""
        self._decline((_UNASKED, _QUEUED))
        now = self._clock.monotonic()
        self._ends_at = now + GRACE_SECONDS if self._ends_at is None else self._ends_at
        if self._loop.is_hurried or now >= self._ends_at:
            self.close()

    def log(self, log: StageLog, stage_id: str, printed: bytes) -> tuple[str, FinishedLog]:
        """Write and show what a child printed; return the last of it, and the log. Raises StorageError."""
        try:
            stream = self._loop.redactor.stream()
            masked = stream.feed(printed) + stream.flush()
            log.write(masked)
        except BaseException:
            log.close()
            raise
        self._show(stage_id, masked)
        return masked[-TAIL_BYTES:].decode("utf-8", "replace"), log.finish()

    def close(self) -> None:
        """End the copies, and decline what they have not answered. Harmless when repeated."""
        if self._copies is not None:
            for fileno in self._copies.filenos:
                self._loop.ignore(fileno)
            self._copies.close()
            self._copies = None
        self._decline((_UNASKED, _QUEUED, _ASKED))

    def _left(self) -> float:
        """Return how long what was found may wait for what is found next, in seconds."""
        return 0.0 if not self.is_at_work else self._found_at + SHARED_SECONDS - self._clock.monotonic()

    def _decline(self, states: tuple[str, ...]) -> None:
        """Let the stages in these states be started as ever."""
        self._queue.clear()
        self._states = {stage_id: state for stage_id, state in self._states.items() if state not in states}

    def _give(self) -> None:
        if self._copies is None:
            self._copies = Copies(self._work, min(len(self._stages), usable_cores() + 1, MOST_COPIES))
            for fileno in self._copies.filenos:
                self._loop.listen(fileno, partial(self._hear, fileno))
        while self._queue and self._copies.are_free:
            number = self._queue.popleft()
            self._states[self._stages[number].id] = _ASKED
            self._copies.give((number, self._since))
        if not self._copies.filenos:
            self.close()

    def _work(self, number: int, since: float) -> tuple[object, ...] | None:
        found = self._answer(self._stages[number], since)
        return None if found is None else tuple(found)

    def _hear(self, fileno: int) -> None:
        if self._copies is None:
            return
        heard = self._copies.hear(fileno)
        is_dead = fileno not in self._copies.filenos
        if is_dead:
            self._loop.ignore(fileno)
        if heard is None:
            return
        (number, _), made = heard
        stage = self._stages[number]
        if made is None:
            self._trust -= 1
            del self._states[stage.id]
            if is_dead:
                self.interrupted.add(stage.id)
        else:
            self._trust += 1
            self._states[stage.id] = _FOUND
            if not self._found:
                self._found_at = self._clock.monotonic()
            self._found[number] = UpToDate(*made)
        if self._trust <= 0:
            self._decline((_UNASKED, _QUEUED))
        if all(state == _FOUND for state in self._states.values()):
            self.close()
        else:
            self._give()
