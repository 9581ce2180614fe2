"""Publishing a run's end: metrics line, state entry, pointer. All are folds of the manifest, so it can be repeated."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base.clock import stamp
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.files import Folder, explained
from orchestrator.base.json_values import json_text
from orchestrator.base.workspace import OUT_VARIABLE
from orchestrator.model.manifest.digest import manifest_digest
from orchestrator.model.manifest.document import parse, render
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.attempt_files import evidence_of
from orchestrator.store.chain import PlacedLine, add_link, find_link, metrics_digest, parsed, write_hint
from orchestrator.store.find import read_document, run_ids
from orchestrator.store.layout import (
    CHAIN,
    MANIFEST,
    MCP,
    METRICS,
    OLD_POINTERS,
    OPEN,
    RESERVE,
    STATE,
    Location,
)
from orchestrator.store.metrics_line import event_id, in_form_of, metrics_line
from orchestrator.store.open_run import OpenRun
from orchestrator.store.pointers import point_newly, point_older, pointer_bytes
from orchestrator.store.record_proof import altered
from orchestrator.store.state_file import State, added, entry_of, is_countable, is_readable, rebuilt
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_STATE_LIMIT = 4 * 1024 * 1024
_LINE_LIMIT = 256 * 1024
_EVENT = rb'"event_id": "([0-9a-f]{32})"'


def publish(store: RunStore, run: OpenRun, *, certain: bool) -> None:
    """Write what follows from a terminal manifest, then take the run off the list of open ones.

    ``certain`` says that this transition was never published; otherwise what is there already is
    looked for first. Doing it again changes nothing. Raises StorageError; then recovery finishes it.
    """
    where = run.where
    evidence, digest = evidence_of(run), manifest_digest(run.document())
    with store.task(where.task_id) as task:
        with store.lock_task(task):
            is_new, link = _add_lines(store, task, run, digest, evidence, certain=certain)
            task.sync()
            _add_state(store, task, run, digest, certain=is_new)
        run.line, run.has_line = link.line, True
        write_hint(run.folder, link)
        with task.sub(MCP, create=True) as mcp:
            if run.is_pointed:
                with mcp.sub(where.run_id, create=True) as pointer:
                    pointer.write(MANIFEST, pointer_bytes(store, run.manifest))
                if not certain:
                    # A claim that died may have left the folder without its name being synced.
                    mcp.sync()
                    with store.runs() as runs, runs.sub(OLD_POINTERS, create=True) as pointers:
                        point_older(pointers, where)
            else:
                point_newly(store, mcp, run)
        forms = store.on_close(run.manifest.project)
        if forms:
            from orchestrator.store.outbox import put  # most workspaces export nothing

            put(store, where, run.manifest.attempt, forms, certain=certain)
        if not run.manifest.metrics_recorded:
            run.save(run.manifest._replace(metrics_recorded=True))
        with suppress(StorageError):
            run.folder.remove(RESERVE)
        with task.sub(OPEN, create=True, sync=False) as opened:
            opened.remove(where.run_id)


def _add_lines(
    store: RunStore, task: Folder, run: OpenRun, digest: str, evidence: dict[str, Any], *, certain: bool
) -> tuple[bool, PlacedLine]:
    """Add the lines of an end to metrics and chain; return whether the first was missing, and the second.

    The metrics come first: where their line was missing, the other and the entry are missing too. Where one is there
    that says something else than the record, DamagedRecord is raised, and nothing is written.
    """
    manifest = run.manifest
    event = event_id(manifest.run_id, manifest.attempt)
    link = None if certain else find_link(task, event)
    if link is not None and link.line.get("manifest_digest") != digest:
        raise altered(run.where, f"it is not what attempt {manifest.attempt} left")
    is_new, line = _add_metrics(store, task, run, certain=certain)
    if link is not None:
        task.sync_file(CHAIN)
        return is_new, link
    # A recovered line is dated when it is written: the order of the chain is that of its times.
    at = str(line.get("recorded_at")) if is_new else stamp(store.clock.now())
    link, cut = add_link(task, manifest, digest, evidence, line, at)
    if cut:
        store.warn(f"'{task.path}/{CHAIN}' ended in a torn line, which was cut off")
    return is_new, link


def published_otherwise(store: RunStore, manifest: Manifest, earlier: Mapping[str, Any] | None) -> str | None:
    """Return how the state or the pointer of an attempt whose line is missing differs from its record; None if neither.

    Both are written when the line is on disk. So after a crash or a power cut they say the same, or nothing of this
    attempt: what says something else is of a record that was another one. ``earlier`` is the ``run:end`` event of the
    attempt before, None where there is none: after a clock that went back its pointer looks like one of this attempt.
    """
    where = Location(manifest.task_id, manifest.run_id)
    with suppress(FileNotFoundError, StorageError, DamagedRecord), store.out(manifest.task_id) as out:
        state = parse(out.read(STATE, _STATE_LIMIT), STATE)
        entries = state.get("runs")
        document = manifest.as_json()
        for entry in entries if isinstance(entries, list) else ():
            named = (entry.get("runId"), entry.get("attempt")) if isinstance(entry, dict) else None
            if named == (manifest.run_id, manifest.attempt) and entry.get("manifestDigest") != manifest_digest(
                document
            ):
                return f"'{STATE}' has another digest of attempt {manifest.attempt}"
    with (
        suppress(FileNotFoundError, StorageError, DamagedRecord),
        store.task(where.task_id) as task,
        task.sub(MCP) as mcp,
        mcp.sub(where.run_id) as folder,
    ):
        pointer = parse(folder.read(MANIFEST, _LINE_LIMIT), MANIFEST)
        ended = pointer.get("completed_at")
        began = manifest.resume_events[-1].timestamp if manifest.resume_events else manifest.started_at
        if isinstance(ended, str) and ended >= began and pointer.get("status") != manifest.status:
            if (
                earlier is not None
                and pointer.get("status") == earlier.get("status")
                and ended <= str(earlier.get("completed_at") or earlier.get("timestamp"))
            ):
                return None
            return f"its pointer says {pointer.get('status')}"
    return None


def check_publishable(store: RunStore, task_id: str) -> None:
    """Raise StorageError when it can be seen before a run that its end could not be published.

    That is: a link or another thing in the place of the snapshots' folder, the state or the metrics, or a
    folder that can't be written to. Writes nothing.
    """
    out_dir = store.workspace.out_dir
    with suppress(FileNotFoundError), store.task(task_id) as task:
        _check_regular(task, METRICS)
        _check_regular(task, CHAIN)
    with suppress(FileNotFoundError), Folder.at(out_dir, store.seam) as out, out.sub(task_id) as snapshots:
        _check_regular(snapshots, STATE)
    nearest = os.path.join(out_dir, task_id)
    while not os.path.lexists(nearest):
        nearest = os.path.dirname(nearest)
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise StorageError(
            f"'{nearest}' can't be written to",
            hint=f"make it writable, or let ${OUT_VARIABLE} name a place for snapshots",
        )


def _check_regular(folder: Folder, name: str) -> None:
    with suppress(FileNotFoundError):
        os.close(folder.open_read(name))


def _add_metrics(store: RunStore, task: Folder, run: OpenRun, *, certain: bool) -> tuple[bool, dict[str, Any]]:
    """Add the line of this end; return whether it was missing, and the line. The caller syncs its file's name."""
    manifest = run.manifest
    event = event_id(manifest.run_id, manifest.attempt)
    document = metrics_line(manifest, stamp(store.clock.now()))
    found = None if certain else next((line for known, line in _metrics_lines(task) if known == event), None)
    if found is not None:
        written = parsed(found) or {}
        if metrics_digest(written) != metrics_digest(in_form_of(written, document)):
            raise altered(run.where, "its metrics line says something else")
        task.sync_file(METRICS)
        return False, written
    line = json_text(document, ensure_ascii=False)
    cut = task.append_line(METRICS, line.encode(), sync=True)
    if cut:
        store.warn(f"'{task.path}/{METRICS}' ended in a torn line of {cut} bytes, which was cut off")
    return True, document


