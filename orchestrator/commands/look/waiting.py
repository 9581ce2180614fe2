"""Waiting for a run: what may not be waited for, and signals that end the waiting and not the run."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from orchestrator.base.errors import EXIT_SIGNAL_BASE, DamagedRecord, NotFound, Refused, StorageError
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.limits import DEEPEST_NESTING
from orchestrator.model.lineage import RUN_VARIABLE, STAGE_VARIABLE
from orchestrator.store.find import find_run, read_document
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore


class StopSignal(Exception):  # noqa: N818 -- an event, and no error
    """A signal that ends the waiting."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = EXIT_SIGNAL_BASE + number


@contextmanager
def stop_signals() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP raise StopSignal; one that the caller had ignored stays ignored."""

    def stop(number: int, frame: object) -> None:
        raise StopSignal(number)

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Handlers belong to the main thread; an embedding program may wait in another one.
            with suppress(ValueError):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def refuse_own_run(store: RunStore, where: Location, environ: Mapping[str, str], stage: str | None = None) -> None:
    """Raise Refused where waiting could never end: inside a stage, for its own run, an ancestor or a queued run.

    With ``stage``, the end of that one is waited for: then of the runs around only the stage that encloses this call.
    """
    inside = environ.get(RUN_VARIABLE, "")
    if not is_run_id(inside):
        return
    above: str | None = inside
    enclosing = environ.get(STAGE_VARIABLE)
    with suppress(NotFound, DamagedRecord, StorageError):
        for _ in range(DEEPEST_NESTING + 1):
            if above is None:
                break
            if above == where.run_id and stage in (None, enclosing):
                raise _waits_for_itself(where, f"it encloses this call, which is inside run '{inside}'")
            lineage = read_document(store, find_run(store, above)).get("lineage")
            above = lineage.get("parentRunId") if isinstance(lineage, Mapping) else None
            enclosing = lineage.get("parent_stage_id") if isinstance(lineage, Mapping) else None
        if read_document(store, where)["status"] == "queued":
            raise _waits_for_itself(where, f"it is queued, perhaps behind run '{inside}', which encloses this call")


def _waits_for_itself(where: Location, reason: str) -> Refused:
    return Refused(
        f"run '{where.run_id}' can't be waited for: {reason}",
        hint="wait for it outside of a stage",
        code="waits-for-itself",
    )
