"""Taking an open run of mode cloud over from a keeper that is gone; everybody else leaves it alone."""

from __future__ import annotations

from orchestrator.base.errors import Refused
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.store.layout import Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import go_on_writing, take_over


def take_cloud_run(store: RunStore, where: Location) -> OpenRun:
    """Take the lock of a run of mode cloud to go on as its keeper; its record stays as it is, and may be written.

    One that has ended meanwhile is returned as it is, for ``recovery.finish`` to publish. Raises Refused
    (``attended``) when a process holds its lock, here or as far as is known elsewhere, and (``not-in-cloud``) when it
    is open and not of mode cloud; NotFound; DamagedRecord, also for a record whose attempt has ended by its task's
    chain; StorageError.
    """
    try:
        run = take_over(store, where, open_in_cloud=True)
    except Refused as refusal:
        if refusal.code != "alive":
            raise
        raise Refused(f"{refusal.message}: its keeper attends it", hint=refusal.hint, code="attended") from None
    try:
        if not run.manifest.is_terminal:
            if not is_open_in_cloud(run.manifest.as_json()):
                raise Refused(f"run '{where.run_id}' is not of mode cloud", code="not-in-cloud")
            go_on_writing(store, run)
            # The keeper that is gone may not have come to sync what the end will rest on.
            run.folder.sync_name()
            run.adopt_files()
    except BaseException:
        run.close()
        raise
    return run
