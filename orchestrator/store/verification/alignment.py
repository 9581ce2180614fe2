"""Whether a task's manifests, metrics, state and pointers say the same of its ended runs. Reads only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.base.clock import stamp
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.model.manifest.document import VERSION
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.chain import UNDATED
from orchestrator.store.doctor.attempt_ends import expected_lines
from orchestrator.store.doctor.records import pointer_faults
from orchestrator.store.doctor.tasks import METRICS_LIMIT, STATE_LIMIT, read_state, shared_lock
from orchestrator.store.find import read_document, run_ids
from orchestrator.store.layout import METRICS, OPEN, STATE, Location
from orchestrator.store.liveness import sign_of_life
from orchestrator.store.metrics_line import TRIED, event_id
from orchestrator.store.publish import pruned_entries
from orchestrator.store.state_file import KEPT_RUNS, State, entry_of, is_countable
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_APPROXIMATE = UNDATED.union(
    ("outcome", "started_at", "completed_at", "duration_seconds", "sla_seconds", "sla_breached"),
    ("commands_passed", "commands_failed", "guardrails_present", "guardrails_required", "guardrails_executed"),
    ("began_at", "queued_seconds"),
)
"""What the current record no longer says exactly of an attempt that a resume followed."""

_ADDED = frozenset({"began_at", "queued_seconds", TRIED})
"""Keys of a metrics line that those of earlier versions don't have."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The ended runs of a task that were compared, oldest first; those that are on their way; each difference."""

    task_id: str
    projects: Mapping[str, str]
    """The project of each compared run, by run id."""
    moving: tuple[str, ...]
    findings: tuple[Finding, ...]
    differing: frozenset[str]
    """The runs that some difference is about."""


def align_task(store: RunStore, task_id: str, looked: Callable[[object], None] = lambda run_id: None) -> Alignment:
    """Compare everything that follows from a task's manifests with them; what differs is looked at twice.

    ``looked`` gets each run after it was looked at.
    """
    seen = _look(store, task_id, looked)
    if not seen.findings:
        return seen
    again = _look(store, task_id, looked)
    findings = tuple(each for each in again.findings if each in seen.findings)
    return Alignment(task_id, again.projects, again.moving, findings, again.differing if findings else frozenset())


def _look(store: RunStore, task_id: str, looked: Callable[[object], None]) -> Alignment:
    findings: list[Finding] = []
    manifests: list[Manifest] = []
    moving: list[str] = []
    differing: set[str] = set()
    with store.task(task_id) as task:
        for run_id in run_ids(store, task_id):
            looked(run_id)
            if _is_moving(store, task, Location(task_id, run_id)):
                moving.append(run_id)
                continue
            found = _ended(store, Location(task_id, run_id))
            if isinstance(found, Finding):
                findings.append(found)
                differing.add(run_id)
            elif found is not None:
                manifests.append(found)
        with shared_lock(task):
            lines = _metrics(task)
            state = _state(store, task_id)
            pruned = list(pruned_entries(store, task))
        shown = store.workspace.shown(task.path)
    for manifest in manifests:
        about = [
            *_metrics_findings(manifest, lines, os.path.join(shown, METRICS), stamp(store.clock.now())),
            *(Finding(item.code, item.place, item.message) for item in pointer_faults(store, manifest)),
        ]
        findings += about
        differing |= {manifest.run_id} if about else set()
    if manifests or pruned:
        place = store.workspace.shown(os.path.join(store.workspace.out_dir, task_id, STATE))
        there = {*(manifest.run_id for manifest in manifests), *moving}
        expected = [entry_of(manifest.as_json()) for manifest in manifests]
        expected += (entry for entry in pruned if entry["runId"] not in there)
        for run, finding in _state_findings(state, expected, place, is_quiet=not moving):
            findings.append(finding)
            differing.add(run)
    projects = {manifest.run_id: manifest.project for manifest in manifests}
    return Alignment(task_id, projects, tuple(moving), tuple(findings), frozenset(differing))


def _is_moving(store: RunStore, task: Folder, where: Location) -> bool:
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder:
        if sign_of_life(folder, store.clock.now()) is not None:
            return True
    with suppress(FileNotFoundError, StorageError), task.sub(OPEN) as opened:
        return opened.has(where.run_id)
    return False


