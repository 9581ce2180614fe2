"""A run of mode cloud: what a worker gets, and the keeper around its record."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Collection

from orchestrator.checks.spec_guard.bases import BASE_VARIABLE
from orchestrator.cloud.keeper import Keeper
from orchestrator.cloud.keeper_notes import KeeperNotes, write_notes, write_plan
from orchestrator.cloud.keeper_terms import Stop, Submission
from orchestrator.cloud.local_record import Keeping, LocalRecord
from orchestrator.cloud.protocol import fitting_label
from orchestrator.cloud.snapshot import Snapshot, pack_snapshot
from orchestrator.commands.context import Context
from orchestrator.commands.run.cloud_place import CloudPlace
from orchestrator.commands.run.prepared_run import PreparedRun
from orchestrator.config.cloud_policy import CloudPolicy
from orchestrator.git.identity import AccountQuery
from orchestrator.model.manifest.account import AttemptAccount
from orchestrator.runner.progress import Observer
from orchestrator.runner.run_end import Result
from orchestrator.runner.signals import SignalInbox
from orchestrator.store.open_run import OpenRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run_in_cloud(context: Context, prepared: PreparedRun, observer: Observer) -> Result:
    """Have a prepared run run by the engine, keep its record, and return its end.

    Raises Refusal when it could not be opened or recorded, and ``keeper_terms.Left``.
    """
    place: CloudPlace | None = prepared.cloud
    assert place is not None  # noqa: S101 -- the caller looked
    folder = os.path.normpath(os.path.join(prepared.store.workspace.root, prepared.plan.project_path))
    account = AccountQuery.begin(folder, context.environ)
    with SignalInbox() as inbox:
        run = prepared.open_run()
        try:
            recorded = AttemptAccount.from_json({"attempt": run.manifest.attempt, **account.answer()})
            run.save(run.manifest._replace(recorded_by=(*run.manifest.recorded_by, recorded)))
            notes = _first_notes(run, prepared.done)
            write_notes(run.folder, notes)
            write_plan(run.folder, prepared.plan)
            submission = Submission(
                _terms(context, prepared, run, place.policy), lambda path: _packed(context, place, path)
            )
            keeping = Keeping(
                prepared.store, prepared.plan, prepared.redactor, context.clock, observer, prepared.active_before
            )
            return keep(keeping, place.policy, run, notes, inbox, submission)
        finally:
            observer.close()
            run.close()


def keep(
    keeping: Keeping,
    policy: CloudPolicy,
    run: OpenRun,
    notes: KeeperNotes,
    inbox: SignalInbox,
    submission: Submission | None,
    *,
    stop: Stop | None = None,
) -> Result:
    """Keep the attempt of ``run`` to its end, and return that; ``stop`` and the rest as ``Keeper`` has them.

    Raises StorageError, DamagedRecord, ``keeper_terms.Left``.
    """

    async def kept() -> Result:
        record = LocalRecord(keeping, run, notes)
        return await Keeper(record, policy, keeping.clock, keeping.observer, inbox, submission, stop=stop).carry_out()

    return asyncio.run(kept())


def _first_notes(run: OpenRun, done: Collection[str]) -> KeeperNotes:
    engine = run.manifest.engine
    ticket = hashlib.sha256(os.urandom(32)).hexdigest()
    earlier = 0 if engine is None else len(engine.incarnations)
    return KeeperNotes(run.manifest.attempt, ticket, tuple(sorted(done)), earlier)


def _terms(context: Context, prepared: PreparedRun, run: OpenRun, policy: CloudPolicy) -> dict[str, Any]:
    """Return what a worker gets: names and digests, and no secret."""
    base = context.environ.get(BASE_VARIABLE)
    environ = {} if not base else {BASE_VARIABLE: base}
    return {
        "run_id": run.where.run_id,
        "task_id": run.where.task_id,
        "project": prepared.plan.project,
        "pipeline": prepared.plan.pipeline,
        "plan_digest": prepared.plan.digest,
        "lineage": run.manifest.lineage._asdict(),
        "jobs": prepared.at_once,
        "actor": run.manifest.mode.actor,
        "done": sorted(prepared.done),
        "environ": environ,
        "label": fitting_label(),
        "lease": policy.lease,
        "retries": policy.retries,
    }


def _packed(context: Context, place: CloudPlace, path: str) -> Snapshot:
    base = context.environ.get(BASE_VARIABLE)
    return pack_snapshot(place.found, path, context.environ, () if not base else (base,))
