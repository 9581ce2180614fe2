"""The manifest as frozen values, and as JSON.

Every key of version 1 stays with its name, type and meaning (contract, section 4). Timestamps are
text (UTC, ISO 8601, milliseconds, ``Z``), durations seconds, sizes bytes. The JSON Schema is generated
from these classes (``manifest.schema``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.base.json_values import plain
from orchestrator.base.record import Record
from orchestrator.model.digest import NOT_DIGESTED as NOT_DIGESTED
from orchestrator.model.digest import manifest_digest as manifest_digest
from orchestrator.model.manifest.document import HEARTBEAT_SECONDS, HEARTBEAT_STALE_SECONDS, VERSION
from orchestrator.model.outcome import TERMINAL, Outcome, RunStatus, StageStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

_LISTED = frozenset({"commands", "guardrails", "approvals", "child_runs", "resume_events", "provenance", "runs"})
"""Lists that are shown an entry a line; ``runs`` is the snapshot's."""


class Attempt(Record):
    """One try of one stage. ``run_attempt`` is the run's attempt that it belongs to.

    ``swept`` counts processes that the stage left behind and that were killed; ``pipe_held`` says that
    its output was cut because a process out of reach kept it open; ``log_bytes_left_out`` counts what
    the log limit dropped.
    """

    run_attempt: int
    started_at: str
    completed_at: str | None
    outcome: Outcome | None
    exit_code: int | None
    signal: str | None
    duration_seconds: float | None
    cpu_seconds: float | None
    max_rss_bytes: int | None
    log_path: str | None
    detail: str | None = None
    swept: int = 0
    pipe_held: bool = False
    log_bytes_left_out: int = 0


class Reused(Record):
    """The success of a stage in an ended run that stands for running it again.

    ``cache_key`` is that of the stage there: a digest of its command, inputs, environment and tools.
    """

    run_id: str
    task_id: str
    attempt: int
    cache_key: str
    manifest: str
    log_path: str | None
    completed_at: str | None


class Command(Record):
    """One stage: version 1's keys, then what version 2 adds.

    ``cache_key`` is set for a stage that ran and declares inputs, ``reused`` for one that was not run
    because nothing that it rests on has changed: its status is ``skipped``, its outcome ``skip``.
    """

    index: int  # type: ignore[assignment]  # the contract's name hides tuple.index
    id: str
    title: str
    command: str | None
    kind: Literal["command", "subpipeline"]
    status: StageStatus
    started_at: str | None
    completed_at: str | None
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
    timestamp: str
    attempt: int
    previous_status: RunStatus
    accepted_drift: bool
    drift: tuple[str, ...]
    idle_seconds: float


class Lineage(Record):
    """Where the run stands in the tree of runs; ``note`` says why an inherited parent was not taken."""

    parentRunId: str | None  # noqa: N815 -- the contract's name
    rootRunId: str  # noqa: N815
    depth: int
    parent_task_id: str | None = None
    parent_project: str | None = None
    parent_stage_id: str | None = None
    note: str | None = None


class SessionInfo(Record):
    """The nox session that the stages ran in; ``backend`` and ``python`` as resolved, null until they are."""

    name: str
    backend: str | None
    python: str | None


class GuardrailEntry(Record):
    """The verdict on one guardrail, and why."""

    id: str
    required: bool
    outcome: Literal["passed", "failed", "missing", "skipped", "advisory", "waived"]
    reason: str


class Sla(Record):
    """The time allowed. ``active_seconds`` is the time of all attempts, without the idle time between them."""

    limit_seconds: float
    deadline_at: str
    active_seconds: float
    breached: bool
    breached_at: str | None
    slowest_stage: str | None


class Mode(Record):
    """How the run was asked for: recorded, never enforced."""

    name: Literal["local", "cloud"]
    overrides: Mapping[str, str]
    reason: str | None
    actor: str


class Manifest(Record):
    """The record of a run. Only the holder of the run's lock writes it; transitions return a new one."""

    task_id: str
    task_slug: str
    run_id: str
    parent_run_id: str | None
    pipeline_id: str
    pipeline_title: str
    approval_policy: str | None
    status: RunStatus
    status_detail: str | None
    started_at: str
    completed_at: str | None
    updated_at: str
    heartbeat_at: str
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
    attempt: int
    outcome: Outcome | None
    lineage: Lineage
    plan: Mapping[str, Any]
    session: SessionInfo
    guardrails: tuple[GuardrailEntry, ...]
    sla: Sla
    provenance: tuple[Mapping[str, Any], ...]
    mode: Mode
    revision: int
    version: Literal[2] = VERSION
    runner: str = "codex-orchestrator"
    heartbeat_interval_seconds: int = HEARTBEAT_SECONDS
    heartbeat_stale_after_seconds: int = HEARTBEAT_STALE_SECONDS
    run_summary_path: None = None

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
        return document


def render(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a manifest or a snapshot: a line for each key, and one for each entry of a list.

    The compact encoder is compiled; ``indent`` would take the interpreted one, ten times slower.
    """
    lines = [f"  {_compact(key)}: {_value(key, value)}" for key, value in document.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8", "backslashreplace")


def _value(key: str, value: Any) -> str:
    if key in _LISTED and value:
        return "[\n" + ",\n".join(f"    {_compact(item)}" for item in value) + "\n  ]"
    return _compact(value)


_compact = json.JSONEncoder(ensure_ascii=False).encode
