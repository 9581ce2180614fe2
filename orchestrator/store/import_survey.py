"""What an import would do: the runs of another machine's records, judged by their own chain and held against ours.

Reads only, there and here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.model.manifest.document import MANIFEST_LIMIT, VERSION, parse
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.chain import FORM, IMPORT, Line, lines_in, metrics_digest, parsed
from orchestrator.store.decision_lines import KIND as DECISION
from orchestrator.store.doctor.tasks import METRICS_LIMIT
from orchestrator.store.doctor.workspace import full_check
from orchestrator.store.find import place, run_ids, task_ids
from orchestrator.store.import_lines import Origin
from orchestrator.store.imports import ImportNote
from orchestrator.store.layout import CHAIN, MANIFEST, METRICS, Location
from orchestrator.store.store import RunStore
from orchestrator.store.verification.chain_lines import Chain, EndLine, read_chain
from orchestrator.store.verification.runs import run_findings
from orchestrator.store.verification.tasks import CHAIN_LIMIT, marked_runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SAME = ("manifest_digest", "metrics_digest", "events", "files")
"""What two lines of one attempt's end must agree in."""

_ADDED = "clock-went-back"
"""The one finding of a chain that is about its host's clock, and not about what was recorded."""


class Takeable(Record):
    """A run that can be taken in, and what is published of it."""

    where: Location
    project: str
    pipeline: str
    status: str
    attempts: int
    note: ImportNote


class Passed(Record):
    """A run that is not taken, with the reason; ``disagrees`` says that something is wrong with it."""

    where: Location
    code: str
    message: str
    disagrees: bool


class Survey(Record):
    """The runs of a folder of records: those to take, those that are here already, those that are passed over."""

    runs: tuple[Takeable, ...]
    known: tuple[Location, ...]
    passed: tuple[Passed, ...]


class _Task:
    """The chain of one task, there or here, with where its lines came from."""

    def __init__(self, store: RunStore, task_id: str) -> None:
        self.store, self.task_id = store, task_id
        shown = store.workspace.shown(os.path.join(store.workspace.runs_dir, task_id))
        self.path = os.path.join(shown, CHAIN)
        try:
            with store.task(task_id) as task:
                self._data = task.read(CHAIN, CHAIN_LIMIT) if task.has(CHAIN) else b""
                self._metrics = task.read(METRICS, METRICS_LIMIT) if task.has(METRICS) else b""
                self.moving = marked_runs(task)
        except FileNotFoundError:
            self._data, self._metrics, self.moving = b"", b"", set()
        self.chain: Chain = read_chain(self._data, self.path)
        self._lines = [line for data in self._data.split(b"\n")[:-1] if (line := parsed(data)) is not None]
        self._of_run: dict[str, list[tuple[Line, Line | None]]] = {}
        for line in self._lines:
            imported = line.get("imported_from") if line.get("kind") == IMPORT else None
            for inner in lines_in(line):
                if inner.get("kind") in (None, DECISION):
                    self._of_run.setdefault(str(inner.get("run_id")), []).append((inner, imported))
        self._of_event: dict[str, list[Line]] = {}
        for data in self._metrics.split(b"\n")[:-1]:
            line = parsed(data) or {}
            self._of_event.setdefault(str(line.get("event_id")), []).append(line)
        self._origin: Origin | None = None
        self.pruned = frozenset(self.chain.pruned())

    def check(self) -> None:
        """Raise DamagedRecord when the chain does not hold, or is of a version that this program doesn't know."""
        finding = next((found for found in self.chain.findings if found.code != _ADDED), None)
        if finding is not None:
            raise DamagedRecord(
                f"{finding.place}: {finding.message}: nothing of these records is taken",
                hint="copy the folder again, whole; codex-orchestrator verify there says what is wrong",
                code=finding.code,
            )
        newer = [line for line in self._lines if isinstance(line.get("form"), int) and line["form"] > FORM]
        if newer:
            raise DamagedRecord(
                f"{self.path} was written by a newer version of this program: nothing of these records is taken",
                hint="upgrade codex-orchestrator here",
                code="newer-version",
            )

    def lines_of(self, run_id: str) -> list[tuple[Line, Line | None]]:
        """Return the ends and decisions of a run in their order, each with where it was imported from."""
        return self._of_run.get(run_id, [])

    def origin(self, run_id: str) -> Origin:
        """Return where a run was taken from: this chain, or the one that it was imported from before."""
        for _, imported in self.lines_of(run_id):
            if imported is not None:
                return Origin.from_json(imported)
        if self._origin is None:
            whole = self._data[: self._data.rindex(b"\n")]
            first, last = whole.partition(b"\n")[0], whole.rpartition(b"\n")[2]
            host = str((parsed(first) or {}).get("host"))
            self._origin = Origin(host, sha256(first).hexdigest(), sha256(last).hexdigest())
        return self._origin

    def metrics_of(self, links: Sequence[EndLine]) -> tuple[Line, ...] | None:
        """Return the metrics lines of ends; None when one is gone, or is not what its end says."""
        wanted = {str(link.content.get("event_id")): link for link in links}
        found: dict[str, Line] = {}
        for event, link in wanted.items():
            for line in self._of_event.get(event, ()):
                if event not in found and metrics_digest(line) == link.content.get("metrics_digest"):
                    found[event] = line
        return tuple(found[event] for event in wanted) if found.keys() == wanted.keys() else None


