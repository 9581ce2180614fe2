"""The manifest as frozen values, and as JSON.

Every key of version 1 stays with its name, type and meaning (contract, section 4). Timestamps are
text (UTC, ISO 8601, milliseconds, ``Z``), durations seconds, sizes bytes. The JSON Schema is generated
from these classes (``manifest.schema``).
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.json_values import plain
from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record
from orchestrator.model.manifest.account import AttemptAccount, CiJob
from orchestrator.model.manifest.command import Command
from orchestrator.model.manifest.digest import NOT_DIGESTED as NOT_DIGESTED
from orchestrator.model.manifest.digest import manifest_digest as manifest_digest
from orchestrator.model.manifest.document import HEARTBEAT_SECONDS, HEARTBEAT_STALE_SECONDS, VERSION
from orchestrator.model.manifest.engine import Engine
from orchestrator.model.outcome import TERMINAL, Outcome, RunStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal


class ChildRun(Record):
    """A run that was started from inside this one: version 1's keys, then whose it is and where it was started."""

    run_id: str
    pipeline_id: str
    status: RunStatus
    manifest: str
    task_id: str
    project: str
    stage_id: str | None


class ResumeEvent(Record):
    """One time that somebody resumed the run; ``idle_seconds`` is the time that nothing ran before it."""

    actor: str
    reason: str
    outcome: Literal["accepted"]
    timestamp: Moment
    attempt: Count
    previous_status: RunStatus
    accepted_drift: bool
    drift: tuple[str, ...]
    idle_seconds: float


class Lineage(Record):
    """Where the run stands in the tree of runs; ``note`` says why an inherited parent was not taken.

    ``trace_id`` and ``parent_span_id`` are those of W3C Trace Context (hex): an inherited ``TRACEPARENT``'s, else
    the trace follows from the root run and there is no span above.
    """

    parentRunId: str | None  # noqa: N815 -- the contract's name
    rootRunId: str  # noqa: N815
    depth: Count
    parent_task_id: str | None = None
    parent_project: str | None = None
    parent_stage_id: str | None = None
    note: str | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None


class SessionInfo(Record):
    """The nox session that the stages ran in; ``backend`` and ``python`` as resolved, null until they are."""

    name: str
    backend: str | None
    python: str | None


class Compared(Record):
    """What the spec guard compared: two commits (``base`` null of a root commit), and how many files of code differ."""

    base: str | None
    head: str | None
    files: Count


class Proof(Record):
    """The recorded run of the pipeline ``canary`` that proves that a guard, with this command, can fail."""

    run_id: str
    task_id: str
    attempt: Count
    manifest_digest: str
    command_digest: str
    proved_at: Moment


class GuardrailEntry(Record):
    """The verdict on one guardrail, and why; what the spec guard compared; what proves that it can fail."""

    id: str
    required: bool
    outcome: Literal["passed", "failed", "missing", "skipped", "advisory", "waived"]
    reason: str
    compared: Compared | None = None
    proof: Proof | None = None


class Sla(Record):
    """The time allowed. ``active_seconds`` is the time of all attempts, without the idle time between them."""

    limit_seconds: float
    deadline_at: Moment
    active_seconds: float
    breached: bool
    breached_at: Moment | None
    slowest_stage: str | None


class Mode(Record):
    """How the run was asked for: recorded, never enforced."""

    name: Literal["local", "cloud"]
    overrides: Mapping[str, str]
    reason: str | None
    actor: str


class Softening(Record):
    """Something that the config asks less of than the base commit's; ``code`` is for machines."""

    code: str
    key: str
    message: str


