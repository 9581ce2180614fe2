"""The runs that an export holds, read from their records: the asked one, then those below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord, GateNotMet, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.limits import DEEPEST_NESTING
from orchestrator.commands.look.failures import failures
from orchestrator.commands.look.run_view import observe, record_fault
from orchestrator.report.exports.exported import ExportedRun, Phase
from orchestrator.report.status_document import status_document
from orchestrator.store.event_log import read_events
from orchestrator.store.layout import Location
from orchestrator.store.record_proof import ALTERED, refuse_altered
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def exported_runs(
    store: RunStore, where: Location, *, link: str | None = None, children: bool = True
) -> list[ExportedRun]:
    """Return a run and, with ``children``, the runs below it, each behind the one that started it.

    ``link`` is an address with ``{project}``, ``{task}`` and ``{run}``; None: that of the run's CI job. A child
    whose record is gone or damaged is named as a warning and left out. Raises NotFound, DamagedRecord, StorageError.
    """
    found = [_exported(store, where, link, None)]
    seen = {where.run_id}
    level = list(found)
    for _ in range(DEEPEST_NESTING if children else 0):
        below: list[ExportedRun] = []
        for run in level:
            for child in _children(run.body):
                if child.run_id in seen:
                    continue
                seen.add(child.run_id)
                try:
                    below.append(_exported(store, child, link, str(run.body["run_id"])))
                except (NotFound, DamagedRecord, StorageError) as error:
                    store.warn(f"a child run is left out: {error.message}")
        found += below
        level = below
    return list(_in_order(found))


def refuse_altered_runs(store: RunStore, runs: Iterable[ExportedRun]) -> None:
    """Raise GateNotMet when an ended record among ``runs`` is not what its last attempt left, events included."""
    for run in runs:
        where = Location(str(run.body["task_id"]), str(run.body["run_id"]))
        with suppress(NotFound):
            seen = observe(store, where)
            fault = record_fault(store, where, seen)
            if fault is not None and fault[0] == ALTERED:
                raise _altered(where, fault[1])
            if not seen.alive:
                try:
                    refuse_altered(store, where, seen.record)
                except DamagedRecord as error:
                    raise GateNotMet(error.message, hint=error.hint, code=ALTERED) from error


def _altered(where: Location, why: str) -> GateNotMet:
    hint = f"codex-orchestrator verify {where.run_id}"
    return GateNotMet(f"run '{where.run_id}': {why}", hint=hint, code=ALTERED)


def _in_order(found: Iterable[ExportedRun]) -> Iterator[ExportedRun]:
    """Yield each run, then all below it."""
    below: dict[str | None, list[ExportedRun]] = {}
    for run in found:
        below.setdefault(run.parent, []).append(run)
    waiting = list(below.get(None, ()))
    while waiting:
        run = waiting.pop(0)
        yield run
        waiting[:0] = below.get(str(run.body["run_id"]), [])


def _children(body: Mapping[str, Any]) -> Iterator[Location]:
    for child in sorted(body["child_runs"], key=lambda child: str(child["run_id"])):
        task_id, run_id = str(child["task_id"]), str(child["run_id"])
        if is_run_id(run_id) and name_fault("task", task_id) is None:
            yield Location(task_id, run_id)


def _exported(store: RunStore, where: Location, link: str | None, parent: str | None) -> ExportedRun:
    seen = observe(store, where)
    body = status_document(seen.record, alive=seen.alive, now=store.clock.now(), manifest=store.paths(where).manifest)
    return ExportedRun(
        body, failures(store, where, body), tuple(_environments(store, where)), _link(body, link), parent
    )


def _environments(store: RunStore, where: Location) -> Iterator[Phase]:
    began: Mapping[str, Any] | None = None
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder:
        for event in read_events(folder):
            if event.get("type") == "environment:start":
                began = event
            elif event.get("type") == "environment:end" and began is not None:
                attempt = event.get("attempt")
                yield Phase(
                    attempt if isinstance(attempt, int) else 1,
                    str(began.get("timestamp")),
                    str(event.get("timestamp")),
                    str(event.get("outcome")),
                )
                began = None


def _link(body: Mapping[str, Any], link: str | None) -> str | None:
    if link is not None:
        values = {"{project}": body["project"], "{task}": body["task_id"], "{run}": body["run_id"]}
        for name, value in values.items():
            link = link.replace(name, str(value or ""))
        return link
    jobs = [job for job in body.get("ci") or () if job]
    url = jobs[-1]["job_url"] if jobs else None
    return str(url) if url and str(url).startswith(("https://", "http://")) else None
