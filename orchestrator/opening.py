"""The first record of a run: what is known before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.clock import Clock, later, stamp
from orchestrator.manifest.shape import Lineage, Manifest, Mode, SessionInfo, Sla
from orchestrator.manifest.transitions import pending_command
from orchestrator.plan import Plan, redacted
from orchestrator.recording import judged
from orchestrator.redaction import Redactor
from orchestrator.run_store.layout import RunPaths

_NUMBERED = re.compile(r"\d+-(?=.)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller of ``start`` said about the run, to be recorded."""

    task_id: str
    actor: str
    approval_policy: str | None = None
    overrides: Mapping[str, str] | None = None
    override_reason: str | None = None


def first_manifest(
    plan: Plan,
    asked: Asked,
    run_id: str,
    lineage: Lineage,
    paths: RunPaths,
    token_digest: str,
    redactor: Redactor,
    clock: Clock,
) -> Manifest:
    """Return the record of a run that is about to be claimed; secrets in free text are masked."""
    now = clock.now()
    at = stamp(now)
    shown = redacted(plan, redactor.text)
    manifest = Manifest(
        task_id=asked.task_id,
        task_slug=_NUMBERED.sub("", asked.task_id, count=1),
        run_id=run_id,
        parent_run_id=lineage.parentRunId,
        pipeline_id=plan.pipeline,
        pipeline_title=shown.title,
        approval_policy=_masked(asked.approval_policy, redactor),
        status="in_progress",
        status_detail=None,
        started_at=at,
        completed_at=None,
        updated_at=at,
        heartbeat_at=at,
        artifact_root=paths.folder,
        compat_path=paths.pointer_folder,
        log_path=paths.events,
        summary=None,
        metrics_recorded=False,
        resume_token=token_digest,
        resume_events=(),
        approvals=(),
        commands=tuple(pending_command(index, stage) for index, stage in enumerate(shown.stages, start=1)),
        child_runs=(),
        project=plan.project,
        attempt=1,
        outcome=None,
        lineage=lineage,
        plan=shown.record(),
        session=SessionInfo(plan.session.name, None, None),
        guardrails=(),
        sla=Sla(plan.sla_seconds, stamp(later(now, plan.sla_seconds)), 0.0, False, None, None),
        provenance=(),
        mode=Mode(
            name="local",
            overrides={key: redactor.text(value) for key, value in (asked.overrides or {}).items()},
            reason=_masked(asked.override_reason, redactor),
            actor=redactor.text(asked.actor),
        ),
        revision=1,
    )
    return judged(manifest, plan, clock)


def drift(recorded: Mapping[str, object], plan: Plan, redactor: Redactor) -> tuple[str, ...]:
    """Say in which points today's plan differs from the recorded one, a line each; empty when it does not."""
    today = redacted(plan, redactor.text).record()
    if today["digest"] == recorded.get("digest"):
        return ()
    lines: list[str] = []
    before, after = _stages(recorded), _stages(today)
    for stage_id in [*before, *(name for name in after if name not in before)]:
        if stage_id not in after:
            lines.append(f"stage '{stage_id}' is gone")
        elif stage_id not in before:
            lines.append(f"stage '{stage_id}' is new")
        else:
            lines += _differences(f"stage '{stage_id}'", before[stage_id], after[stage_id])
    if list(before) != [name for name in after if name in before]:
        lines.append("the stages stand in another order")
    rest = [key for key in today if key not in ("digest", "stages", "config_digest")]
    lines += [f"'{key}' changed" for key in rest if today[key] != recorded.get(key)]
    return tuple(lines) or ("the plan has another digest",)


def unchanged_stages(recorded: Mapping[str, object], plan: Plan, redactor: Redactor) -> frozenset[str]:
    """Return the ids of the stages that are the same work in the recorded plan and in today's."""
    before, after = _stages(recorded), _stages(redacted(plan, redactor.text).record())
    return frozenset(name for name, stage in after.items() if before.get(name) == stage)


def _stages(record: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    stages = record.get("stages")
    found: Sequence[Mapping[str, object]] = stages if isinstance(stages, list) else ()
    return {str(stage.get("id")): stage for stage in found}


def _differences(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [f"{what}: '{key}' changed" for key in after if before.get(key) != after[key]]


def _masked(text: str | None, redactor: Redactor) -> str | None:
    return None if text is None else redactor.text(text)