def _events(task: Folder) -> frozenset[str]:
    """Return the ids of the metrics lines."""
    return frozenset(event for event, _ in _metrics_lines(task))


def _metrics_lines(task: Folder) -> Iterator[tuple[str, bytes]]:
    """Yield the id and the bytes of each metrics line. A torn last line has no newline: it is no line."""
    import re

    try:
        fd = task.open_read(METRICS)
    except FileNotFoundError:
        return
    with explained(f"{task.path}/{METRICS}"), open(fd, "rb") as file:
        for line in iter(lambda: file.readline(_LINE_LIMIT), b""):
            if (found := re.search(_EVENT, line)) and line.endswith(b"\n"):
                yield found[1].decode(), line


def _add_state(store: RunStore, task: Folder, run: OpenRun, digest: str, *, certain: bool) -> None:
    manifest = run.manifest
    with store.out(manifest.task_id) as out:
        state = _read_state(store, out, manifest.task_id)
        entry = entry_of(run.document(), digest)
        after = added(state, entry, certain=certain) if state is not None else None
        if after is None:
            revision = state["revision"] if state is not None else 0
            counted = _counted(store, task, manifest.run_id)
            after = rebuilt(manifest.task_id, manifest.project, revision, counted, pruned_entries(store, task))
        elif not after.get("project"):
            # A migration began the state, and no config named the task's project then.
            after = {**after, "project": manifest.project}
        if after is state:
            out.sync()
        else:
            out.write(STATE, render(after))


