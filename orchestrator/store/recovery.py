"""Recovery: what a process left undone when it died is finished by the next writing command on the task."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from orchestrator.base.clock import datetime, parse_stamp, timedelta
from orchestrator.base.errors import DamagedRecord, NotFound, Refused, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id, make_run_id
from orchestrator.model.manifest.command import Command
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import forgotten
from orchestrator.store.attempt_files import events_of
from orchestrator.store.child_links import notes_left, settle_with_parent, with_children
from orchestrator.store.event_log import INTERRUPTED_END, NOTHING, by_attempt, contradictions, read_events, unproved
from orchestrator.store.find import open_runs, read_manifest
from orchestrator.store.layout import CLI, EVENTS, HEARTBEAT, IMPORTED, OPEN, STAGING, Location
from orchestrator.store.liveness import sign_of_life
from orchestrator.store.open_run import OpenRun
from orchestrator.store.owner import read_owner
from orchestrator.store.publish import publish, published_otherwise
from orchestrator.store.record_proof import altered
from orchestrator.store.run_files import file_digest
from orchestrator.store.store import RunStore, is_pruning
from orchestrator.store.take_over import take_over

Closer = Callable[[Manifest, str], Manifest]
"""Closes the manifest of a run that died at the given moment."""

_OTHERS_TROUBLE = frozenset({"planted-link", "too-large"})
"""What stands in an old run's place is no reason that a new one can't run."""

_STAGED_SECONDS = 60.0
"""A claim locks its staged folder within microseconds; one that is unlocked after this long was left behind."""


def recover_task(store: RunStore, task_id: str, close: Closer) -> list[str]:
    """Close and publish every run of a task whose process died; returns their ids.

    Looks only at runs that are not fully published, never at the task's history. Doing it again, or by
    two processes at once, changes nothing. A record that is damaged stays as it is and is warned of.
    """
    recovered = []
    try:
        task = store.task(task_id)
    except FileNotFoundError:
        return []
    with task:
        if is_pruning(task):
            _finish_prune(store, task)
        for run_id in _run_names(task, OPEN):
            try:
                if _is_staged_import(task, run_id):
                    _finish_import(store, task_id, run_id)
                    recovered.append(run_id)
                elif _is_never_visible(task, run_id, store.clock.now()):
                    _forget(task, run_id)
                elif recover_run(store, Location(task_id, run_id), close):
                    recovered.append(run_id)
            except (DamagedRecord, NotFound) as error:
                store.warn(f"run '{run_id}' could not be recovered: {error.message}")
            except StorageError as error:
                if error.code not in _OTHERS_TROUBLE:
                    raise
                store.warn(f"run '{run_id}' could not be recovered: {error.message}")
        _sweep_staging(store, task)
    return recovered


def _finish_prune(store: RunStore, task: Folder) -> None:
    """Remove what a killed prune left. That it can't be removed is no reason that a new run can't run."""
    from orchestrator.store.prune import finish_prune  # hardly ever needed

    try:
        finish_prune(store, task)
    except (StorageError, FileNotFoundError) as error:
        why = error.message if isinstance(error, StorageError) else str(error)
        store.warn(f"what a prune of '{task.path}' left could not be removed: {why}")


def _is_staged_import(task: Folder, run_id: str) -> bool:
    """Tell whether a run of another machine is staged: one look at a name."""
    try:
        os.stat(f"{STAGING}/{run_id}/{IMPORTED}", dir_fd=task.fd, follow_symlinks=False)
    except OSError:
        return False
    return True


def _finish_import(store: RunStore, task_id: str, run_id: str) -> None:
    """Finish what an import began that died; one that goes on holds the run's lock. Raises StorageError."""
    from orchestrator.store.imports import is_left, publish_imports  # hardly ever needed

    with store.task(task_id) as task:
        left = is_left(task, run_id)
    if left:
        publish_imports(store, task_id, [run_id])


def _run_names(task: Folder, name: str) -> list[str]:
    try:
        with task.sub(name) as folder:
            return sorted(entry for entry in folder.names() if is_run_id(entry))
    except FileNotFoundError:
        return []


def _sweep_staging(store: RunStore, task: Folder) -> None:
    """Remove what claims left that died before they said what they were about to do."""
    limit = make_run_id(store.clock.now() - timedelta(seconds=_STAGED_SECONDS), bytes(4))
    for run_id in _run_names(task, STAGING):
        with suppress(FileNotFoundError), task.sub(STAGING) as staging:
            with staging.sub(run_id) as staged:
                left = run_id < limit and sign_of_life(staged, store.clock.now()) is None
            if left:
                staging.remove_folder(run_id)


def recover_run(store: RunStore, where: Location, close: Closer) -> bool:
    """Close and publish one run if its process died; False when it is alive, or open in the cloud (``unattended``)."""
    try:
        with store.run_folder(where) as folder:
            sign = sign_of_life(folder, store.clock.now())
            if sign is not None:
                if sign != "lock":
                    _warn_unlocked(store, where, folder)
                return False
            if is_open_in_cloud(read_manifest(folder, where)):
                return False  # its lock is not even touched: ``attach`` may be about to take it
        run = take_over(store, where, "events")
    except FileNotFoundError:
        return False
    except Refused:
        return False
    try:
        finish(store, run, close)
    finally:
        run.close()
    return True