def _ended(store: RunStore, where: Location) -> Manifest | Finding | None:
    """Return the record of an ended run of version 2, what is wrong with it, or None for another one."""
    path = store.paths(where).manifest
    try:
        document = read_document(store, where)
        if document["version"] != VERSION:
            return None
        if is_open_in_cloud(document):
            return None  # nobody has closed it, and nobody is to: it goes on without a process here
        if not is_countable(document):
            return Finding(
                "not-closed", path, "nobody runs it, and it is not closed", hint="codex-orchestrator doctor --repair"
            )
        return load(document, path)
    except NotFound:
        return None
    except (DamagedRecord, StorageError) as error:
        return Finding(error.code, path, error.message)


def _metrics(task: Folder) -> dict[str, tuple[int, dict[str, Any]]]:
    data = b""
    with suppress(FileNotFoundError, StorageError):
        data = task.read(METRICS, METRICS_LIMIT)
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        with suppress(ValueError, RecursionError):
            content = json.loads(line)
            if isinstance(content, dict) and isinstance(content.get("event_id"), str):
                found.setdefault(content["event_id"], (number, content))
    return found


def _state(store: RunStore, task_id: str) -> State | None:
    with (
        suppress(FileNotFoundError, StorageError),
        Folder.at(store.workspace.out_dir, store.seam) as out,
        out.sub(task_id) as folder,
    ):
        return read_state(folder.read(STATE, STATE_LIMIT), task_id)
    return None


def _metrics_findings(
    manifest: Manifest, lines: Mapping[str, tuple[int, dict[str, Any]]], path: str, now: str
) -> Iterator[Finding]:
    for expected in expected_lines(manifest, now):
        attempt = expected["attempt"]
        number, line = lines.get(event_id(manifest.run_id, attempt), (None, None))
        if line is None:
            yield Finding("metrics-missing", path, f"there is no line of {manifest.run_id}, attempt {attempt}")
            continue
        left_out = UNDATED if attempt == manifest.attempt else _APPROXIMATE
        for key in sorted(set(expected) - left_out):
            if line.get(key) != expected[key] and (key in line or key not in _ADDED):
                yield Finding(
                    "metrics-differ", path, _differ(manifest.run_id, key, line.get(key), expected[key]), number
                )


def _differ(run_id: str, key: str, found: object, expected: object) -> str:
    return f"{run_id}: '{key}' is {_short(found)}, and the manifest says {_short(expected)}"


def _short(value: object) -> str:
    return json.dumps(value)[:80]


def _state_findings(
    state: State | None, expected: list[dict[str, Any]], path: str, *, is_quiet: bool
) -> Iterator[tuple[str, Finding]]:
    """Yield run id (empty for the whole) and finding; ``expected`` are the entries of runs and of pruned ones."""
    if state is None:
        yield "", Finding("state-missing", path, "there is no state of version 2 that can be read")
        return
    entries = {run["runId"]: run for run in state["runs"]}
    expected.sort(key=lambda run: (run["startedAt"], run["runId"]))
    for entry in expected[-KEPT_RUNS:] if is_quiet else expected:
        found = entries.pop(entry["runId"], None)
        if found is None:
            if is_quiet:
                yield entry["runId"], Finding("state-lacks-run", path, f"{entry['runId']} is not in it")
            continue
        for key, value in entry.items():
            if found.get(key) != value:
                said = _differ(entry["runId"], key, found.get(key), value)
                yield entry["runId"], Finding("state-differs", path, said)
    if not is_quiet:
        return
    for run_id in sorted(entries):
        yield run_id, Finding("state-unknown-run", path, f"{run_id} is in it, and there is no such ended run")
    order = [run["runId"] for run in state["runs"]]
    if order != [entry["runId"] for entry in expected[-KEPT_RUNS:]] and not entries:
        yield "", Finding("state-order", path, "its runs are not in the order of their starts")
    yield from (("", finding) for finding in _total_findings(state, expected, path))


def _total_findings(state: State, expected: list[dict[str, Any]], path: str) -> Iterator[Finding]:
    counts = {"runs": len(expected)}
    for status in ("succeeded", "failed", "cancelled"):
        counts[status] = sum(entry["status"] == status for entry in expected)
    for key, count in counts.items():
        if state["totals"].get(key) != count:
            said = f"'totals.{key}' is {_short(state['totals'].get(key))}, and the manifests make it {count}"
            yield Finding("state-differs", path, said)
    last = max(entry["completedAt"] for entry in expected)
    if state["lastRunAt"] != last:
        said = f"'lastRunAt' is {_short(state['lastRunAt'])}, and the manifests make it {_short(last)}"
        yield Finding("state-differs", path, said)
