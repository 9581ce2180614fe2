"""What is written when a new run begins, and what is put in order before."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from orchestrator.base.clock import Clock
from orchestrator.base.errors import Refused, UsageError
from orchestrator.base.identifiers import is_run_id, make_run_id
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record
from orchestrator.base.redaction import Redactor
from orchestrator.base.sha256 import sha256
from orchestrator.commands.run.ancestry import Ancestry
from orchestrator.model.canary import own_guards, with_proofs
from orchestrator.model.manifest.manifest import Lineage, Manifest
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.model.plan import Plan
from orchestrator.runner.ci_job import with_ci_job
from orchestrator.runner.enclosing_job import job_of
from orchestrator.runner.first_record import RunTerms, announce_to_parent, first_manifest
from orchestrator.store.child_links import leave_early_note, leave_link, withdraw_note
from orchestrator.store.claim import abort, claim, prepare
from orchestrator.store.last_approved import noted_run
from orchestrator.store.layout import Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.permissions import exposed_folders
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore


class GivenRun(Record):
    """The id that another host has recorded the run under, with its lineage and task there when they count."""

    run_id: str
    lineage: Lineage | None = None
    task_id: str | None = None


def begin_run(
    store: RunStore,
    plan: Plan,
    terms: RunTerms,
    ancestry: Ancestry,
    redactor: Redactor,
    clock: Clock,
    *,
    unseen: bool = False,
    before_claim: Callable[[Location], None] | None = None,
    claiming: Callable[[RunStore, Manifest, str], OpenRun] | None = None,
    given: GivenRun | None = None,
) -> OpenRun:
    """Close what died before on the task, claim a new run, and leave word with its parent.

    With ``unseen``, nobody sees the run before it ends (``prepare``); ``before_claim`` is called with its place,
    of which nothing is on disk yet; ``claiming`` claims it where that takes
    more than ``claim``; ``given`` is what the run is recorded as. Raises Refusal; then there is no such run, or,
    of a given id, the one that was there.
    """
    for folder in exposed_folders(store.workspace):
        store.warn(f"everybody may write to '{folder}', and so change what runs and what is recorded")
    recover_task(store, terms.task_id, interrupted)
    run_id = make_run_id(clock.now(), os.urandom(4)) if given is None else given.run_id
    where = Location(terms.task_id, run_id)
    if given is not None:
        _refuse_known(store, where)
    token = os.urandom(32).hex()
    manifest = first_manifest(
        plan,
        terms,
        run_id,
        (None if given is None else given.lineage) or ancestry.lineage(run_id),
        store.paths(where),
        sha256(token.encode()).hexdigest(),
        redactor,
        clock,
    )
    manifest = with_ci_job(manifest, job_of(store, terms.environ, ancestry.record), redactor.text)
    manifest = with_known_proofs(store, with_drift(store, manifest), plan)
    if unseen:
        return begin_held_back(store, manifest, token)
    if before_claim is not None:
        before_claim(where)
    leave_early_note(store, manifest)
    try:
        run = (claiming or claim)(store, manifest, token)
    except BaseException:
        withdraw_note(store, manifest)
        raise
    announce_to_parent(store, run)
    return run


def _refuse_known(store: RunStore, where: Location) -> None:
    """Raise UsageError where a given id is none, Refused where it is that of a run which is here already."""
    if not is_run_id(where.run_id):
        raise UsageError(f"{shown(where.run_id)} is no run id", hint="an id is given in full", code="bad-run-id")
    with suppress(FileNotFoundError), store.run_folder(where):
        raise Refused(
            f"run '{where.run_id}' is here already",
            hint="a run is begun once under its id; an id is never given to a second one",
            code="known-run",
        )


def begin_held_back(store: RunStore, manifest: Manifest, token: str) -> OpenRun:
    """Prepare a run that nobody sees before it ends, and leave word with its parent. Raises Refusal."""
    run = prepare(store, manifest, token)
    try:
        leave_link(store, run.manifest)
    except BaseException:
        abort(store, run)
        raise
    return run


def with_drift(store: RunStore, manifest: Manifest) -> Manifest:
    """Return the record with ``plan.approved``: how its plan differs from the one that was approved last, if any."""
    root, project = store.workspace.root, manifest.project
    if noted_run(store, project, manifest.pipeline_id) is None:
        return manifest
    from orchestrator.commands.review.approved_plan import drift_from_approved
    from orchestrator.commands.review.project_policy import review_policy

    run_id, changes = drift_from_approved(store, manifest.plan, lambda: review_policy(root, project)[0])
    if run_id is None:
        return manifest
    return manifest._replace(plan={**manifest.plan, "approved": {"run_id": run_id, "changes": list(changes)}})


def with_known_proofs(store: RunStore, manifest: Manifest, plan: Plan) -> Manifest:
    """Return the record with what proves that its project's own guardrails can fail, of those that it requires."""
    guards = {stage.id for stage in own_guards(plan)}
    if not guards:
        return manifest
    from orchestrator.store.canary_proof import proofs_of

    stages = [stage for stage in manifest.plan["stages"] if stage["id"] in guards]
    return with_proofs(manifest, proofs_of(store, plan.project, stages))
