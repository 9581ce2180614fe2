"""The documents that commands print: ``schema`` makes their JSON Schemas of these records, and of those of one run.

A key with a default may be left out. Keys may be added: a reader passes over what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record
from orchestrator.model.outcome import Outcome
from orchestrator.report.run_documents import (
    ArtifactsDocument,
    BriefDocument,
    CompareDocument,
    PlanDocument,
    ReviewParts,
    RunDocument,
    StatusDocument,
)
from orchestrator.report.selection_document import NothingSelected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal


class RunRow(Record):
    """A run in a list; of one whose record can't be read only its place and the ``damage`` are known.

    From ``level`` on the keys are those of ``lineage``.
    """

    run_id: str
    task_id: str | None
    project: str | None
    pipeline_id: str | None
    status: str
    outcome: Outcome | None
    status_detail: str | None
    alive: bool | None
    died: bool | None
    attempt: Count | None
    started_at: Moment | None
    completed_at: Moment | None
    duration_seconds: float | None
    stages: Mapping[str, Count] | None
    sla_breached: bool | None
    parent_run_id: str | None
    manifest: str | None
    version: Count | None
    damage: str | None
    altered: str | None
    in_future: bool | None
    imported_from: Mapping[str, Any] | None
    attended: bool | None
    level: Count | None = None
    above: Any = None
    stage_id: str | None = None
    kind: str | None = None
    last: Any = None
    asked: bool | None = None


class RunsDocument(Record):
    """The answer of ``runs``: ``known`` runs have names, ``looked_at`` ones were read."""

    runs: tuple[RunRow, ...]
    known: Count
    looked_at: Count
    damaged: Count
    unreadable: tuple[Mapping[str, Any], ...]
    hint: str


class LogEntry(Record):
    """A log, or a stage without one: then a note says why."""

    stage: str
    attempt: Count | None
    log_path: str | None
    bytes: Count
    bytes_left_out: Count
    lines: tuple[str, ...]
    note: str | None


class LogsDocument(Record):
    """The answer of ``logs``."""

    run_id: str
    stages: tuple[LogEntry, ...]


class BrokenLink(Record):
    """What is wrong between two runs."""

    code: str
    run_id: str
    message: str


class LineageDocument(Record):
    """The answer of ``lineage``: the tree of a run, parents first."""

    run_id: str
    top_run_id: str
    runs: tuple[RunRow, ...]
    broken: tuple[BrokenLink, ...]


class Gate(Record):
    """Whether the gate is met, and what is against it."""

    met: bool
    findings: tuple[Mapping[str, Any], ...]


class ProjectFigures(Record):
    """The figures of a project in the window (docs/metrics.md)."""

    project: str | None
    runs: Count
    outcomes: Mapping[str, Count]
    guardrails: Mapping[str, Any]
    sla: Mapping[str, Any]
    duration: Mapping[str, Any]
    pipelines: tuple[Mapping[str, Any], ...]
    flaky: tuple[Mapping[str, Any], ...]
    findings: Count


class MetricsDocument(Record):
    """The answer of ``metrics``."""

    since: Moment
    until: Moment
    window_seconds: float
    projects: tuple[ProjectFigures, ...]
    gate: Gate
    notes: Mapping[str, Any]


class VerifyFinding(Record):
    """A finding of ``verify``."""

    code: str
    path: str
    message: str
    line: Count | None
    hint: str


class VerifyDocument(Record):
    """The answer of ``verify``; ``records``, ``state`` and ``docs`` where they were asked for."""

    workspace: str
    ok: bool
    findings: tuple[VerifyFinding, ...]
    records: Mapping[str, Any] | None = None
    state: tuple[Mapping[str, Any], ...] = ()
    docs: Mapping[str, Any] | None = None


class ProjectRow(Record):
    """A project; ``last_run`` is its last ended one, with ``ready`` null where its record can't be read."""

    project: str
    path: str | None
    task_id: str | None
    owners: tuple[str, ...]
    tags: tuple[str, ...]
    depends_on: tuple[str, ...]
    pipelines: tuple[str, ...]
    faults: tuple[str, ...]
    last_run: Mapping[str, Any] | None
    coverage: float | None


class ProjectsDocument(Record):
    """The answer of ``projects``; ``misnamed`` are config files whose names can be no project's."""

    projects: tuple[ProjectRow, ...]
    misnamed: tuple[str, ...]


class ClockOffset(Record):
    """How far another clock is ahead of ours, and the most by which that may be wrong."""

    offset_seconds: float
    uncertainty_seconds: float


class CheckedWorker(Record):
    """A worker; null what it did not answer. ``label``: it takes runs of this version and Python."""

    name: str
    address: str
    version: str | None
    python: str | None
    slots: Count
    free_bytes: Count | None
    clock: ClockOffset | None
    label: bool


class CheckedHub(Record):
    """The hub in the scheduler: its version, what its disk has left, and when the scheduler gives a worker up (s)."""

    version: str
    free_bytes: Count
    worker_ttl: float | None


class CloudCheckDocument(Record):
    """The answer of ``cloud check``; ``label`` is that of workers that fit, null where the scheduler is not reached."""

    scheduler: str
    ok: bool
    reachable: bool
    certificate: Literal["accepted", "refused", "wrong-ca"] | None
    clock: ClockOffset | None
    label: str | None
    hub: CheckedHub | None
    workers: tuple[CheckedWorker, ...]
    problems: tuple[ErrorBody, ...]


class EventDocument(Record):
    """A line of ``runner.ndjson``, and of ``--format ndjson``; what else it holds depends on its ``type``."""

    type: str


class ErrorBody(Record):
    """A code for programs, a message for people, and what to do."""

    code: str
    message: str
    hint: str | None


class ErrorDocument(Record):
    """The answer of any command that refuses."""

    error: ErrorBody


DOCUMENTS: dict[str, tuple[type[Record], ...]] = {
    "run": (RunDocument,),
    "status": (StatusDocument,),
    "brief": (BriefDocument,),
    "plan": (PlanDocument,),
    "runs": (RunsDocument,),
    "logs": (LogsDocument,),
    "lineage": (LineageDocument,),
    "metrics": (MetricsDocument,),
    "review": (StatusDocument, ReviewParts),
    "verify": (VerifyDocument,),
    "projects": (ProjectsDocument,),
    "artifacts": (ArtifactsDocument,),
    "compare": (CompareDocument,),
    "cloud-check": (CloudCheckDocument,),
    "event": (EventDocument,),
    "error": (ErrorDocument,),
}
"""The documents that have a schema, and the records that they are made of."""

OTHER_FORMS: dict[str, type[Record]] = {"run": NothingSelected, "plan": NothingSelected}
"""The documents that may have another form, and the record of that."""
