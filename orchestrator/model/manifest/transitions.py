"""Transitions of a run's record: pure functions from one manifest to the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from orchestrator.base.clock import later, parse_stamp, stamp
from orchestrator.model.manifest.account import AttemptAccount
from orchestrator.model.manifest.command import Attempt, Command, Report, Reused
from orchestrator.model.manifest.document import INTERRUPTED
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.outcome import RUN_STATUS_OF, STAGE_STATUS_OF, Ended, Outcome
from orchestrator.model.plan import Plan, PlannedStage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_NOT_RUN: Mapping[str, Any] = MappingProxyType(
    {
        "status": "pending",
        "started_at": None,
        "completed_at": None,
        "exit_code": None,
        "summary": None,
        "log_path": None,
        "error_file": None,
        "sub_run_id": None,
        "outcome": None,
        "signal": None,
        "duration_seconds": None,
        "cache_key": None,
        "reused": None,
    }
)
"""What the entry of a stage says of how it stands, before it runs."""


def pending_command(index: int, stage: PlannedStage) -> Command:
    """Return the entry of a stage that has not run."""
    return Command(
        index=index,
        id=stage.id,
        title=stage.title,
        command=stage.command,
        kind="subpipeline" if stage.kind == "subpipeline" else "command",
        needs=stage.needs,
        guardrail=stage.guardrail,
        attempts=(),
        **_NOT_RUN,
    )


def pending_again(command: Command) -> Command:
    """Return the entry of a stage as one that is still to run; its attempts stay as they are."""
    return command._replace(**_NOT_RUN)


def with_command(manifest: Manifest, command: Command) -> Manifest:
    """Return the manifest with one stage's entry replaced."""
    commands = tuple(command if old.id == command.id else old for old in manifest.commands)
    return manifest._replace(commands=commands)


def provenance_added(manifest: Manifest, captured: Mapping[str, Any], config_digest: str) -> Manifest:
    """Return the manifest with what its attempt runs on; ``account`` in it is who runs it, None where nobody knows."""
    attempt, account = manifest.attempt, captured.get("account")
    tree = {key: value for key, value in captured.items() if key != "account"}
    accounts = () if account is None else (AttemptAccount(attempt=attempt, **account),)
    return manifest._replace(
        provenance=(*manifest.provenance, {"attempt": attempt, **tree, "config_digest": config_digest}),
        recorded_by=(*manifest.recorded_by, *accounts),
    )


def moves_added(manifest: Manifest, moves: Mapping[str, Any]) -> Manifest:
    """Return the manifest with what of the tree changed while its attempt ran; it has provenance."""
    *before, last = manifest.provenance
    return manifest._replace(provenance=(*before, {**last, "at_end": moves}))


def error_file_added(manifest: Manifest, stage_id: str, path: str) -> Manifest:
    """Return the manifest with the path of a stage's error file."""
    return with_command(manifest, manifest.command(stage_id)._replace(error_file=path))


def stage_started(manifest: Manifest, stage_id: str, at: str, log_path: str, cache_key: str | None = None) -> Manifest:
    """Return the manifest after an attempt of the stage began; ``cache_key`` stands for what it rests on."""
    command = manifest.command(stage_id)
    attempt = Attempt(manifest.attempt, at, None, None, None, None, None, None, None, log_path)
    return with_command(
        manifest,
        command._replace(
            status="running",
            started_at=at,
            completed_at=None,
            exit_code=None,
            summary=None,
            log_path=log_path,
            error_file=None,
            outcome=None,
            signal=None,
            duration_seconds=None,
            attempts=(*command.attempts, attempt),
            cache_key=cache_key,
            reused=None,
        ),
    )


