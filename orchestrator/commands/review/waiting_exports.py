"""Delivering what waits in the outbox: files are written, receivers get what they did not take before.

Nothing of it is part of a run's fate: what can't be delivered now waits for the next command that writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack

from orchestrator.base.errors import EXIT_DONE, NotFound, Refusal, StorageError
from orchestrator.base.files import Folder, Lock
from orchestrator.base.record import Record
from orchestrator.base.redaction import Redactor
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review.exported_runs import exported_runs
from orchestrator.commands.review.post import not_delivered, within
from orchestrator.config.export_policy import DEFAULT_TIMEOUT_SECONDS, ExportPolicy, read_export_policy
from orchestrator.model.outcome import TERMINAL
from orchestrator.report.exports.junit import junit
from orchestrator.report.exports.otlp_http import ENDPOINTS, check_installed, send
from orchestrator.store.find import read_document
from orchestrator.store.layout import OUTBOX
from orchestrator.store.outbox import LOCK, WaitingExport, is_published, take_out, waiting_exports
from orchestrator.store.record_proof import refuse_altered
from orchestrator.store.store import RunStore

_OTLP = "otlp"
_LOCK_LOOK_SECONDS = 0.02
_OUT = "out"


class Delivery(Record):
    """What came of the exports that waited: which were delivered, and which wait on, with the reason."""

    delivered: tuple[WaitingExport, ...]
    waiting: tuple[tuple[WaitingExport, str], ...]


def deliver_now(
    context: Context, store: RunStore, project: str | None = None, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Deliver what waits, begun in the time that one may take, and warn of what waits on; raises nothing.

    Whoever delivers already is waited for as long as one delivery of ``project`` may take, None: of the workspace.
    """
    try:
        left = deliver(context, store, hurried_for=_timeout_of(store, project), sleep=sleep).waiting
    except Refusal as refusal:
        context.warn(f"exports wait: {refusal.message}")
        return
    except KeyboardInterrupt:
        context.warn("exports wait for the next command: their delivery was interrupted")
        return
    if left:
        entry, why = left[-1]
        count = f"{len(left)} exports wait" if len(left) > 1 else "an export waits"
        context.warn(f"{count} for the next command, or export --pending: {entry.form} of {entry.where.run_id}: {why}")


def _timeout_of(store: RunStore, project: str | None) -> float:
    """Return the seconds that one delivery may take; a config with an error holds up its own project's exports only."""
    try:
        return read_export_policy(store.workspace.root, project).timeout
    except Refusal:
        return DEFAULT_TIMEOUT_SECONDS


def deliver_all(context: Context, store: RunStore) -> Answer:
    """Answer ``export --pending``. Raises UsageError (``not-delivered``) when something waits on, StorageError."""
    found = deliver(context, store)
    if found.waiting:
        lines = [f"{entry.form} of {entry.where.run_id}: {why}" for entry, why in found.waiting]
        raise not_delivered(
            f"{len(found.delivered)} exports were delivered, {len(lines)} wait:\n" + "\n".join(lines[:20])
        )
    return Answer(EXIT_DONE, None, f"{len(found.delivered)} exports were delivered, none waits\n")


