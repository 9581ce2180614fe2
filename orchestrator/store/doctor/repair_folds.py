"""Writing a task's metrics and state anew from its manifests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base.clock import stamp
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.files import Folder
from orchestrator.model.manifest.document import render
from orchestrator.store.chain import is_end, lines_of, metrics_digest, parsed
from orchestrator.store.doctor.finding import Repaired
from orchestrator.store.doctor.metrics_file import missing, read_lines, repaired
from orchestrator.store.doctor.records import RunSeen, inspect_run, is_temp
from orchestrator.store.doctor.tasks import (
    METRICS_LIMIT,
    STATE_LIMIT,
    expected_of,
    pruned_of,
    read_state,
    state_of,
)
from orchestrator.store.doctor.workspace import full_check
from orchestrator.store.find import read_document, run_ids
from orchestrator.store.layout import METRICS, STATE, Location
from orchestrator.store.legacy.state import is_early_state, name_aside
from orchestrator.store.metrics_line import in_form_of
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def fold_again(store: RunStore, task_id: str, task: Folder) -> Iterator[Repaired]:
    """Write metrics and state anew where they don't say what the current manifests say, under the task's lock.

    The full look at every run comes before the lock, so that runs which end meanwhile don't wait for it.
    """
    looked = (
        inspect_run(store, Location(task_id, run_id), full_check, lambda run_id: False)
        for run_id in run_ids(store, task_id)
    )
    settled = [run for run in looked if run is not None and not run.is_busy]
    with store.lock_task(task):
        for name in filter(is_temp, task.names()):
            task.remove(name)
            yield Repaired("leftover-temp", store.workspace.shown(os.path.join(task.path, name)), "removed")
        yield from _fold_metrics(store, task, settled)
        yield from _fold_state(store, task_id)


def fold_state(store: RunStore, task_id: str, task: Folder) -> Iterator[Repaired]:
    """Write the state anew where it doesn't say what records and chain say, under the task's lock."""
    with store.lock_task(task):
        yield from _fold_state(store, task_id)


def _documents(store: RunStore, task_id: str) -> Iterator[dict[str, Any]]:
    for run_id in run_ids(store, task_id):
        with suppress(DamagedRecord, NotFound, StorageError):
            yield read_document(store, Location(task_id, run_id))


def _fold_metrics(store: RunStore, task: Folder, settled: list[RunSeen]) -> Iterator[Repaired]:
    try:
        data = task.read(METRICS, METRICS_LIMIT)
    except FileNotFoundError:
        data = b""
    except StorageError:
        return
    file = read_lines(data)
    absent = _proved(task, missing(file, (line for run in settled for line in expected_of(store, run))))
    wanted = repaired(file, absent)
    if wanted == data:
        return
    place = store.workspace.shown(os.path.join(task.path, METRICS))
    words = [f"{len(absent)} lines added"] if absent else []
    if file.aside:
        name = f"metrics.damaged-{stamp(store.clock.now()).replace(':', '-')}.jsonl"
        task.write(name, b"".join(line + b"\n" for line in file.aside))
        words.append(f"{len(file.aside)} unreadable ones set aside as '{name}'")
    if file.repeated:
        words.append(f"{len(file.repeated)} repeated ones left out")
    task.write(METRICS, wanted)
    yield Repaired("metrics", place, "; ".join(words) or "its last line is whole")


def _proved(task: Folder, lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the metrics lines whose end is in the task's chain; what follows from any other record proves nothing.

    Of an earlier attempt the current record does not tell everything, so that its line's digest is not compared.
    """
    wanted = list(lines)
    links = [link for link in map(parsed, lines_of(task)) if link is not None and is_end(link)] if wanted else []
    known = {link.get("event_id"): link.get("metrics_digest") for link in links}
    last = {link.get("run_id"): link.get("event_id") for link in links}
    found: list[Mapping[str, Any]] = []
    for line in wanted:
        event = line["event_id"]
        if event not in known:
            continue
        forms = [line, in_form_of({}, line)]  # an earlier version's line says less
        if event == last[line["run_id"]]:
            forms = [form for form in forms if metrics_digest(form) == known[event]]
        found += forms[:1]
    return found


def _fold_state(store: RunStore, task_id: str) -> Iterator[Repaired]:
    expected = state_of(task_id, _documents(store, task_id), pruned_of(store, task_id))
    with store.out(task_id) as out:
        place = store.workspace.shown(os.path.join(out.path, STATE))
        for name in filter(is_temp, out.names()):
            out.remove(name)
            yield Repaired("leftover-temp", store.workspace.shown(os.path.join(out.path, name)), "removed")
        try:
            data = out.read(STATE, STATE_LIMIT)
        except FileNotFoundError:
            data = b""
        except StorageError as error:
            if error.code != "too-large":
                return
            data = b"?"
        found = read_state(data, task_id) if data else None
        if found is not None and all(found[key] == expected[key] for key in ("lastRunAt", "totals", "runs")):
            return
        if not expected["runs"] and found is None:
            if data and not is_early_state(data):
                yield Repaired("state", place, f"another program's: it is kept as '{_keep(store, out, data)}'")
            return
        done = "written anew from the manifests"
        if data and found is None:
            done += f"; the old one is kept as '{_keep(store, out, data)}'"
        if found is not None:
            project = expected["project"] or found["project"]
            expected = {**expected, "project": project, "revision": found["revision"] + 1}
        out.write(STATE, render(expected))
        yield Repaired("state", place, done)


def _keep(store: RunStore, out: Folder, data: bytes) -> str:
    name = name_aside(out.has, stamp(store.clock.now()), is_early=is_early_state(data))
    out.move_to(STATE, out, name)
    return name
