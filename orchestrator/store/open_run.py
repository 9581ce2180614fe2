"""A run whose lock is held: the only way to write its record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.clock import Clock, stamp
from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, Lock
from orchestrator.base.json_values import json_text
from orchestrator.base.sha256 import Digest, RunningDigest
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.rendering import Rendering
from orchestrator.store.layout import (
    COMMANDS,
    ERRORS,
    EVENTS,
    HEARTBEAT,
    MANIFEST,
    REPORTS,
    RESERVE,
    Location,
    log_name,
    reports_name,
)
from orchestrator.store.run_files import chunks_of, files_below, names_in, parent_of, whole_lines_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.store.queue_places import Place


class OpenRun:
    """The holder of a run's lock. ``manifest`` is what was saved last.

    Not ``is_shown``, nobody sees the run yet, and ``manifest`` is the one that its first record will follow.
    ``is_new`` says that its events begin with this process. ``line`` is the chain's line of the run's last ended
    attempt; ``digests`` has what this process wrote, by path in the run's folder.
    """

    def __init__(
        self,
        where: Location,
        folder: Folder,
        lock: Lock,
        manifest: Manifest,
        clock: Clock,
        *,
        is_shown: bool = True,
        is_new: bool = False,
    ) -> None:
        self.where = where
        self.folder = folder
        self.lock = lock
        self.manifest = manifest
        self.is_shown = is_shown
        self.is_pointed = is_shown
        """Whether the compatibility pointers to the run are there."""
        self.has_line = False
        """Whether the record's attempt has its line in the chain, and was found to be as that line says."""
        self.line: Mapping[str, Any] | None = None
        self.imported_from: Mapping[str, Any] | None = None
        """Where the run came from, of one that ``import`` took."""
        self.digests: dict[str, Digest] = {}
        self.place: Place | None = None
        """Its place in the queue, where a limit binds it."""
        self.keeps_slot = True
        """Whether its first stage runs in the slot of the stage that started it."""
        self._events = RunningDigest() if is_new else None
        self._goes_on = is_new
        self._unsynced: dict[str, None] = {}
        self._rendering = Rendering()
        self._clock = clock
        self._sequence = 0

    def save(self, manifest: Manifest) -> Manifest:
        """Write the record, whole and synced, as the next revision; returns what was written.

        A full disk gives back the space that was reserved at the start and tries once more. Raises
        StorageError when the record could not be written; then the old one stands.
        """
        now = stamp(self._clock.now())
        manifest = manifest._replace(revision=self.manifest.revision + 1, updated_at=now, heartbeat_at=now)
        manifest.check()
        data = self._rendering.data(manifest)
        try:
            self._write(manifest, data)
        except StorageError:
            if not self.folder.has(RESERVE):
                raise
            self.folder.remove(RESERVE)
            self._write(manifest, data)
        self.manifest = manifest
        return manifest

    def document(self) -> Mapping[str, Any]:
        """Return what ``manifest.json`` holds, to be read only."""
        return self._rendering.document(self.manifest)

    def _write(self, manifest: Manifest, data: bytes) -> None:
        if manifest.is_terminal:
            self.sync_evidence()
        if not (self.is_shown or self.folder.has(MANIFEST)):
            # Nobody sees it, whole or not, so that its bytes and its name can share a sync.
            self.folder.create(MANIFEST, data)
            self.folder.sync()
            return
        # A transition that is lost with the folder's entry leaves the one before it: still whole. The
        # end of a run is acknowledged, so its name must survive too; so must that of a new attempt, before its
        # first event stands behind those that the line of the last one proves.
        begins = manifest.attempt > self.manifest.attempt
        self.folder.write(MANIFEST, data, sync_folder=manifest.is_terminal or begins)

    def sync_evidence(self) -> None:
        """Make events and error files survive a power cut: the record that ends an attempt rests on them.

        One that somebody took away meanwhile is not there to be synced; the digest of what was written tells of it.
        """
        with suppress(FileNotFoundError):
            if EVENTS in self._unsynced:
                self.folder.sync_file(EVENTS)
        for above in dict.fromkeys((ERRORS, COMMANDS, *map(os.path.dirname, self._unsynced))):
            names = [name for folder, name in map(os.path.split, self._unsynced) if folder == above]
            if above and names:
                with suppress(FileNotFoundError), parent_of(self.folder, f"{above}/") as (folder, _):
                    for name in filter(folder.has, names):
                        folder.sync_file(name)
                    folder.sync()
        self._unsynced.clear()

    def adopt_files(self) -> None:
        """Take over what a process left that died: it may not have come to sync what is about to be signed."""
        self._unsynced.update(dict.fromkeys((EVENTS, *names_in(self.folder, (ERRORS, COMMANDS)))))
        with suppress(StorageError):
            self._unsynced.update(dict.fromkeys(files_below(self.folder, REPORTS)))

    def go_on(self) -> None:
        """Begin another attempt: from now on the events are this process's. Raises StorageError."""
        self._count_events()
        self._goes_on = True

    def events_digest(self) -> Digest:
        """Return the digest of the events: as they were written, unless another process wrote the attempt's."""
        return self._count_events().value()._replace(read_back=not self._goes_on)

    def _count_events(self) -> RunningDigest:
        if self._events is None:
            self._events = RunningDigest()
            with suppress(FileNotFoundError):
                for chunk in chunks_of(self.folder, EVENTS, whole_lines_size(self.folder, EVENTS)):
                    self._events.update(chunk)
        return self._events

    def event(self, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Append an event to ``runner.ndjson`` and return it."""
        self._sequence += 1
        entry = {
            "type": kind,
            "timestamp": stamp(self._clock.now()),
            "seq": self._sequence,
            "run_id": self.where.run_id,
            "attempt": self.manifest.attempt,
            **fields,
        }
        line = json_text(entry, ensure_ascii=False).encode()
        written = self._count_events()
        cut = self.folder.append_line(EVENTS, line)
        written.update(line + b"\n")
        self._unsynced[EVENTS] = None
        if cut:
            self.event("events:healed", {"cut_bytes": cut})
        return entry

    def number_from(self, number: int) -> None:
        """Number the next events on from ``number``: those of the attempt that another process wrote."""
        self._sequence = number

    def last_event(self, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Append the event of an end; a full disk gives back the space that was reserved, as for the record."""
        try:
            return self.event(kind, fields)
        except StorageError:
            if not self.folder.has(RESERVE):
                raise
            self.folder.remove(RESERVE)
            return self.event(kind, fields)

    def heartbeat(self) -> None:
        """Say that the run is alive; never a reason for it to fail."""
        with suppress(StorageError):
            self.folder.touch(HEARTBEAT, stamp(self._clock.now()).encode() + b"\n")

    def free_log_name(self, index: int, stage_id: str, attempt: int) -> str:
        """Return the name of the log of a stage's attempt: the next one that is free.

        A process that died after it made a log, and before the record named it, leaves its name taken.
        """
        with self.folder.sub(COMMANDS, create=True, sync=False) as commands:
            while commands.has(name := log_name(index, stage_id, attempt)):
                attempt += 1
        return name

    def open_log(self, name: str) -> int:
        """Create ``commands/<name>`` and return its descriptor."""
        with self.folder.sub(COMMANDS, create=True, sync=False) as commands:
            return commands.open_new(name)

    def write_error(self, name: str, document: Mapping[str, Any]) -> None:
        """Write ``errors/<name>``."""
        with self.folder.sub(ERRORS, create=True, sync=False) as errors:
            data = json_text(document, indent=2, ensure_ascii=False).encode() + b"\n"
            errors.write(name, data, sync=False, sync_folder=False)
        self._wrote(f"{ERRORS}/{name}", data)
        self._unsynced[f"{ERRORS}/{name}"] = None

    def new_reports_folder(self, stage_id: str, attempt: int) -> tuple[str, Folder]:
        """Make a folder for the copies of reports of a stage's attempt; return its path in the run's folder, and it.

        Each attempt has its own, as each has a log: ``reports/test``, then ``reports/test@2``.
        """
        with self.folder.sub(REPORTS, create=True, sync=False) as reports:
            while reports.has(name := reports_name(stage_id, attempt)):
                attempt += 1
            return f"{REPORTS}/{name}", reports.sub(name, create=True, sync=False)

    def note_report(self, path: str, digest: Digest) -> None:
        """Keep the digest of the copy of a report at ``path`` in the run's folder."""
        self.digests[path] = digest

    def note_log(self, name: str, digest: Digest) -> None:
        """Keep the digest of a log that is complete."""
        self.digests[f"{COMMANDS}/{name}"] = digest

    def _wrote(self, path: str, data: bytes) -> None:
        passed = RunningDigest()
        passed.update(data)
        self.digests[path] = passed.value()

    def close(self) -> None:
        """Give the lock back; harmless when repeated."""
        self.lock.release()
        self.folder.close()
        if self.place is not None:
            self.place.leave()
            self.place = None