class Manifest(Record):
    """The record of a run. Only the holder of the run's lock writes it; transitions return a new one.

    Keys with a default came later than the first records of version 2, whose readers take it. ``digest_form`` is
    how the manifest digest is made; ``ci`` and ``recorded_by`` have an entry for each attempt; ``policy`` is empty
    when the config asks as much as the base commit's; ``began_at`` is when the run first left the queue,
    ``engine`` where a run of mode cloud is.
    """

    task_id: str
    task_slug: str
    run_id: str
    parent_run_id: str | None
    pipeline_id: str
    pipeline_title: str
    approval_policy: str | None
    status: RunStatus
    status_detail: str | None
    started_at: Moment
    completed_at: Moment | None
    updated_at: Moment
    heartbeat_at: Moment
    artifact_root: str
    compat_path: str
    log_path: str
    summary: str | None
    metrics_recorded: bool
    resume_token: str
    resume_events: tuple[ResumeEvent, ...]
    approvals: tuple[Mapping[str, Any], ...]
    commands: tuple[Command, ...]
    child_runs: tuple[ChildRun, ...]
    project: str
    attempt: Count
    outcome: Outcome | None
    lineage: Lineage
    plan: Mapping[str, Any]
    session: SessionInfo
    guardrails: tuple[GuardrailEntry, ...]
    sla: Sla
    provenance: tuple[Mapping[str, Any], ...]
    mode: Mode
    revision: Count
    version: Literal[2] = VERSION
    runner: str = "codex-orchestrator"
    heartbeat_interval_seconds: int = HEARTBEAT_SECONDS
    heartbeat_stale_after_seconds: int = HEARTBEAT_STALE_SECONDS
    run_summary_path: None = None
    digest_form: Literal[1, 2] = 1
    began_at: Moment | None = None
    queued_seconds: float = 0
    dedup_key: str | None = None
    recorded_by: tuple[AttemptAccount, ...] = ()
    ci: tuple[CiJob | None, ...] = ()
    policy: tuple[Softening, ...] = ()
    engine: Engine | None = None

    @property
    def is_terminal(self) -> bool:
        """Tell whether the run has ended."""
        return self.status in TERMINAL

    def command(self, stage_id: str) -> Command:
        """Return the stage with that id; KeyError when there is none."""
        for command in self.commands:
            if command.id == stage_id:
                return command
        raise KeyError(stage_id)

    def check(self) -> None:
        """Raise ValueError when the record contradicts itself; run before every write."""
        ended = self.completed_at is not None
        if self.is_terminal != ended or self.is_terminal != (self.outcome is not None):
            raise ValueError(f"status {self.status} does not go with outcome {self.outcome}, {self.completed_at}")
        if self.parent_run_id != self.lineage.parentRunId or self.parent_run_id == self.run_id:
            raise ValueError("the lineage contradicts the parent's run id")
        if self.is_terminal and any(command.status in ("pending", "running") for command in self.commands):
            raise ValueError("a stage of an ended run has not ended")
        if self.status == "succeeded" and any(command.status == "failed" for command in self.commands):
            raise ValueError("a run with a failed stage can't have succeeded")

    def as_json(self) -> dict[str, Any]:
        """Return the document that ``manifest.json`` holds."""
        document: dict[str, Any] = {"version": self.version}
        document.update(plain(self))
        for command in document["commands"]:
            for attempt in command["attempts"]:
                for key in ("reports", "external"):
                    if not attempt[key]:
                        del attempt[key]  # records from before there were any keep their digest
        if self.digest_form == 1:
            _leave_out_later_keys(document)
        return document


def _leave_out_later_keys(document: dict[str, Any]) -> None:
    """Take out what records of the first digest form did not have and that says nothing: their digest stays so."""
    lineage = document["lineage"]
    guardrails, commands = document["guardrails"], document["commands"]
    attempts = [attempt for command in commands for attempt in command["attempts"]]
    del document["digest_form"]
    for part, keys in (
        (document, ("began_at", "queued_seconds", "dedup_key", "recorded_by", "ci", "policy", "engine")),
        (lineage, ("trace_id", "parent_span_id")),
        *((entry, ("compared", "proof")) for entry in guardrails),
        *((attempt, ("log_sha256",)) for attempt in attempts),
    ):
        for key in keys:
            if not part[key]:
                del part[key]