def deliver(
    context: Context,
    store: RunStore,
    *,
    hurried_for: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Delivery:
    """Deliver what waits, the oldest runs first.

    Who is hurried waits ``hurried_for`` seconds for another process that delivers, and begins as many deliveries as
    the time of one allows. A receiver that did not take a run is asked for no other one. Exports of runs that go on
    are left alone. Raises StorageError where the outbox can't be read or changed.
    """
    delivered: list[WaitingExport] = []
    waiting: list[tuple[WaitingExport, str]] = []
    if not store.has_outbox():
        return Delivery((), ())
    with store.runs() as runs, runs.sub(OUTBOX) as outbox:
        lock = _taken(outbox, hurried_for, context.clock.monotonic, sleep)
        if lock is None:
            return Delivery((), ())  # who holds it delivers
        try:
            courier = _Courier(context, store, hurried=hurried_for is not None)
            for entry in waiting_exports(store):
                why = courier.carry(entry)
                if why is None:
                    take_out(outbox, entry)
                    delivered.append(entry)
                elif why:
                    waiting.append((entry, Redactor(()).text(why)))
        finally:
            lock.release()
    return Delivery(tuple(delivered), tuple(waiting))


def _taken(
    outbox: Folder, seconds: float | None, now: Callable[[], float], sleep: Callable[[float], None]
) -> Lock | None:
    if seconds is None:
        return outbox.lock(LOCK, blocking=True)
    until = now() + seconds
    while True:
        lock = outbox.lock(LOCK, blocking=False)
        if lock is not None or now() >= until:
            return lock
        sleep(_LOCK_LOOK_SECONDS)


class _Courier:
    """Delivers one export after another; who is ``hurried`` begins no more of them once one delivery's time is up."""

    def __init__(self, context: Context, store: RunStore, *, hurried: bool) -> None:
        self._context = context
        self._store = store
        self._hurried = hurried
        self._until: float | None = None
        """When the time is up, of one that hurries."""
        self._refused: str | None = None
        """Why the receiver took nothing, once it did not."""

    def carry(self, entry: WaitingExport) -> str | None:
        """Deliver an export, and return why it waits on; None: it needn't any more, empty: there is no hurry."""
        store = self._store
        try:
            record = read_document(store, entry.where)
            if record.get("attempt") != entry.attempt:
                return None  # a later attempt's end brings its own
            policy = read_export_policy(store.workspace.root, str(record["project"]))
            if entry.form not in policy.on_close:
                return None  # nobody asks for it any more
            if record.get("status") not in TERMINAL or not is_published(store, entry.where):
                return ""
            refuse_altered(store, entry.where, record)
            return self._sent(entry, policy)
        except NotFound:
            return None
        except Refusal as refusal:
            return refusal.message

    def _sent(self, entry: WaitingExport, policy: ExportPolicy) -> str | None:
        if entry.form == _OTLP and self._refused is not None:
            return self._refused
        found = exported_runs(self._store, entry.where, link=policy.url, children=False)
        if entry.form != _OTLP:
            write_junit(self._store, policy.junit, entry, str(found[0].body["project"]), junit(found))
            return None
        if not any(self._context.environ.get(name) for name in ENDPOINTS):
            self._refused = f"there is no address: set {ENDPOINTS[-1]}"
            return self._refused
        check_installed()
        if self._hurried and self._until is None:
            self._until = self._context.clock.monotonic() + policy.timeout
        elif self._until is not None and self._context.clock.monotonic() > self._until:
            return "the time for it is up"
        self._refused = within(policy.timeout, lambda: send(found, None, policy.timeout))
        return self._refused


def write_junit(store: RunStore, pattern: str, entry: WaitingExport, project: str, data: bytes) -> None:
    """Write the file of a run, made by ``pattern``; folders that are missing are made.

    ``out/`` is the folder of snapshots, wherever it was moved to. Raises StorageError, with nothing written, where a
    link leads elsewhere or a folder stands in the file's place.
    """
    values = {"{project}": project, "{task}": entry.where.task_id, "{run}": entry.where.run_id}
    for name, value in values.items():
        pattern = pattern.replace(name, value)
    *above, file = pattern.split("/")
    workspace = store.workspace
    moved = above[:1] == [_OUT]
    with ExitStack() as stack:
        folder = Folder.at(workspace.out_dir if moved else workspace.root, store.seam, create=moved)
        stack.enter_context(folder)
        for name in above[1:] if moved else above:
            folder = stack.enter_context(folder.sub(name, create=True))
        if folder.has_folder(file):
            raise StorageError(f"'{os.path.join(folder.path, file)}' is a folder", code="bad-output")
        folder.write(file, data)
