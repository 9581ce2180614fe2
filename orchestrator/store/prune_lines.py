"""Prunes in a task's chain: a line names what was removed, with the digests that the chain has of it.

``{"kind": "prune", "level", "lost", "actor", "reason", "rules", "runs": [{"run_id", "attempts": [{"attempt",
"manifest_digest"}], "status", "outcome", "project", "pipeline_id", "started_at", "completed_at"}], "digest"}``

``level`` is ``record`` (the folder and the pointers went), ``logs`` (events, logs and error files went) or ``clock``
(nothing went: somebody acknowledged that a clock had gone back before the run was recorded). ``lost``: a run that was
removed by hand was acknowledged. ``digest`` is of the line itself, since nothing rests on the last line of a chain.
Nothing is ever removed from chain or metrics, so that a pruned run goes on to count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base.canonical import digest_of
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record
from orchestrator.base.text.well_formed import well_formed
from orchestrator.model.outcome import TERMINAL, Outcome, RunStatus
from orchestrator.store.chain import PRUNE_BEGIN, Line, PlacedLine, add_line, line_at, lines_of, lines_with, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

KIND = "prune"
_DIGESTED = ("kind", "level", "lost", "actor", "reason", "rules", "runs")

Level: TypeAlias = "Literal['record', 'logs', 'clock']"


class NamedAttempt(Record):
    """An ended attempt, with the digest of the manifest that it left."""

    attempt: Count
    manifest_digest: str


class NamedRun(Record):
    """What a prune line says of a run: all that its entry in the state and its place in a list are made of."""

    run_id: str
    attempts: tuple[NamedAttempt, ...]
    status: RunStatus
    outcome: Outcome
    project: str
    pipeline_id: str
    started_at: Moment
    completed_at: Moment

    def as_json(self) -> Line:
        """Return the entry of the line."""
        return {**self._asdict(), "attempts": [attempt._asdict() for attempt in self.attempts]}


class PruneLine(Record):
    """A prune: which runs, by whom, when and why; ``rules`` are those that chose them."""

    level: Level
    lost: bool
    actor: str
    reason: str | None
    rules: Mapping[str, Any]
    runs: tuple[NamedRun, ...]
    recorded_at: Moment
    digest: str


class PrunedRun(Record):
    """A run that was pruned: what is known of it, and when, by whom and why."""

    run: NamedRun
    level: Level
    lost: bool
    at: str
    actor: str
    reason: str | None

    @property
    def last(self) -> NamedAttempt:
        """The last of its ended attempts."""
        return self.run.attempts[-1]

    def shown(self) -> str:
        """Return in words what became of it."""
        what = {"record": "pruned", "logs": "its logs were pruned"}.get(self.level, "")
        said = f" ({self.reason})" if self.reason else ""
        return f"{'acknowledged as lost' if self.lost else what} at {self.at} by {self.actor}{said}"


def add_prune(task: Folder, line: PruneLine) -> PlacedLine:
    """Append the line of a prune, synced; the task's lock is held, and ``digest`` is made here. Raises StorageError."""
    content = {
        "kind": KIND,
        "level": line.level,
        "lost": line.lost,
        # As the line will have them: the digest is of what a reader finds.
        "actor": well_formed(line.actor),
        "reason": None if line.reason is None else well_formed(line.reason),
        "rules": dict(line.rules),
        "runs": [run.as_json() for run in line.runs],
    }
    rest = {"digest": digest_of(content), "recorded_at": line.recorded_at}
    return add_line(task, content, rest)[0]


def is_prune(data: bytes) -> bool:
    """Tell whether the bytes of a line begin as ``add_prune`` writes it."""
    return data.startswith(PRUNE_BEGIN)


def prune_line(content: Line) -> PruneLine:
    """Return the prune that a line of that kind tells of. Raises DamagedRecord, which says what is wrong with it."""
    line = PruneLine.from_json(content)
    for run in line.runs:
        attempts = [attempt.attempt for attempt in run.attempts]
        if not attempts or attempts != sorted(set(attempts)) or not is_run_id(run.run_id) or run.status not in TERMINAL:
            raise DamagedRecord(f"what it says of run {run.run_id!r:.60} is of no ended run")
    if digest_of({key: content.get(key) for key in _DIGESTED}) != line.digest:
        raise DamagedRecord("it is not what was written: its digest is another one")
    return line


def prunes_in(lines: Iterable[bytes]) -> Iterator[PruneLine]:
    """Yield the prunes among the lines of a chain; what can't be read is none, and a finding of ``verify``."""
    for data in lines:
        if is_prune(data) and (content := parsed(data)) is not None:
            try:
                yield prune_line(content)
            except DamagedRecord:
                continue


def runs_in(prunes: Iterable[PruneLine], level: Level) -> dict[str, PrunedRun]:
    """Return the runs that prunes of ``level`` name, by id: as the last of them says."""
    return {
        run.run_id: PrunedRun(run, line.level, line.lost, line.recorded_at, line.actor, line.reason)
        for line in prunes
        if line.level == level
        for run in line.runs
    }


def pruned_runs(task: Folder, level: Level = "record") -> dict[str, PrunedRun]:
    """Return the runs of a task that its chain says were pruned. Reads all of the chain. Raises StorageError."""
    return runs_in(prunes_in(lines_of(task)), level)


def find_pruned(task: Folder, run_id: str, level: Level = "record", hint: int | None = None) -> PrunedRun | None:
    """Return what the chain says of one pruned run; None where no prune of that level names it.

    ``hint`` is where in the chain (bytes) its line may begin. Raises StorageError.
    """
    if hint is not None and (data := line_at(task, hint)) is not None and (found := _named_in(data, run_id, level)):
        return found
    return last_prune_of(lines_with(task, PRUNE_BEGIN), run_id, level)


def last_prune_of(lines: Iterable[bytes], run_id: str, level: Level = "record") -> PrunedRun | None:
    """Return what the last prune of ``level`` among ``lines`` says of one run; None where none names it.

    Of a line, which may name very many runs, only what is about the one is parsed: whether it is as it was written is
    for ``verify`` to say.
    """
    found = None
    for data in lines:
        found = _named_in(data, run_id, level) or found
    return found


def _named_in(data: bytes, run_id: str, level: Level) -> PrunedRun | None:
    if not is_prune(data) or (at := data.find(b'{"run_id": "' + run_id.encode())) < 0:
        return None
    head, _, _ = data.partition(b'"runs": [')
    _, _, tail = data.rpartition(b'"recorded_at": ')
    with suppress(ValueError, RecursionError, DamagedRecord):
        said = json.loads(head + b'"recorded_at": ' + tail)
        # No entry ends before the brace behind its last key.
        run = NamedRun.from_json(json.loads(data[at : data.index(b"}", data.index(b'"completed_at"', at)) + 1]))
        line = PruneLine.from_json({**said, "runs": [], "digest": ""})
        if line.level == level and run.run_id == run_id and run.attempts:
            return PrunedRun(run, line.level, line.lost, line.recorded_at, line.actor, line.reason)
    return None


def state_entries(pruned: Iterable[PrunedRun], manifest_of: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    """Yield the entries of the state (contract, section 4) of pruned runs; ``manifest_of`` returns where one was."""
    for entry in pruned:
        run = entry.run
        yield {
            "runId": run.run_id,
            "attempt": entry.last.attempt,
            "status": run.status,
            "outcome": run.outcome,
            "startedAt": run.started_at,
            "completedAt": run.completed_at,
            "manifest": manifest_of(run.run_id),
            "manifestDigest": entry.last.manifest_digest,
        }
