"""A run whose lock is held: the only way to write its record."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.clock import Clock, stamp
from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, Lock, explained, whole_lines
from orchestrator.base.sha256 import Digest, RunningDigest, sha256
from orchestrator.model.manifest.manifest import Manifest, render
from orchestrator.store.layout import COMMANDS, ERRORS, EVENTS, HEARTBEAT, MANIFEST, RESERVE, Location, log_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHUNK = 1 << 20


class OpenRun:
    """The holder of a run's lock. ``manifest`` is what was saved last.

    Not ``is_shown``, nobody sees the run yet, and ``manifest`` is the one that its first record will follow.
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
    ) -> None:
        self.where = where
        self.folder = folder
        self.lock = lock
        self.manifest = manifest
        self.is_shown = is_shown
        self.is_pointed = is_shown
        """Whether the compatibility pointers to the run are there."""
        self._clock = clock
        self._sequence = 0
        self._events: RunningDigest | None = None
        self._files: dict[str, Digest] = {}

    @property
    def written(self) -> Mapping[str, Digest]:
        """The digests of what this holder of the lock wrote, taken while it was written, by path in the folder.

        ``runner.ndjson`` is there as soon as an event was written. Its lines of earlier attempts were read once,
        before the first event: what they were is what those attempts' lines of the chain say.
        """
        return self._files if self._events is None else {**self._files, EVENTS: self._events.value()}

    def note_log(self, name: str, digest: Digest) -> None:
        """Take the digest of a log below ``commands/`` that is closed."""
        self._files[f"{COMMANDS}/{name}"] = digest

    def save(self, manifest: Manifest) -> Manifest:
        """Write the record, whole and synced, as the next revision; returns what was written.

        A full disk gives back the space that was reserved at the start and tries once more. Raises
        StorageError when the record could not be written; then the old one stands.
        """
        now = stamp(self._clock.now())
        manifest = manifest._replace(revision=self.manifest.revision + 1, updated_at=now, heartbeat_at=now)
        manifest.check()
        data = render(manifest.as_json())
        try:
            self._write(manifest, data)
        except StorageError:
            if not self.folder.has(RESERVE):
                raise
            self.folder.remove(RESERVE)
            self._write(manifest, data)
        self.manifest = manifest
        return manifest

    def _write(self, manifest: Manifest, data: bytes) -> None:
        if not (self.is_shown or self.folder.has(MANIFEST)):
            # Nobody sees it, whole or not, so that its bytes and its name can share a sync.
            self.folder.create(MANIFEST, data)
            self.folder.sync()
            return
        # A transition that is lost with the folder's entry leaves the one before it: still whole. The
        # end of a run is acknowledged, so its name must survive too.
        self.folder.write(MANIFEST, data, sync_folder=manifest.is_terminal)

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
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace")
        digest = self._events or self._earlier_events()
        cut = self.folder.append_line(EVENTS, line)
        digest.update(line + b"\n")
        self._events = digest
        if cut:
            self.event("events:healed", {"cut_bytes": cut})
        return entry

    def _earlier_events(self) -> RunningDigest:
        digest = RunningDigest()
        with suppress(FileNotFoundError), explained(os.path.join(self.folder.path, EVENTS)):
            fd = self.folder.open_read(EVENTS)
            try:
                size = whole_lines(fd, os.fstat(fd).st_size)
                while chunk := os.pread(fd, min(_CHUNK, size - digest.size), digest.size):
                    digest.update(chunk)
            finally:
                os.close(fd)
        return digest

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
            text = json.dumps(document, indent=2, ensure_ascii=False)
            data = text.encode("utf-8", "backslashreplace") + b"\n"
            errors.write(name, data, sync=False, sync_folder=False)
        self._files[f"{ERRORS}/{name}"] = Digest(len(data), sha256(data).hexdigest())

    def close(self) -> None:
        """Give the lock back; harmless when repeated."""
        self.lock.release()
        self.folder.close()
