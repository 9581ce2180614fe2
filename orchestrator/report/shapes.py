"""Which keys of a record are shown, and what each may hold: version 1's, and what version 2 adds."""

from __future__ import annotations

from orchestrator.model.outcome import Outcome, RunStatus, StageStatus, words
from orchestrator.report.fields import COUNT, FLAG, INTEGER, MOMENT, NAMED_TEXTS, NUMBER, TEXT, TEXTS, Shape, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_TEXT_OR_NULL: Final = TEXT.or_null()
_MOMENT_OR_NULL: Final = MOMENT.or_null()
_NUMBER_OR_NULL: Final = NUMBER.or_null()
_INTEGER_OR_NULL: Final = INTEGER.or_null()
_RUN_STATUS: Final = one_of(frozenset(words(RunStatus)))
_STAGE_STATUS: Final = one_of(frozenset(words(StageStatus)))
_OUTCOME_OR_NULL: Final = one_of(frozenset(words(Outcome))).or_null()

RUN: Final[Shape] = {
    "run_id": TEXT,
    "status": _RUN_STATUS,
    "status_detail": _TEXT_OR_NULL,
    "started_at": MOMENT,
    "completed_at": _MOMENT_OR_NULL,
    "artifact_root": TEXT,
    "log_path": TEXT,
    "heartbeat_at": MOMENT,
    "task_id": TEXT,
    "pipeline_id": TEXT,
    "pipeline_title": TEXT,
    "summary": _TEXT_OR_NULL,
    "approval_policy": _TEXT_OR_NULL,
    "updated_at": MOMENT,
}
RUN_2: Final[Shape] = {"project": TEXT, "outcome": _OUTCOME_OR_NULL, "attempt": COUNT}

COMMAND: Final[Shape] = {
    "index": COUNT,
    "id": TEXT,
    "title": TEXT,
    "command": _TEXT_OR_NULL,
    "kind": TEXT,
    "status": _STAGE_STATUS,
    "started_at": _MOMENT_OR_NULL,
    "completed_at": _MOMENT_OR_NULL,
    "exit_code": _INTEGER_OR_NULL,
    "summary": _TEXT_OR_NULL,
    "log_path": _TEXT_OR_NULL,
    "error_file": _TEXT_OR_NULL,
    "sub_run_id": _TEXT_OR_NULL,
}
COMMAND_2: Final[Shape] = {
    "needs": TEXTS,
    "guardrail": FLAG,
    "outcome": _OUTCOME_OR_NULL,
    "signal": _TEXT_OR_NULL,
    "duration_seconds": _NUMBER_OR_NULL,
    "cache_key": _TEXT_OR_NULL,
}
REUSED: Final[Shape] = {
    "run_id": TEXT,
    "task_id": TEXT,
    "attempt": COUNT,
    "cache_key": TEXT,
    "manifest": TEXT,
    "log_path": _TEXT_OR_NULL,
    "completed_at": _MOMENT_OR_NULL,
}
ATTEMPT: Final[Shape] = {
    "run_attempt": COUNT,
    "started_at": MOMENT,
    "completed_at": _MOMENT_OR_NULL,
    "outcome": _OUTCOME_OR_NULL,
    "exit_code": _INTEGER_OR_NULL,
    "signal": _TEXT_OR_NULL,
    "duration_seconds": _NUMBER_OR_NULL,
    "cpu_seconds": _NUMBER_OR_NULL,
    "max_rss_bytes": _INTEGER_OR_NULL,
    "log_path": _TEXT_OR_NULL,
    "detail": _TEXT_OR_NULL,
    "swept": COUNT,
    "pipe_held": FLAG,
    "log_bytes_left_out": COUNT,
}
CHILD: Final[Shape] = {"run_id": TEXT, "pipeline_id": TEXT, "status": _RUN_STATUS, "manifest": TEXT}
CHILD_2: Final[Shape] = {"task_id": TEXT, "project": TEXT, "stage_id": _TEXT_OR_NULL}
LINEAGE: Final[Shape] = {
    "parentRunId": _TEXT_OR_NULL,
    "rootRunId": TEXT,
    "depth": COUNT,
    "parent_task_id": _TEXT_OR_NULL,
    "parent_project": _TEXT_OR_NULL,
    "parent_stage_id": _TEXT_OR_NULL,
    "note": _TEXT_OR_NULL,
}
GUARDRAIL: Final[Shape] = {
    "id": TEXT,
    "required": FLAG,
    "outcome": one_of(frozenset({"passed", "failed", "missing", "skipped", "advisory", "waived"})),
    "reason": TEXT,
}
SLA: Final[Shape] = {
    "limit_seconds": NUMBER,
    "deadline_at": MOMENT,
    "active_seconds": NUMBER,
    "breached": FLAG,
    "breached_at": _MOMENT_OR_NULL,
    "slowest_stage": _TEXT_OR_NULL,
}
PROVENANCE: Final[Shape] = {
    "attempt": COUNT,
    "commit": _TEXT_OR_NULL,
    "branch": _TEXT_OR_NULL,
    "dirty": FLAG.or_null(),
    "tree_digest": _TEXT_OR_NULL,
}
SESSION: Final[Shape] = {"name": TEXT, "backend": _TEXT_OR_NULL, "python": _TEXT_OR_NULL}
MODE: Final[Shape] = {"name": TEXT, "overrides": NAMED_TEXTS, "reason": _TEXT_OR_NULL, "actor": TEXT}
RESUME_EVENT: Final[Shape] = {"actor": TEXT, "reason": TEXT, "outcome": TEXT, "timestamp": MOMENT}
FLAG_OF_PLAN: Final[Shape] = {"stage": _TEXT_OR_NULL, "code": TEXT, "message": TEXT}
WAIVER: Final[Shape] = {"guardrail": TEXT, "reason": TEXT, "approved_by": TEXT, "until": TEXT}