def survey_records(
    there: RunStore,
    here: RunStore,
    foreign: Callable[[str, str], str | None],
    looked: Callable[[object], None] = lambda run_id: None,
) -> Survey:
    """Return what would be taken from ``there``; ``foreign`` says why a task's run of a project is none of ours.

    ``looked`` gets each run after it was looked at.

    Raises DamagedRecord, with nothing taken, when a chain there does not hold or something is of a newer version.
    """
    runs: list[Takeable] = []
    known: list[Location] = []
    passed: list[Passed] = []
    tasks = [_Task(there, task_id) for task_id in task_ids(there)]
    for task in tasks:
        task.check()
    for task in tasks:
        own = _Task(here, task.task_id)
        ids = sorted({*run_ids(there, task.task_id), *(link.run_id for link in task.chain.links)})
        for run_id in ids:
            found = _judged(task, own, Location(task.task_id, run_id), foreign)
            if isinstance(found, Takeable):
                runs.append(found)
            elif isinstance(found, Passed):
                passed.append(found)
            else:
                known.append(found)
            looked(run_id)
    return Survey(tuple(runs), tuple(known), tuple(passed))


def _judged(
    there: _Task, here: _Task, where: Location, foreign: Callable[[str, str], str | None]
) -> Takeable | Passed | Location:
    links = there.chain.of_run(where.run_id)
    passed = _passed_over(there, where, links)
    if passed is not None:
        return passed
    document = _document(there.store, where)
    if not links:
        return _disagrees(where, "not-in-chain", "it has ended, and the task's chain there has no line of it")
    why = foreign(where.task_id, str(document.get("project")))
    if why is not None:
        return _disagrees(where, "foreign-task", why)
    findings = run_findings(
        there.store,
        where,
        links,
        there.path,
        full_check,
        is_moving=False,
        decisions=there.chain.decisions_about(where.run_id),
    )
    finding = next(findings, None)
    if finding is not None:
        return _disagrees(where, finding.code, f"{finding.place}: {finding.message}")
    metrics = there.metrics_of(links)
    if metrics is None:
        return _disagrees(where, "metrics-differ", "its lines of the metrics there are gone, or are others")
    return _against_ours(there, here, where, document, metrics)


def _passed_over(there: _Task, where: Location, links: Sequence[EndLine]) -> Passed | None:
    """Return why a run is not looked at any further: it was pruned, goes on, is of version 1, or is not whole."""
    if where.run_id in there.pruned:
        return Passed(where, "pruned", "it was pruned there", disagrees=False)
    try:
        document = _document(there.store, where)
    except NotFound:
        return _disagrees(where, "run-missing", "its folder is not there, and the task's chain names it")
    except (DamagedRecord, StorageError) as error:
        if error.code == "newer-version":
            raise
        return _disagrees(where, error.code, error.message)
    if document.get("version") == 1:
        return Passed(where, "version-1", "it is of version 1, and in no chain: see migrate", disagrees=False)
    if document.get("status") not in TERMINAL or (where.run_id in there.moving and not links):
        return Passed(where, "not-ended", "it has not ended there, or was interrupted", disagrees=False)
    return None


def _document(there: RunStore, where: Location) -> dict[str, Any]:
    """Return a record as it stands there. Raises NotFound, DamagedRecord (``newer-version``), StorageError."""
    path = there.paths(where).manifest
    try:
        with there.run_folder(where) as folder:
            document = parse(folder.read(MANIFEST, MANIFEST_LIMIT), path)
    except FileNotFoundError:
        raise NotFound(f"there is no '{path}'") from None
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise DamagedRecord(
            f"'{path}' is of version {version}; this program knows 1 and {VERSION}: nothing of these records is taken",
            hint="upgrade codex-orchestrator here",
            code="newer-version",
        )
    return document


def _against_ours(
    there: _Task, here: _Task, where: Location, document: Mapping[str, Any], metrics: tuple[Line, ...]
) -> Takeable | Passed | Location:
    """Hold a run that is as its chain says against what is here of it."""
    elsewhere = place(here.store, where.run_id)
    if elsewhere is not None and elsewhere.task_id != where.task_id:
        return _disagrees(where, "other-task", f"it is a run of task '{elsewhere.task_id}' here")
    if where.run_id in here.pruned:
        return where
    lines = list(there.lines_of(where.run_id))
    ours = list(here.lines_of(where.run_id))
    ends = {line.get("event_id"): line for line, _ in ours if line.get("kind") is None}
    if elsewhere is not None and not ours:
        return _disagrees(
            where, "not-in-chain", "there is a run of that id here, which this task's chain does not know"
        )
    for line, _ in lines:
        own = ends.get(line.get("event_id"))
        if own is not None and any(own.get(key) != line.get(key) for key in _SAME):
            return _disagrees(where, "run-differs", f"attempt {line.get('attempt')} ended in another way here")
    new = [line for line, _ in lines if line.get("kind") is None and line.get("event_id") not in ends]
    if new and any(imported is None for line, imported in ours if line.get("kind") is None):
        return _disagrees(where, "run-differs", "it is a run of this workspace, and went on there")
    decisions = [line.get("decision") for line, _ in ours if line.get("kind") == DECISION]
    is_native = bool(ends) and any(imported is None for line, imported in ours if line.get("kind") is None)
    later = [line for line, _ in lines if line.get("kind") == DECISION and line.get("decision") not in decisions]
    if not new and (is_native or not later):
        return where
    return Takeable(
        where,
        str(document["project"]),
        str(document["pipeline_id"]),
        str(document["status"]),
        len(there.chain.of_run(where.run_id)),
        ImportNote(there.origin(where.run_id), tuple(line for line, _ in lines), metrics),
    )


def _disagrees(where: Location, code: str, message: str) -> Passed:
    return Passed(where, code, message, disagrees=True)