def stage_ended(
    manifest: Manifest,
    stage_id: str,
    at: str,
    ended: Ended,
    *,
    summary: str | None,
    left_out: int = 0,
    forgiven: bool = False,
    log_sha256: str | None = None,
    reports: tuple[Report, ...] = (),
) -> Manifest:
    """Return the manifest after the stage's running attempt ended.

    ``forgiven`` is set for a failure that ``allow_failure`` allows: status skipped, as in version 1,
    and the outcome as it was.
    """
    command = manifest.command(stage_id)
    attempt = command.attempts[-1]._replace(
        completed_at=at,
        outcome=ended.outcome,
        exit_code=ended.exit_code,
        signal=ended.signal,
        duration_seconds=round(ended.wall_seconds, 3),
        cpu_seconds=round(ended.cpu_seconds, 3),
        max_rss_bytes=ended.max_rss_bytes,
        detail=ended.detail,
        swept=ended.swept,
        pipe_held=ended.pipe_held,
        log_bytes_left_out=left_out,
        log_sha256=log_sha256,
        reports=reports,
        external=ended.external,
    )
    return with_command(
        manifest,
        command._replace(
            status="skipped" if forgiven else STAGE_STATUS_OF[ended.outcome],
            completed_at=at,
            exit_code=ended.exit_code,
            summary=summary,
            outcome=ended.outcome,
            signal=ended.signal,
            duration_seconds=attempt.duration_seconds,
            attempts=(*command.attempts[:-1], attempt),
        ),
    )


def stage_skipped(manifest: Manifest, stage_id: str, reason: str, reused: Reused | None = None) -> Manifest:
    """Return the manifest with a stage that was not started, why, and the success that stands for it, if one does."""
    command = manifest.command(stage_id)
    return with_command(
        manifest,
        command._replace(
            status="skipped",
            started_at=None,
            completed_at=None,
            outcome="skip",
            summary=reason,
            exit_code=None,
            signal=None,
            duration_seconds=None,
            log_path=None,
            error_file=None,
            cache_key=None,
            reused=reused,
        ),
    )


def closed(manifest: Manifest, at: str, outcome: Outcome, detail: str | None, summary: str | None) -> Manifest:
    """Return the manifest after the run ended; without a ``detail`` a failed run has version 1's."""
    return manifest._replace(
        status=RUN_STATUS_OF[outcome],
        outcome=outcome,
        status_detail=detail or _failed_by(manifest, outcome),
        completed_at=at,
        summary=summary,
        sla=manifest.sla._replace(slowest_stage=slowest_stage(manifest)),
    )


def _failed_by(manifest: Manifest, outcome: Outcome) -> str | None:
    """Return what ended a run in version 1's words, ``stage:<id>:failed``; None unless a stage failed it."""
    if outcome not in ("failure", "timeout"):
        return None
    failed = (command.id for command in manifest.commands if command.status == "failed")
    return next((f"stage:{stage_id}:failed" for stage_id in failed), None)


def slowest_stage(manifest: Manifest) -> str | None:
    """Return the id of the stage whose last attempt took longest, or None when none ran."""
    timed = [(command.duration_seconds, -command.index, command.id) for command in manifest.commands]
    ran = [entry for entry in timed if entry[0] is not None]
    return max(ran)[2] if ran else None


def queued(manifest: Manifest, detail: str) -> Manifest:
    """Return the manifest of a run whose attempt waits in the queue; ``detail`` says for what."""
    began_at = None if manifest.attempt == 1 else manifest.began_at
    return manifest._replace(status="queued", status_detail=detail, began_at=began_at)


def begun(manifest: Manifest, at: str, waited_seconds: float) -> Manifest:
    """Return the manifest of a run that leaves the queue: its limit of time begins now."""
    deadline = later(parse_stamp(manifest.sla.deadline_at), waited_seconds)
    return waited(manifest, waited_seconds)._replace(
        status="in_progress",
        status_detail=None,
        began_at=manifest.began_at or at,
        sla=manifest.sla._replace(deadline_at=stamp(deadline)),
    )