def _warn_unlocked(store: RunStore, where: Location, folder: Folder) -> None:
    owner = read_owner(folder)
    host = "another machine" if owner is None else f"'{owner.host}'"
    store.warn(
        f"run '{where.run_id}' seems to be alive on {host}, whose locks can't be seen from here: it is left alone; "
        f"let one machine at a time work on task '{where.task_id}'"
    )


def finish(store: RunStore, run: OpenRun, close: Closer) -> None:
    """Close the record of a run whose lock was free, if it is still open, and publish its end.

    Its children are taken in, and its parent is updated, before the run leaves the list of open ones. What is signed
    by a line of the chain agrees with its events: successes that these don't know are not kept, and a record that
    contradicts them stays as it is. Raises DamagedRecord for such a one, StorageError.
    """
    if run.folder.has(IMPORTED):
        from orchestrator.store.imports import publish_imports  # hardly ever needed

        publish_imports(store, run.where.task_id, [run.where.run_id])
        run.has_line = True
        return
    # The interrupted process may not have come to sync the names that all that follows rests on.
    run.folder.sync_name()
    manifest = run.manifest
    if manifest.is_terminal and run.has_line:
        run.folder.sync()
    else:
        run.adopt_files()
        _check_earlier_events(run)
        attempts = by_attempt(read_events(run.folder))
        lost = unproved(manifest, attempts)
        if manifest.is_terminal:
            why = next(contradictions(manifest, attempts, run.folder), None)
            if why is not None:
                raise altered(run.where, why)
        has_end = attempts.get(manifest.attempt, NOTHING).end is not None
        if manifest.is_terminal and not lost and (has_end or manifest.outcome == "error"):
            why = published_otherwise(store, manifest, attempts.get(manifest.attempt - 1, NOTHING).end)
            if why is not None:
                raise altered(run.where, why)
            run.sync_evidence()
            run.folder.sync()
        else:
            recover_children(store, run, close)
            _close(store, run, close, lost)
    settle_with_parent(store, run.manifest)
    publish(store, run, certain=False)


def recover_children(store: RunStore, run: OpenRun, close: Closer) -> None:
    """Close and publish the runs that ``run`` had started and whose processes died, in whatever task they lie.

    That is done before it is closed itself. One that can't be closed stays as it is and is warned of.
    """
    known = [Location(child.task_id, child.run_id) for child in run.manifest.child_runs]
    left = [Location(note.task_id, note.run_id) for note in notes_left(run.folder)]
    for where in dict.fromkeys((*known, *left)):
        try:
            if where.run_id in open_runs(store, where.task_id):
                recover_run(store, where, close)
        except (DamagedRecord, NotFound) as error:
            store.warn(f"run '{where.run_id}' could not be recovered: {error.message}")


def _close(store: RunStore, run: OpenRun, close: Closer, lost: tuple[str, ...]) -> None:
    """Close a record as interrupted, without the successes that its events don't tell of."""
    ended_at = run.manifest.completed_at or last_sign_of_life(run)
    closed = with_children(store, run.folder, close(forgotten(run.manifest, lost), ended_at))
    stages = {command.id: command.outcome for command in closed.commands if _is_of(command, closed.attempt)}
    end = {"status": closed.status, "outcome": closed.outcome, "completed_at": ended_at, "stages": stages}
    try:
        run.last_event(INTERRUPTED_END, end)
    except StorageError as error:
        if error.code not in _OTHERS_TROUBLE:
            raise
    run.save(closed)


def _is_of(command: Command, attempt: int) -> bool:
    """Tell whether the entry of a stage is of this attempt: what is kept of an earlier one has its events there."""
    if command.reused is not None:
        return False
    return not command.attempts or command.outcome == "skip" or command.attempts[-1].run_attempt == attempt


def _check_earlier_events(run: OpenRun) -> None:
    """Raise DamagedRecord when the events of earlier attempts are not those that the line of the last one has."""
    size, digest = (None, None) if run.line is None else events_of(run.line)
    if size is not None and digest is not None:
        with suppress(FileNotFoundError):
            if file_digest(run.folder, EVENTS, size) == (size, digest):
                return
        raise altered(run.where, f"'{EVENTS}' is not what an earlier attempt left")


def last_sign_of_life(run: OpenRun) -> str:
    """Return the later of the last write and the last heartbeat: the run lived at least until then."""
    written = run.manifest.updated_at
    try:
        beat = run.folder.read(HEARTBEAT, 64).decode("ascii", "replace").strip()
        parse_stamp(beat)
    except (FileNotFoundError, ValueError):
        return written
    return max(written, beat)


def _is_never_visible(task: Folder, run_id: str, now: datetime) -> bool:
    """Tell whether a claim died before its run could be seen. A claim that goes on holds its staged lock."""
    for _ in range(2):
        with suppress(FileNotFoundError), task.sub(CLI) as cli, cli.sub(run_id):
            return False
        with suppress(FileNotFoundError), task.sub(STAGING) as staging, staging.sub(run_id) as staged:
            if sign_of_life(staged, now) is not None:
                return False
    return True


def _forget(task: Folder, run_id: str) -> None:
    with suppress(FileNotFoundError), task.sub(STAGING) as staging:
        staging.remove_folder(run_id)
    with task.sub(OPEN) as opened:
        opened.remove(run_id)
