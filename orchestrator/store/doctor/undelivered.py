"""Exports that wait for long: their receiver is down, or nobody looks at what commands say. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta

from orchestrator.base.errors import StorageError
from orchestrator.base.finding import Finding
from orchestrator.store.layout import OUTBOX
from orchestrator.store.outbox import waiting_exports, waits_since
from orchestrator.store.store import RunStore

LONG = timedelta(days=7)
"""Contract, section 10."""


def undelivered(store: RunStore) -> Iterator[Finding]:
    """Yield a finding for each export that waits for seven days or longer."""
    place = store.workspace.shown(os.path.join(store.workspace.runs_dir, OUTBOX))
    try:
        entries = waiting_exports(store)
    except StorageError as error:
        yield Finding(error.code, place, error.message, hint=error.hint)
        return
    for entry in entries:
        since = waits_since(store, entry)
        if since is not None and store.clock.now() - since >= LONG:
            days = (store.clock.now() - since).days
            message = f"{entry.form} of run {entry.where.run_id} waits for its delivery for {days} days"
            hint = "codex-orchestrator export --pending says why; what [export] on_close no longer names is dropped"
            yield Finding("export-waits", place, message, hint=hint, level="warning")