def waited(manifest: Manifest, seconds: float) -> Manifest:
    """Return the manifest with that much more time in the queue."""
    return manifest._replace(queued_seconds=round(manifest.queued_seconds + seconds, 3))


def interrupted(manifest: Manifest, at: str) -> Manifest:
    """Return the record of a run whose process died, closed: outcome ``error``, detail ``interrupted``.

    ``at`` is the last sign of life. A stage that ran is ``failed`` with outcome ``error``, one that had
    not started is skipped. Times are of the wall clock: the monotonic one died with the process.
    """
    unseen = max(0.0, _seconds(manifest.updated_at, at))
    if manifest.status == "queued":
        joined_at = manifest.resume_events[-1].timestamp if manifest.resume_events else manifest.started_at
        manifest, unseen = waited(manifest, max(0.0, _seconds(joined_at, at))), 0.0
    active = round(manifest.sla.active_seconds + unseen, 3)
    breached = manifest.sla.breached or active > manifest.sla.limit_seconds
    breached_at = manifest.sla.breached_at or (at if breached else None)
    manifest = manifest._replace(
        sla=manifest.sla._replace(active_seconds=active, breached=breached, breached_at=breached_at)
    )
    for command in manifest.commands:
        if command.status == "running":
            manifest = stage_ended(
                manifest,
                command.id,
                at,
                Ended("error", detail=INTERRUPTED, wall_seconds=max(0.0, _seconds(command.started_at or at, at))),
                summary=INTERRUPTED,
                left_out=0,
                forgiven=False,
            )
        elif command.status == "pending":
            manifest = stage_skipped(manifest, command.id, "the run was interrupted before this stage")
    return closed(manifest, at, "error", INTERRUPTED, manifest.summary)


def forgotten(manifest: Manifest, stages: Collection[str]) -> Manifest:
    """Return the record without the successes of ``stages``, of whose end nothing else tells: they count as not run."""
    for stage_id in stages:
        command = manifest.command(stage_id)
        last = tuple(
            attempt._replace(outcome="error", exit_code=None, detail=INTERRUPTED) for attempt in command.attempts[-1:]
        )
        manifest = with_command(manifest, command._replace(attempts=(*command.attempts[:-1], *last)))
        manifest = stage_skipped(manifest, stage_id, "the run was interrupted before the end of this stage was on disk")
    guardrails = tuple(
        entry._replace(outcome="missing", reason="its stage did not run to its end") if entry.id in stages else entry
        for entry in manifest.guardrails
    )
    return manifest._replace(guardrails=guardrails)


def _seconds(begin: str, end: str) -> float:
    return (parse_stamp(end) - parse_stamp(begin)).total_seconds()


def run_outcome(manifest: Manifest, plan: Plan) -> Outcome:
    """Return what a run whose stages have all ended comes to.

    A stage that failed and was allowed to does not count; one that could not run for a failed need
    does not either: the failed one counts already.
    """
    allowed = {stage.id for stage in plan.stages if stage.allow_failure}
    outcomes = {command.outcome for command in manifest.commands if command.id not in allowed}
    for worst in ("cancellation", "error", "failure", "timeout"):
        if worst in outcomes:
            return worst
    return "success"


def reset_for_resume(manifest: Manifest, plan: Plan, kept: Mapping[str, Command]) -> tuple[Command, ...]:
    """Return the stages' entries for a new attempt: ``kept`` successes stay, the others are pending again.

    Attempts of a stage that both plans have are kept, so that nothing that ran is forgotten.
    """
    before = {command.id: command for command in manifest.commands}
    entries = []
    for index, stage in enumerate(plan.stages, start=1):
        if stage.id in kept:
            entries.append(kept[stage.id]._replace(index=index))
            continue
        entry = pending_command(index, stage)
        old = before.get(stage.id)
        entries.append(entry._replace(attempts=old.attempts) if old is not None else entry)
    return tuple(entries)
