"""The outbox: which exports of ended runs wait for their delivery.

``.runs/.outbox`` has an empty file for each, written before the run's end counts as published and removed when it
was delivered. Its name says what it is of; what is delivered is made of the record then. Who is killed between the
delivery and the removal delivers twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.record import Record
from orchestrator.store.layout import OPEN, OUTBOX, Location
from orchestrator.store.store import RunStore

LOCK = ".lock"
"""Held by who delivers."""

_SEPARATOR = "@"
"""In no id."""


class WaitingExport(Record):
    """An export that waits: the run, the attempt whose end it is of, and the form."""

    where: Location
    attempt: int
    form: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return _SEPARATOR.join((self.where.run_id, self.where.task_id, str(self.attempt), self.form))


def put(store: RunStore, where: Location, attempt: int, forms: Iterable[str], *, certain: bool) -> None:
    """Put an ended run into the outbox, in each of ``forms``; doing it again changes nothing. Raises StorageError.

    ``certain``: no process died that was about to do it.
    """
    with store.runs() as runs, runs.sub(OUTBOX, create=True) as outbox:
        if not certain:
            runs.sync()  # whoever made the folder may not have come to sync its name
        for form in forms:
            name = WaitingExport(where, attempt, form).name
            if not outbox.has(name):
                outbox.create(name, b"", sync=False)
        outbox.sync()


def waiting_exports(store: RunStore) -> list[WaitingExport]:
    """Return what waits, the oldest runs first. Raises StorageError."""
    try:
        with store.runs() as runs, runs.sub(OUTBOX) as outbox:
            return [entry for entry in map(_parsed, sorted(outbox.names())) if entry is not None]
    except FileNotFoundError:
        return []


def waits_since(store: RunStore, entry: WaitingExport) -> datetime | None:
    """Return since when an export waits; None when it doesn't any more."""
    with suppress(FileNotFoundError, StorageError), store.runs() as runs, runs.sub(OUTBOX) as outbox:
        changed = os.stat(entry.name, dir_fd=outbox.fd, follow_symlinks=False).st_mtime
        return datetime.fromtimestamp(changed, UTC)
    return None


def take_out(outbox: Folder, entry: WaitingExport) -> None:
    """Remove what was delivered; harmless when repeated. Raises StorageError."""
    outbox.remove(entry.name)


def is_published(store: RunStore, where: Location) -> bool:
    """Tell whether a run's end is fully published: an export of one that isn't comes back when it is recovered."""
    with suppress(FileNotFoundError), store.task(where.task_id) as task, task.sub(OPEN) as opened:
        return not opened.has(where.run_id)
    return True


def _parsed(name: str) -> WaitingExport | None:
    parts = name.split(_SEPARATOR)
    if len(parts) != 4 or not is_run_id(parts[0]) or name_fault("task", parts[1]) is not None:
        return None
    return WaitingExport(Location(parts[1], parts[0]), int(parts[2]), parts[3]) if parts[2].isdecimal() else None
