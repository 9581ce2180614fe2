"""The local record of a cloud run, from claim to close: what the hub says of the run becomes what is recorded of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from tempfile import TemporaryDirectory

from orchestrator.base.clock import Clock, parse_stamp, stamp
from orchestrator.base.errors import StorageError
from orchestrator.base.record import Record
from orchestrator.base.redaction import Redactor
from orchestrator.cloud.engine_record import engine_after
from orchestrator.cloud.keeper_notes import NOTES, PACK, PLAN, KeeperNotes, write_notes
from orchestrator.cloud.local_logs import LocalLogs
from orchestrator.cloud.mirror import Mirror, folder_of, note_lost
from orchestrator.cloud.nested_runs import take_nested_in
from orchestrator.cloud.record_translation import cut_back
from orchestrator.cloud.shipment import unpack_record
from orchestrator.model.manifest.engine import Engine
from orchestrator.model.manifest.transitions import begun, waited
from orchestrator.model.plan import Plan
from orchestrator.runner.progress import Observer
from orchestrator.runner.recorder import Recorder
from orchestrator.runner.run_end import Result
from orchestrator.store.event_log import last_number
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from orchestrator.model.manifest.manifest import Manifest
    from orchestrator.model.outcome import Outcome

_CONTACT_SECONDS = 30.0
"""How often the record says anew when the hub last answered."""

_RECORD = ".record-"


class Keeping(Record):
    """What a record is kept with: the world, what is run, and the seconds of earlier attempts."""

    store: RunStore
    plan: Plan
    redactor: Redactor
    clock: Clock
    observer: Observer
    active_before: float = 0.0


class LocalRecord:
    """The record of one attempt, whose run's lock is held by ``run``; ``notes`` are the keeper's."""

    def __init__(self, keeping: Keeping, run: OpenRun, notes: KeeperNotes) -> None:
        self.run, self.notes = run, notes
        self.mirror: Mirror | None = None
        self._keeping = keeping
        self._recorder: Recorder | None = None
        events = run.manifest.resume_events
        joined = parse_stamp(events[-1].timestamp if events else run.manifest.started_at)
        clock = keeping.clock
        self._joined_at = clock.monotonic() - max(0.0, (clock.now() - joined).total_seconds())
        self._noted_at = clock.monotonic()
        run.number_from(last_number(run.folder, notes.attempt))
        if run.manifest.status == "in_progress":
            self._recorder = self._make_recorder()
            if not notes.n:
                self._recorder.replace(cut_back(self._recorder.manifest, notes.done, notes.attempts))
        self._is_taken_up = not notes.n

    @property
    def manifest(self) -> Manifest:
        """The record as it is now, which may not be on disk yet."""
        return self.run.manifest if self._recorder is None else self._recorder.manifest

    @property
    def engine(self) -> Engine:
        """What is recorded of the engine."""
        engine = self.manifest.engine
        assert engine is not None  # noqa: S101 -- a keeper keeps nothing else
        return engine

    @property
    def has_begun(self) -> bool:
        """Whether a worker has begun the attempt."""
        return self._recorder is not None

    def waited(self) -> float:
        """Return the seconds since the attempt was claimed."""
        return self._keeping.clock.monotonic() - self._joined_at

    def set_engine(self, engine: Engine) -> None:
        """Record what is known of the engine: at the next turn, or at once before a worker has begun."""
        if engine == self.engine:
            return
        if self._recorder is None:
            self.run.save(self.run.manifest._replace(engine=engine))
        else:
            self._recorder.replace(self._recorder.manifest._replace(engine=engine))

    def heard(self) -> None:
        """Note that the hub answered; the record says it again now and then."""
        now = self._keeping.clock.monotonic()
        if now - self._noted_at >= _CONTACT_SECONDS:
            self._noted_at = now
            self.set_engine(self.engine._replace(last_contact_at=stamp(self._keeping.clock.now())))

    def turn(self) -> None:
        """Do what time asks for, and write what changed. Raises StorageError."""
        recorder = self._recorder
        if recorder is None or recorder.is_closed:
            return
        if not recorder.manifest.sla.breached and recorder.active_seconds() > recorder.manifest.sla.limit_seconds:
            recorder.sla_breached()
        recorder.flush()

    def queue(self) -> None:
        """Say that the attempt waits for a worker."""
        self._keeping.observer.event(self.run.event("run:queued", {"detail": self.run.manifest.status_detail}))

    def take(self, fence: Mapping[str, Any]) -> None:
        """Take what the hub says of the run: which incarnations began, and which were lost."""
        if not self._is_taken_up:
            self._take_up(fence)
        for held in fence["incarnations"]:
            if held["n"] > self.notes.n:
                self.lose(f"worker {self._worker()} was lost")
                self._begin(held)
            if held["outcome"] == "lost" and held["n"] == self.notes.n:
                self.lose(str(held["reason"] or f"worker {held['worker']} was lost"))
        held = fence["incarnations"][-1] if fence["incarnations"] else None
        state = "running" if held is not None and held["outcome"] is None else "queued"
        engine = engine_after(self.engine, fence, self.notes.attempt, self.notes.earlier)
        self.set_engine(engine._replace(state=state, last_contact_at=stamp(self._keeping.clock.now())))

    def lose(self, reason: str) -> None:
        """Note that nothing more comes of the incarnation that is mirrored, if one is."""
        if not self._is_taken_up and self._recorder is not None:
            self._is_taken_up = True
            note_lost(self._recorder, self.run.folder, self._keeping.clock, self.notes, reason)
        mirror, self.mirror = self.mirror, None
        if mirror is not None:
            mirror.lose(reason)

    def finish(self, place: str) -> Iterator[None]:
        """Take in what a worker left, an archive: its own record, then those of the runs inside; yield now and then.

        Raises StorageError, and DamagedRecord for an archive without the record.
        """
        assert self.mirror is not None  # noqa: S101 -- what ended had begun
        folder = f"{place}.d"
        os.mkdir(folder, 0o700)
        folders = unpack_record(place, folder)
        yield from self.mirror.finish(folder_of(folders, self.run.where))
        take_nested_in(self._keeping.store, folders, self.run.where, self._keeping.redactor)

    def scratch(self) -> TemporaryDirectory[str]:
        """Return a folder for what comes back, on the disk of the record."""
        return TemporaryDirectory(dir=self.run.folder.path, prefix=_RECORD)

    def close(
        self,
        outcome: Outcome | None,
        detail: str | None,
        stopped_by: int | None,
        state: Literal["ended", "lost"] | None = "ended",
    ) -> Result:
        """End the attempt: by its stages where ``outcome`` is None. Raises StorageError.

        ``state`` is the engine's; None leaves it, where nobody could be asked whether the attempt goes on there.
        """
        if not self._is_taken_up:
            self.lose(detail or "it was lost")
        if self._recorder is None:
            self.run.save(waited(self.run.manifest, self.waited()))
            self._recorder = self._make_recorder()
        recorder = self._recorder
        self.set_engine(self.engine._replace(state=state or self.engine.state, attended=False))
        asked_by = recorder.cancelled_by() if outcome == "cancellation" else None
        manifest = recorder.close(outcome=outcome, detail=asked_by or detail)
        self._forget()
        # Who stopped it by `cancel` sent no signal that a shell would hear of (contract, section 2, code 3).
        return Result(manifest, stopped_by if manifest.status == "cancelled" and asked_by is None else None)

    def _forget(self) -> None:
        """Remove what a keeper has beside the record, and what one left that died while it took a record in."""
        with suppress(StorageError, FileNotFoundError), self._keeping.store.run_folder(self.run.where) as folder:
            for name in folder.names():
                if name in (NOTES, PACK, PLAN):
                    folder.remove(name)
                elif name.startswith(_RECORD):
                    shutil.rmtree(os.path.join(folder.path, name), ignore_errors=True)

    def give_up(self, error: BaseException) -> None:
        """Close the record as an error, as far as the disk allows."""
        if self._recorder is None:
            self._recorder = self._make_recorder()
        with suppress(StorageError):
            self.lose("the record could not be kept")
        self._recorder.give_up(error)

    def _take_up(self, fence: Mapping[str, Any]) -> None:
        """Go on with the incarnation that an earlier keeper mirrored, or note that it was lost meanwhile."""
        assert self._recorder is not None  # noqa: S101 -- it has begun
        held = next((held for held in fence["incarnations"] if held["n"] == self.notes.n), None)
        if held is None or held["outcome"] == "lost":
            self.lose(f"worker {self._worker()} was lost" if held is None else str(held["reason"]))
            return
        self._is_taken_up = True
        self._recorder.replace(cut_back(self._recorder.manifest, self.notes.done, self.notes.attempts))
        self.mirror = self._make_mirror()
        self.mirror.skip_relayed()

    def _begin(self, held: Mapping[str, Any]) -> None:
        if self._recorder is None:
            waited_seconds = self.waited()
            self.run.save(begun(self.run.manifest, stamp(self._keeping.clock.now()), waited_seconds))
            self._recorder = self._make_recorder()
            self._recorder.event("run:begin", queued_seconds=round(waited_seconds, 3), worker=held["worker"])
            self._recorder.announce()
        counts = {command.id: len(command.attempts) for command in self._recorder.manifest.commands}
        self._note(self.notes._replace(n=held["n"], attempts=counts, logs={}))
        self.mirror = self._make_mirror()

    def _worker(self) -> str:
        incarnations = self.engine.incarnations
        return incarnations[-1].worker if incarnations else ""

    def _make_mirror(self) -> Mirror:
        keeping = self._keeping
        assert self._recorder is not None  # noqa: S101 -- it has begun

        def note_logs(names: Mapping[str, str]) -> None:
            self._note(self.notes._replace(logs=dict(names)))

        show: Callable[[str, bytes], None] = keeping.observer.output
        logs = LocalLogs(keeping.store, self.run, keeping.plan, keeping.redactor, show, note_logs, self.notes.logs)
        return Mirror(self.run, self._recorder, self.notes, logs, keeping.redactor, keeping.clock)

    def _note(self, notes: KeeperNotes) -> None:
        self.notes = notes
        write_notes(self.run.folder, notes)

    def _make_recorder(self) -> Recorder:
        keeping = self._keeping
        return Recorder(
            keeping.store,
            self.run,
            keeping.plan,
            keeping.clock,
            keeping.observer.event,
            active_before=keeping.active_before,
            mask=keeping.redactor.text,
        )
