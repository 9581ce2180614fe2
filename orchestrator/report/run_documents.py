"""The shapes of the documents about one run, as records: ``report.documents`` names all that have a schema.

A key with a default may be left out. Keys may be added: a reader passes over what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record
from orchestrator.model.failed_tests import FailedTest
from orchestrator.model.manifest.command import Attempt, Reused
from orchestrator.model.manifest.manifest import Lineage, SessionInfo
from orchestrator.model.outcome import Outcome, RunStatus, StageStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal


class FailureCause(Record):
    """The stage that a failed sub-pipeline failed by, of whatever depth, and its cause in one ``line``."""

    run_id: str
    task_id: str
    project: str
    pipeline_id: str
    stage: str
    outcome: str
    exit_code: int | None
    signal: str | None
    summary: str
    last_lines: tuple[str, ...]
    log_path: str | None
    line: str
    tests: tuple[FailedTest, ...] = ()
    tests_failed: Count = 0


class Failure(Record):
    """A failed stage; ``environment`` is the name of an environment that could not be made.

    ``tests`` are the failed tests that its reports name, 20 at most, of ``tests_failed`` in all.
    """

    stage: str
    outcome: Outcome | None
    exit_code: int | None
    signal: str | None
    last_lines: tuple[str, ...]
    log_path: str | None
    cause: FailureCause | None
    next_command: str
    tests: tuple[FailedTest, ...] = ()
    tests_failed: Count = 0


class FleetTotals(Record):
    """How many projects of a fleet stand how; what never began is queued while the fleet lives, and skipped after."""

    queued: Count
    running: Count
    succeeded: Count
    failed: Count
    cancelled: Count
    skipped: Count


class FleetEntry(Record):
    """A project of a fleet; one that has no run has no ``run_id``, and its ``cause`` says why.

    ``run_status`` is there where its process failed after its run had succeeded: what its record says.
    """

    project: str
    run_id: str | None
    status: RunStatus | Literal["skipped"]
    outcome: Outcome | None
    attempt: Count | None
    alive: bool | None
    attended: bool | None
    failed_stage: str | None
    cause: str | None
    guardrails: Mapping[str, str]
    sla_breached: bool
    manifest: str | None
    run_status: RunStatus | None = None


class FleetStatus(Record):
    """The projects of a fleet, failed ones first."""

    totals: FleetTotals
    projects: tuple[FleetEntry, ...]


class FleetSummary(Record):
    """The projects of a fleet that has ended, counted."""

    totals: FleetTotals


class RunDocument(Record):
    """The answer of ``start``, ``resume``, ``cancel`` and ``wait``. ``exit_code`` is null while the run goes on.

    ``timed_out`` is of ``wait``; ``deduplicated``, ``commit`` and ``same_tree`` of a start whose key was used.
    """

    run_id: str
    task_id: str
    project: str | None
    pipeline_id: str
    status: RunStatus
    outcome: Outcome | None
    attempt: Count
    exit_code: Count | None
    artifact_root: str
    manifest: str
    log_path: str | None
    failed: tuple[Failure, ...]
    next_command: str | None
    next_argv: tuple[str, ...] | None
    timed_out: bool = False
    deduplicated: bool = False
    commit: str | None = None
    same_tree: bool | None = None
    fleet: FleetSummary | None = None


class Reason(Record):
    """A code for programs and a message for people."""

    code: str
    message: str


class Ready(Record):
    """Whether a run is ready for review, and what is missing."""

    ready: bool
    reasons: tuple[Reason, ...]


class StatusCommand(Record):
    """A stage in the document of ``status``."""

    index: Count  # type: ignore[assignment]  # the contract's name hides tuple.index
    id: str
    title: str | None
    command: str | None
    kind: str
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


class StatusChild(Record):
    """A run that was started inside this one, as it stands now; null what its record does not say."""

    run_id: str
    pipeline_id: str
    status: RunStatus
    manifest: str
    task_id: str | None
    project: str | None
    stage_id: str | None
    outcome: Outcome | None
    alive: bool | None
    attended: bool | None = None


class Time(Record):
    """The time allowed and taken, in seconds; ``remaining_seconds`` is of a run that goes on."""

    limit_seconds: float
    deadline_at: Moment
    active_seconds: float
    breached: bool
    breached_at: Moment | None
    slowest_stage: str | None
    remaining_seconds: float | None = None


class StatusDocument(Record):
    """The reviewer's view of one run (docs/status.md).

    Of an open run of mode cloud ``attended`` says whether its keeper lives; ``alive`` is null where it does not.
    """

    run_id: str
    status: RunStatus
    status_detail: str | None
    started_at: Moment
    completed_at: Moment | None
    manifest: str
    artifact_root: str
    log_path: str | None
    heartbeat_at: Moment | None
    commands: tuple[StatusCommand, ...]
    child_runs: tuple[StatusChild, ...]
    task_id: str
    project: str | None
    pipeline_id: str
    outcome: Outcome | None
    attempt: Count
    alive: bool | None
    lineage: Lineage
    guardrails: tuple[Mapping[str, Any], ...]
    approvals: tuple[Mapping[str, Any], ...]
    sla: Time | None
    provenance: tuple[Mapping[str, Any], ...]
    session: SessionInfo | None
    mode: Mapping[str, Any] | None
    ready: Ready
    freshness: Mapping[str, Any]
    review: Mapping[str, Any]
    drift: Mapping[str, Any]
    version: Literal[1, 2]
    resume_events: tuple[Mapping[str, Any], ...]
    plan: Mapping[str, Any] | None
    next_command: str | None
    next_argv: tuple[str, ...] | None
    alive_by: str | None
    notes: tuple[Reason, ...]
    pruned: Literal["logs"] | None
    imported_from: Mapping[str, Any] | None
    attended: bool | None
    failed: tuple[Failure, ...]
    fleet: FleetStatus | None = None


class BriefFailure(Record):
    """A failed stage in one line; ``child_run_id`` is the run below in which it failed."""

    stage: str
    outcome: Outcome | None
    cause: str
    log_path: str | None
    child_run_id: str | None


class BriefDocument(Record):
    """The answer of ``status --brief``: at most 2 KiB."""

    run_id: str
    project: str | None
    task_id: str
    status: RunStatus
    outcome: Outcome | None
    attempt: Count
    alive: bool | None
    attended: bool | None
    ready: Ready
    failed: tuple[BriefFailure, ...]
    failed_left_out: Count
    next_command: str | None
    next_argv: tuple[str, ...] | None
    fleet: FleetSummary | None = None


class PlanDocument(Record):
    """The answer of ``plan``: the compiled plan, with those of its sub-pipelines by stage."""

    digest: str
    compiler: Count
    project: str
    project_path: str
    pipeline: str
    title: str
    builtin_version: Count | None
    sla_seconds: float
    required_guardrails: tuple[str, ...]
    reuse_guardrails: bool
    waivers: tuple[Mapping[str, Any], ...]
    flags: tuple[Mapping[str, Any], ...]
    session: Mapping[str, Any]
    stages: tuple[Mapping[str, Any], ...]
    subpipelines: tuple[Mapping[str, Any], ...]
    config_digest: str
    task_id: str
    owners: tuple[str, ...]
    subplans: Mapping[str, Any]
    guardrails: tuple[Mapping[str, Any], ...]
    spec_guard: Any = None
    unproven: Any = None
    drift: Mapping[str, Any] | None = None
    kind: str | None = None
    selection: Mapping[str, Any] | None = None


class ReviewParts(Record):
    """What the packet of a review has beside the document of ``status``."""

    failures: tuple[Mapping[str, Any], ...]
    tree_changes: Mapping[str, Any]
    plan_changes: tuple[str, ...]
    plan_note: str | None


class Artifact(Record):
    """A file of a run that may leave the machine; ``path`` is as paths in the record are."""

    path: str
    bytes: Count


class ArtifactsDocument(Record):
    """The answer of ``artifacts``."""

    run_id: str
    artifact_root: str
    files: tuple[Artifact, ...]


class CompareDocument(Record):
    """The answer of ``compare``: what differs from ``before`` to ``run``; ``files`` is null where it can't be known."""

    run_id: str
    before: str
    project: str
    pipeline_id: str
    commits: Mapping[str, Any]
    files: tuple[Mapping[str, Any], ...] | None
    files_note: str | None
    plan: tuple[str, ...]
    host: tuple[Mapping[str, Any], ...]
    outcome: Mapping[str, Any]
    stages: tuple[Mapping[str, Any], ...]
    tests: tuple[Mapping[str, Any], ...] = ()
