"""The entry of one stage in the manifest, with every try of it, as frozen values."""

from __future__ import annotations

from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record
from orchestrator.model.outcome import Outcome, StageStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


EXTERNAL_PROGRAM = "external-program"
"""The code of the note that a stage ran a Python program that the session's environment does not have."""


class Report(Record):
    """A report that a stage declares: ``source`` from the project's folder (a pattern where nothing matches it).

    ``path`` is that of its masked copy, with size and digest; null where ``problem`` says why there is none.
    """

    source: str
    path: str | None
    bytes: Count | None
    sha256: str | None
    problem: str | None = None


class Attempt(Record):
    """One try of one stage. ``run_attempt`` is the run's attempt that it belongs to.

    ``swept`` counts processes that the stage left behind and that were killed; ``pipe_held`` says that
    its output was cut because a process out of reach kept it open; ``log_bytes_left_out`` counts what
    the log limit dropped. ``log_sha256`` is of the log as it was written. ``external`` are the paths of Python programs
    that the stage called and that are not in the session's environment.
    """

    run_attempt: Count
    started_at: Moment
    completed_at: Moment | None
    outcome: Outcome | None
    exit_code: int | None
    signal: str | None
    duration_seconds: float | None
    cpu_seconds: float | None
    max_rss_bytes: int | None
    log_path: str | None
    detail: str | None = None
    swept: Count = 0
    pipe_held: bool = False
    log_bytes_left_out: Count = 0
    log_sha256: str | None = None
    reports: tuple[Report, ...] = ()
    external: tuple[str, ...] = ()


class Reused(Record):
    """The success of a stage in an ended run that stands for running it again.

    ``cache_key`` is that of the stage there: a digest of its command, inputs, environment and tools.
    """

    run_id: str
    task_id: str
    attempt: Count
    cache_key: str
    manifest: str
    log_path: str | None
    completed_at: Moment | None


class Command(Record):
    """One stage: version 1's keys, then what version 2 adds.

    ``cache_key`` is set for a stage that ran and declares inputs, ``reused`` for one that was not run
    because nothing that it rests on has changed: its status is ``skipped``, its outcome ``skip``.
    """

    index: Count  # type: ignore[assignment]  # the contract's name hides tuple.index
    id: str
    title: str
    command: str | None
    kind: Literal["command", "subpipeline"]
    status: StageStatus
    started_at: Moment | None
    completed_at: Moment | None
    exit_code: int | None
    summary: str | None
    log_path: str | None
    error_file: str | None
    sub_run_id: str | None
    needs: tuple[str, ...]
    guardrail: bool
    outcome: Outcome | None
    signal: str | None
    duration_seconds: float | None
    attempts: tuple[Attempt, ...]
    cache_key: str | None = None
    reused: Reused | None = None
