"""The first record of a run, what is known before anything runs, and the word that is left with its parent."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

from orchestrator.base.clock import Clock, later, stamp
from orchestrator.base.errors import StorageError
from orchestrator.base.record import Record
from orchestrator.base.redaction import Redactor
from orchestrator.model.guardrails import judged
from orchestrator.model.lineage import trace_of
from orchestrator.model.manifest.engine import Engine
from orchestrator.model.manifest.manifest import Lineage, Manifest, Mode, SessionInfo, Sla
from orchestrator.model.manifest.transitions import interrupted, pending_command, queued
from orchestrator.model.plan import Plan, redacted
from orchestrator.store.child_links import leave_link, settle_with_parent
from orchestrator.store.layout import RunPaths
from orchestrator.store.open_run import OpenRun
from orchestrator.store.recovery import finish
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

WAITS_FOR_WORKER = "waits for a worker"
"""The detail of a run of mode cloud that no worker has begun."""


class RunTerms(Record):
    """What the caller of ``start`` said about the run, to be recorded; ``environ`` is its environment.

    ``dedup_key`` is the sha256 of its key. With an ``engine``, the run waits for a worker of it first.
    """

    task_id: str
    actor: str
    approval_policy: str | None = None
    overrides: Mapping[str, str] | None = None
    override_reason: str | None = None
    environ: Mapping[str, str] = MappingProxyType({})
    dedup_key: str | None = None
    mode: Literal["local", "cloud"] = "local"
    engine: Engine | None = None


def first_manifest(
    plan: Plan,
    terms: RunTerms,
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
    trace_id, parent_span_id = trace_of(terms.environ.get("TRACEPARENT", ""), lineage)
    manifest = Manifest(
        task_id=terms.task_id,
        task_slug=_slug(terms.task_id),
        run_id=run_id,
        parent_run_id=lineage.parentRunId,
        pipeline_id=plan.pipeline,
        pipeline_title=shown.title,
        approval_policy=_masked(terms.approval_policy, redactor),
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
        lineage=lineage._replace(trace_id=trace_id, parent_span_id=parent_span_id),
        plan=shown.record(),
        session=SessionInfo(plan.session.name, None, None),
        guardrails=(),
        sla=Sla(plan.sla_seconds, stamp(later(now, plan.sla_seconds)), 0.0, False, None, None),
        provenance=(),
        mode=Mode(
            name=terms.mode,
            overrides={key: redactor.text(value) for key, value in (terms.overrides or {}).items()},
            reason=_masked(terms.override_reason, redactor),
            actor=redactor.text(terms.actor),
        ),
        revision=1,
        digest_form=2,
        began_at=at,
        dedup_key=terms.dedup_key,
        engine=terms.engine,
    )
    if terms.engine is not None:
        manifest = queued(manifest, WAITS_FOR_WORKER)
    return judged(manifest, plan, clock)


def announce_to_parent(store: RunStore, run: OpenRun) -> None:
    """Leave word of a run with the run that started it, as soon as it is claimed.

    Raises StorageError where that can't be written; the run, which will not begin, is then closed.
    """
    try:
        leave_link(store, run.manifest)
        settle_with_parent(store, run.manifest)
    except StorageError as error:
        detail = error.message

        def close(manifest: Manifest, at: str) -> Manifest:
            return interrupted(manifest, at)._replace(status_detail=detail)

        try:
            with suppress(StorageError):
                finish(store, run, close)
        finally:
            run.close()
        raise


def _masked(text: str | None, redactor: Redactor) -> str | None:
    return None if text is None else redactor.text(text)


def _slug(task_id: str) -> str:
    """Return a task's id without the number that it begins with, if something follows."""
    number, _, rest = task_id.partition("-")
    return rest if number.isdigit() and rest else task_id
