"""A run that waits for its place in the queue: nothing of it is started, and it can be stopped at any moment."""

from __future__ import annotations

import select
from collections.abc import Callable

from orchestrator.base.clock import Clock, stamp
from orchestrator.config.quantities import written
from orchestrator.model.manifest.document import HEARTBEAT_SECONDS
from orchestrator.model.manifest.transitions import begun, waited
from orchestrator.model.plan import Plan
from orchestrator.runner.progress import Observer
from orchestrator.runner.recorder import Recorder
from orchestrator.runner.run_end import Result
from orchestrator.runner.signals import SignalInbox
from orchestrator.store.lent_slots import keeps_slot, offer_slot
from orchestrator.store.open_run import OpenRun
from orchestrator.store.queue_places import Place
from orchestrator.store.store import RunStore

_REPEAT_SECONDS = 30.0
"""Who reads lines hears that often that the run still waits, as of stages that print nothing."""


class QueueWait:
    """The wait of one attempt. ``limit_seconds`` is the longest, None: as long as it takes.

    ``mask`` hides secrets in who stopped it and why; ``active_before`` are the seconds of earlier attempts.
    """

    def __init__(
        self,
        store: RunStore,
        run: OpenRun,
        plan: Plan,
        clock: Clock,
        observer: Observer,
        inbox: SignalInbox,
        *,
        mask: Callable[[str], str] = str,
        active_before: float = 0.0,
        limit_seconds: float | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._store, self._run, self._plan, self._clock = store, run, plan, clock
        self._observer, self._inbox, self._mask = observer, inbox, mask
        self._active_before, self._limit = active_before, limit_seconds
        self._pause = pause or self._until_signal
        self._began = clock.monotonic()
        self._beat_at = self._began + HEARTBEAT_SECONDS
        self._repeat_at = self._began

    def end(self, place: Place) -> Result | None:
        """Wait, and return None once the run holds its place; else its record, closed as cancelled.

        It is closed when a stop signal came, or when the longest time to wait is over. Raises StorageError.
        """
        offer_slot(self._store, self._run.manifest)
        self._run.event("run:queued", {"detail": self._run.manifest.status_detail})
        while True:
            stop = next(iter(self._inbox.take()), None)
            if stop is not None:
                return self._stopped(stop)
            now = place.look()
            if now is None:
                self._begin()
                return None
            if self._limit is not None and self._waited() >= self._limit:
                return self._close(f"waited {written(self._limit)}", None)
            self._report(now.detail)
            self._pause(self._patience(place.patience))

    def _report(self, detail: str) -> None:
        at = self._clock.monotonic()
        if detail != self._run.manifest.status_detail:
            self._run.save(self._run.manifest._replace(status_detail=detail))
            self._repeat_at = at
        if at >= self._repeat_at:
            self._repeat_at = at + _REPEAT_SECONDS
            seconds = round(self._waited(), 3)
            event = {
                "type": "run:queued",
                "run_id": self._run.where.run_id,
                "detail": detail,
                "queued_seconds": seconds,
            }
            self._observer.event(event)
        if at >= self._beat_at:
            self._beat_at = at + HEARTBEAT_SECONDS
            self._run.heartbeat()
        if self._observer.refresh_seconds is not None:
            self._observer.tick()

    def _patience(self, longest: float) -> float:
        waits = [longest, self._beat_at - self._clock.monotonic()]
        if self._limit is not None:
            waits.append(self._limit - self._waited())
        return max(0.0, min(waits))

    def _until_signal(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._inbox.fileno(), select.POLLIN)
        poll.poll(seconds * 1000)

    def _begin(self) -> None:
        at = stamp(self._clock.now())
        self._run.keeps_slot = keeps_slot(self._store, self._run.manifest)
        self._run.save(begun(self._run.manifest, at, self._waited()))
        self._observer.event(self._run.event("run:begin", {"queued_seconds": round(self._waited(), 3)}))

    def _stopped(self, number: int) -> Result:
        import signal

        return self._close(f"stopped by {signal.Signals(number).name}", number)

    def _close(self, detail: str, stopped_by: int | None) -> Result:
        self._run.save(waited(self._run.manifest, self._waited()))
        recorder = self.recorder()
        asked_by = None if stopped_by is None else recorder.cancelled_by()
        manifest = recorder.close(outcome="cancellation", detail=asked_by or detail)
        # Who stopped it by `cancel` sent no signal that a shell would hear of (contract, section 2, code 3).
        return Result(manifest, None if asked_by is not None else stopped_by)

    def recorder(self) -> Recorder:
        """Return what closes the record of the run as it is now."""
        return Recorder(
            self._store,
            self._run,
            self._plan,
            self._clock,
            self._observer.event,
            active_before=self._active_before,
            mask=self._mask,
        )

    def _waited(self) -> float:
        return self._clock.monotonic() - self._began