def folded_state(store: RunStore, task: Folder, project: str | None) -> State:
    """Return the state of a task as its ended runs of version 2 give it; the task's lock must be held."""
    counted = _counted(store, task, "")
    return {**rebuilt(os.path.basename(task.path), "", 0, counted, pruned_entries(store, task)), "project": project}


def pruned_entries(store: RunStore, task: Folder) -> Iterator[dict[str, Any]]:
    """Yield the state's entries of a task's pruned runs: they count for ever. Reads all of the chain."""
    from orchestrator.store.prune_lines import pruned_runs, state_entries  # a state is hardly ever made anew

    task_id = os.path.basename(task.path)
    yield from state_entries(pruned_runs(task).values(), lambda run: store.paths(Location(task_id, run)).manifest)


def _read_state(store: RunStore, out: Folder, task_id: str) -> State | None:
    """Return the readable state, or None; one that can't be read is set aside, never lost."""
    path = f"{out.path}/{STATE}"
    try:
        state = parse(out.read(STATE, _STATE_LIMIT), path)
    except FileNotFoundError:
        return None
    except (DamagedRecord, StorageError) as error:
        if isinstance(error, StorageError) and error.code != "too-large":
            raise
        _set_aside(store, out, f"{STATE}.damaged-{stamp(store.clock.now()).replace(':', '-')}")
        return None
    if is_readable(state, task_id):
        return state
    from orchestrator.store.legacy.state import is_early, name_aside

    _set_aside(store, out, name_aside(out.has, stamp(store.clock.now()), is_early=is_early(state)))
    return None


def _set_aside(store: RunStore, out: Folder, name: str) -> None:
    out.move_to(STATE, out, name)
    store.warn(f"'{out.path}/{STATE}' was not readable as version 2; it is kept as '{name}' and rebuilt")


def _counted(store: RunStore, task: Folder, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield the manifests of the ended runs that a state made now must hold.

    Runs that have ended but are not published yet, ``run_id`` apart, add themselves later. The task's
    lock is held, so none of them gets its line meanwhile.
    """
    events = _events(task)
    with task.sub(OPEN, create=True, sync=False) as opened:
        for document in _documents(store, os.path.basename(task.path)):
            found = str(document["run_id"])
            if found == run_id or not opened.has(found) or event_id(found, document["attempt"]) in events:
                yield document


def _documents(store: RunStore, task_id: str) -> Iterator[dict[str, Any]]:
    for run_id in run_ids(store, task_id):
        try:
            document = read_document(store, Location(task_id, run_id))
        except (DamagedRecord, NotFound):
            continue
        except StorageError as error:
            if error.code != "planted-link":
                raise
            continue
        if document["version"] == 2 and is_countable(document):
            yield document
