"""What ``cancel`` and ``resume`` do with a run of mode cloud that is open and that no process here attends."""

from __future__ import annotations

from orchestrator.base.errors import UsageError
from orchestrator.commands.context import Answer, Context
from orchestrator.store.claim import take_over
from orchestrator.store.layout import Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore


def cancel_unattended(context: Context, store: RunStore, where: Location, who: str, why: str) -> Answer:
    """Cancel such a run by its engine. Raises UsageError (``engine-unreachable``): only its keeper reaches it."""
    raise UsageError(
        f"run '{where.run_id}' goes on in the cloud, and no process here reaches its engine for it: nothing is changed",
        hint=f"codex-orchestrator attach {where.run_id}",
        code="engine-unreachable",
    )


def taken_to_resume(store: RunStore, where: Location) -> OpenRun:
    """Take a run over for its next attempt; raises as ``take_over`` does.

    A run that is open in the cloud is Refused (``unattended``), since nothing here knows whether it has ended there.
    """
    return take_over(store, where)
