"""Lives of runs for the tests that break them, and the promises that must hold afterwards.

A life is a function of a store and of ``Told``, the list of what was acknowledged; a test ends it, or
makes it fail, at some operation, and then checks that what was told is so.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orchestrator.base.files import Folder, Seam
from orchestrator.base.limits import FORMS_ON_CLOSE
from orchestrator.base.redaction import Redactor
from orchestrator.commands.run.create_run import begin_held_back
from orchestrator.git import Capture
from orchestrator.model.guardrails import judged
from orchestrator.model.manifest.document import parse
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import Lineage, Manifest, manifest_digest
from orchestrator.model.manifest.transitions import (
    closed,
    interrupted,
    reset_for_resume,
    stage_ended,
    stage_skipped,
    stage_started,
)
from orchestrator.model.outcome import TERMINAL, Ended
from orchestrator.model.plan import Plan
from orchestrator.runner.attempt import Setting, perform
from orchestrator.runner.first_record import announce_to_parent
from orchestrator.runner.progress import make_observer
from orchestrator.runner.recorder import Recorder
from orchestrator.store.child_links import with_children
from orchestrator.store.claim import claim
from orchestrator.store.event_log import by_attempt, contradictions, read_events, unproved
from orchestrator.store.layout import CHAIN, CLI, MANIFEST, METRICS, OPEN, OUTBOX, STAGING, STATE, Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.outbox import WaitingExport
from orchestrator.store.publish import publish
from orchestrator.store.record_proof import prove
from orchestrator.store.recovery import finish, recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import reopen, take_over
from tests.fake_processes import FakeHost, Script
from tests.faults.crash_seam import QuickSeam
from tests.records import TASK, FakeClock, make_manifest, make_plan, make_stage, make_workspace

AT = "2026-11-22T08:43:09.000Z"


@dataclass
class Told:
    """What was acknowledged so far: ids that were told, ends that were saved and published, children announced.

    An end is ``(run id, attempt, status)``, a child ``(parent's id, child's id)``.
    """

    claimed: list[str] = field(default_factory=list)
    saved: list[tuple[str, int, str]] = field(default_factory=list)
    published: list[tuple[str, int, str]] = field(default_factory=list)
    linked: list[tuple[str, str]] = field(default_factory=list)


Watch = Callable[[Told], None]


@dataclass(frozen=True)
class Verbs:
    """The store's verbs as a life calls them; a test of the tests puts wrong ones in their place."""

    claim: Callable[[RunStore, Manifest, str], OpenRun] = claim
    publish: Callable[..., None] = publish
    recover: Callable[..., list[str]] = recover_task
    save: Callable[[OpenRun, Manifest], Manifest] = OpenRun.save
    close: Callable[[Manifest, str], Manifest] = interrupted


RIGHT = Verbs()


NOTHING_SECRET = Redactor(())
REPORTED_SECRET = "s3cret-value-of-a-report"
REPORT = (
    f'<testsuite><testcase classname="t" name="a"><failure message="got {REPORTED_SECRET}"/></testcase></testsuite>'
)

EXPORTS = "exports-on-close"
"""A file of a scene in which the ends of runs are exported."""


def forms_on_close(root: Path) -> tuple[str, ...]:
    """Return the forms in which the scene's runs are exported when they end."""
    return FORMS_ON_CLOSE if (root / EXPORTS).exists() else ()


def store_of(root: Path, seam: Seam, clock: FakeClock | None = None) -> RunStore:
    """Return a store whose warnings are of no interest."""
    return RunStore(
        make_workspace(root),
        clock or FakeClock(),
        seam=seam,
        warn=lambda message: None,
        on_close=lambda project: forms_on_close(root),
    )


def recover(root: Path, seam: Seam, verbs: Verbs = RIGHT) -> None:
    """Do what every writing command on the task does first, an hour later."""
    clock = FakeClock()
    clock.advance(3600)
    verbs.recover(store_of(root, seam, clock), TASK, verbs.close)


class Life(Protocol):
    """Leads runs from claim to end in ``root``; ``watch`` is called after each acknowledgement."""

    def __call__(self, root: Path, seam: Seam, told: Told, *, watch: Watch = ..., verbs: Verbs = ...) -> None: ...


def _unwatched(told: Told) -> None:
    """Look at nothing."""


def plain_life(root: Path, seam: Seam, told: Told, *, watch: Watch = _unwatched, verbs: Verbs = RIGHT) -> None:
    """Lead one run through the store's own verbs: claim, stages, end, publishing."""
    store = store_of(root, seam)
    verbs.recover(store, TASK, verbs.close)
    plan = make_plan()
    first = make_manifest(1, plan)
    run = verbs.claim(store, first, "token")
    try:
        told.claimed.append(first.run_id)
        watch(told)
        manifest: Manifest = run.manifest
        for stage in plan.stages:
            manifest = verbs.save(run, stage_started(manifest, stage.id, AT, "log"))
            run.event("stage:start", {"stage": stage.id})
            ended = Ended("success", 0, wall_seconds=1.0)
            manifest = stage_ended(manifest, stage.id, AT, ended, summary=None, left_out=0, forgiven=False)
            run.event("stage:end", {"stage": stage.id, "outcome": "success", "exit_code": 0, "signal": None})
        run.event("run:end", {"status": "succeeded", "outcome": "success"})
        manifest = verbs.save(run, closed(judged(manifest, plan, FakeClock()), AT, "success", None, "done"))
        told.saved.append((first.run_id, 1, manifest.status))
        watch(told)
        verbs.publish(store, run, certain=True)
        told.published.append((first.run_id, 1, manifest.status))
        watch(told)
    finally:
        # What the kernel does when a process dies: descriptors are closed, locks are free.
        run.close()


def exported_life(root: Path, seam: Seam, told: Told, *, watch: Watch = _unwatched, verbs: Verbs = RIGHT) -> None:
    """Lead a run as ``plain_life`` does, in a workspace whose runs are exported when they end."""
    with Folder.at(str(root), seam) as folder:
        folder.create(EXPORTS, b"")
        folder.sync()
    plain_life(root, seam, told, watch=watch, verbs=verbs)


def held_back_life(root: Path, seam: Seam, told: Told, *, watch: Watch = _unwatched, verbs: Verbs = RIGHT) -> None:
    """Lead a parent that goes on, and inside it a run that nobody sees before it ends, as one in which nothing runs."""
    store = store_of(root, seam)
    verbs.recover(store, TASK, verbs.close)
    plan = make_plan()
    parent = make_manifest(1, plan)
    outer = verbs.claim(store, parent, "token")
    kernel = ExitStack()
    with kernel:
        kernel.callback(outer.close)
        told.claimed.append(parent.run_id)
        watch(told)
        lineage = Lineage(parent.run_id, parent.run_id, 1, TASK, parent.project, "build")
        first = make_manifest(2, plan)._replace(lineage=lineage, parent_run_id=parent.run_id)

        def opening() -> OpenRun:
            run = begin_held_back(store, first, "token")
            kernel.callback(run.close)
            return run

        recorder = Recorder(store, opening(), plan, FakeClock(), lambda event: None)
        recorder.announce()
        for stage in plan.stages:
            recorder.stage_skipped(stage, "nothing changed")
        ended = recorder.close()
        told.claimed.append(ended.run_id)
        told.saved.append((ended.run_id, 1, ended.status))
        told.published.append((ended.run_id, 1, ended.status))
        told.linked.append((parent.run_id, ended.run_id))
        watch(told)
        outer.event("run:end", {"status": "cancelled", "outcome": "cancellation"})
        verbs.save(outer, with_children(store, outer.folder, cancelled(outer.manifest)))
        told.saved.append((parent.run_id, 1, "cancelled"))
        verbs.publish(store, outer, certain=True)
        told.published.append((parent.run_id, 1, "cancelled"))
        watch(told)


def full_life(root: Path, seam: Seam, told: Told, *, watch: Watch = _unwatched, verbs: Verbs = RIGHT) -> None:
    """Lead a run through two attempts, the first with a child run inside a stage, as the real engine does it.

    The first attempt fails in its second stage (an error file, a log); the second, a resume, succeeds.
    """
    store = store_of(root, seam)
    plan = make_plan()
    parent = make_manifest(1, plan)

    def child() -> None:
        run_id = make_manifest(2).run_id
        lineage = Lineage(parent.run_id, parent.run_id, 1, TASK, parent.project, "build")
        first = make_manifest(2, plan)._replace(run_id=run_id, lineage=lineage, parent_run_id=parent.run_id)
        _attempt(store, plan, told, watch, lambda: _claimed(store, first, told, watch, verbs))

    failing = {"do-build": Script(b"built\n"), "codex-orchestrator": Script(b"bad\n", exit_code=3)}
    _attempt(store, plan, told, watch, lambda: _claimed(store, parent, told, watch, verbs), failing, child)
    where = Location(TASK, parent.run_id)
    _attempt(store, plan, told, watch, lambda: _resumed(store, where, plan, verbs), done=("build",))


def reporting_life(root: Path, seam: Seam, told: Told, *, watch: Watch = _unwatched, verbs: Verbs = RIGHT) -> None:
    """Lead a run whose failing stage leaves reports: one of tests, one in a folder of its own, one that is binary."""
    store = store_of(root, seam)
    failing = make_stage("build")._replace(reports=("junit.xml", "more/*", "none.xml"))
    plan = make_plan(failing, make_stage("spec-guard", guardrail=True))
    first = make_manifest(1, plan)

    def leave_reports() -> None:
        folder = root / plan.project_path
        (folder / "more").mkdir(parents=True)
        (folder / "junit.xml").write_text(REPORT)
        (folder / "more" / "notes.txt").write_text(f"{REPORTED_SECRET}\n" * 50)
        (folder / "more" / "picture").write_bytes(b"\x89PNG\0")

    scripts = {"do-build": Script(b"built\n", exit_code=1)}
    redactor = Redactor([REPORTED_SECRET])
    opening = functools.partial(_claimed, store, first, told, watch, verbs)
    _attempt(store, plan, told, watch, opening, scripts, leave_reports, redactor=redactor)


def _claimed(store: RunStore, first: Manifest, told: Told, watch: Watch, verbs: Verbs) -> OpenRun:
    verbs.recover(store, TASK, verbs.close)
    run = verbs.claim(store, first, "token")
    told.claimed.append(first.run_id)
    watch(told)
    try:
        announce_to_parent(store, run)
        if first.parent_run_id is not None:
            told.linked.append((first.parent_run_id, first.run_id))
            watch(told)
    except BaseException:
        run.close()
        raise
    return run


def _resumed(store: RunStore, where: Location, plan: Plan, verbs: Verbs) -> OpenRun:
    """Do what ``resume`` does once it has decided."""
    run = take_over(store, where)
    try:
        if not run.manifest.metrics_recorded:
            finish(store, run, verbs.close)
        verbs.recover(store, TASK, verbs.close)
        reopen(store, run)
        manifest = run.manifest
        kept = {"build": manifest.command("build")}
        run.save(
            manifest._replace(
                attempt=manifest.attempt + 1,
                status="in_progress",
                completed_at=None,
                outcome=None,
                summary=None,
                metrics_recorded=False,
                commands=reset_for_resume(manifest, plan, kept),
            )
        )
    except BaseException:
        run.close()
        raise
    return run


class _NestingHost(FakeHost):
    """A fake host in which ``build`` starts a run of its own."""

    inside: Callable[[], None] | None = None

    def spawn(self, key: int, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], output_fd: int) -> None:
        if argv[0] == "do-build" and self.inside is not None:
            self.inside()
        FakeHost.spawn(self, key, argv, cwd=cwd, env=env, output_fd=output_fd)


class _NoProvenance(Capture):
    """Knows nothing, and starts no git for it."""

    def __init__(self) -> None:
        """Need nothing."""

    def finish(self) -> dict[str, Any]:
        return {"commit": None}

    def look_again(self) -> None:
        """Have nothing to look at."""

    def moves(self) -> dict[str, Any] | None:
        return None

    def abandon(self) -> None:
        """Have nothing to end."""


def _attempt(
    store: RunStore,
    plan: Plan,
    told: Told,
    watch: Watch,
    open_run: Callable[[], OpenRun],
    scripts: Mapping[str, Script] | None = None,
    inside: Callable[[], None] | None = None,
    done: Collection[str] = (),
    redactor: Redactor = NOTHING_SECRET,
) -> None:
    """Perform one attempt with processes that are only played."""
    clock = FakeClock()
    host = _NestingHost(clock, scripts or {})
    host.inside = inside
    kernel = ExitStack()

    def opening() -> OpenRun:
        run = open_run()
        kernel.callback(run.close)
        return run

    observer = make_observer("ndjson", stdout=None, stderr=None, environ={}, clock=clock)
    setting = Setting(store, clock, {}, host, observer, _NoProvenance(), at_once=1)
    with kernel:
        for fd in host._pipe:
            kernel.callback(os.close, fd)
        kernel.callback(host.close, timeout_seconds=0)
        manifest = perform(setting, plan, None, redactor, opening, done=done).manifest
        end = (manifest.run_id, manifest.attempt, manifest.status)
        told.saved.append(end)
        told.published.append(end)
        watch(told)


# --- the promises ---------------------------------------------------------------------------------


def check(root: Path, told: Told, *, recovered: bool, tidy: bool = True) -> None:
    """Assert the promises of the contract's section 5 on what is on disk.

    ``recovered`` says that nothing may be left to do, ``tidy`` that no trace of it may be left either.
    """
    task = root / ".runs" / TASK
    seen = sorted(os.listdir(task / CLI)) if (task / CLI).is_dir() else []
    assert set(told.claimed) <= set(seen), "an id was told, and its run is not there"
    documents = {run_id: whole_manifest(task / CLI / run_id) for run_id in seen}
    for run_id in told.claimed:
        assert (task / "mcp" / run_id / MANIFEST).is_file(), "a run without its pointer"
        older = root / ".runs" / "local-mcp" / run_id / MANIFEST
        assert older.resolve() == (task / CLI / run_id / MANIFEST).resolve(), "a run without its older pointer"
    for run_id, attempt, status in told.saved:
        document = documents[run_id]
        assert document["attempt"] >= attempt, "an end that was acknowledged is gone"
        assert document["attempt"] > attempt or document["status"] == status, "an acknowledged end has changed"
    for run_id, attempt, status in told.published:
        lines = [line["status"] for line in metrics(root) if (line["run_id"], line["attempt"]) == (run_id, attempt)]
        assert lines == [status], "a published end without exactly one metrics line"
        if documents[run_id]["attempt"] == attempt:
            check_entry(root, documents[run_id])
    if recovered:
        check_recovered(root, documents, told)
    check_outbox(root, told.published)
    check_reports(root, documents)
    for folder in (OPEN, STAGING):
        left = os.listdir(task / folder) if recovered and tidy and (task / folder).is_dir() else []
        assert not left, f"something is left in {folder}"


def check_reports(root: Path, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Assert that each report a record names is there, as its digest says, and that no copy holds a secret."""
    for run_id, document in documents.items():
        for report in (report for command in document["commands"] for report in command.get("reports", ())):
            if report["path"] is not None:
                data = (root / report["path"]).read_bytes()
                assert hashlib.sha256(data).hexdigest() == report["sha256"], "a copy that its digest does not prove"
                assert len(data) == report["bytes"]
        for copy in (task_of(root) / CLI / run_id).glob("reports/**/*"):
            assert copy.is_dir() or REPORTED_SECRET.encode() not in copy.read_bytes(), "a secret in a copy"
        assert REPORTED_SECRET not in json.dumps(document), "a secret in a record"


def check_outbox(root: Path, ends: Collection[tuple[str, int, str]]) -> None:
    """Assert that each published end waits in the outbox in every form, and nothing in a workspace without exports."""
    folder = root / ".runs" / OUTBOX
    found = set(os.listdir(folder)) if folder.is_dir() else set()
    forms = forms_on_close(root)
    expected = {WaitingExport(Location(TASK, run), attempt, form).name for run, attempt, _ in ends for form in forms}
    assert expected <= found, "an end was published, and its export is lost"
    assert forms or not found, "something is exported that nobody asked for"


def check_recovered(root: Path, documents: Mapping[str, Mapping[str, Any]], told: Told) -> None:
    """Assert that nothing is left to do: every run is closed, counted once, pointed to and linked."""
    lines = sorted((line["run_id"], line["attempt"]) for line in metrics(root))
    ended = sorted((run_id, 1 + n) for run_id, document in documents.items() for n in range(document["attempt"]))
    assert lines == ended, "not exactly one metrics line for each terminal transition"
    check_chain(root, documents, ended)
    for run_id, document in documents.items():
        older = root / ".runs" / "local-mcp" / run_id / MANIFEST
        assert older.resolve() == (task_of(root) / CLI / run_id / MANIFEST).resolve(), "a run without its older pointer"
        check_proof(root, document)
        assert document["status"] in TERMINAL, "a run that died is still open"
        assert document["metrics_recorded"] is True
        (line,) = [
            line
            for line in metrics(root)
            if line["run_id"] == document["run_id"] and line["attempt"] == document["attempt"]
        ]
        assert line["status"] == document["status"], "line and record disagree"
        check_entry(root, document)
    if documents:
        state = json.loads((root / "out" / TASK / STATE).read_text())
        counted = {"runs": len(documents), "succeeded": 0, "failed": 0, "cancelled": 0}
        for document in documents.values():
            counted[document["status"]] += 1
        assert state["totals"] == counted, "the state counts wrongly"
        assert sorted(run["runId"] for run in state["runs"]) == sorted(documents)
    check_outbox(root, [(run, document["attempt"], "") for run, document in documents.items()])
    for parent, child in told.linked:
        children = {entry["run_id"]: entry["status"] for entry in documents[parent]["child_runs"]}
        assert children.get(child) == documents[child]["status"], "a parent does not know its child's end"


def check_chain(root: Path, documents: Mapping[str, Mapping[str, Any]], ended: list[tuple[str, int]]) -> None:
    """Assert that each end has one line in the task's chain, which rests on the one before and on the record."""
    path = root / ".runs" / TASK / CHAIN
    raw = path.read_bytes().splitlines() if path.exists() else []
    links = [json.loads(line) for line in raw]
    assert sorted((link["run_id"], link["attempt"]) for link in links) == ended, "not one link for each end"
    before = None
    for link, line in zip(links, raw, strict=True):
        assert link["previous_line"] == before, "a link that does not rest on the one before"
        before = hashlib.sha256(line).hexdigest()
        document = documents[link["run_id"]]
        if link["attempt"] == document["attempt"]:
            assert link["manifest_digest"] == manifest_digest(document), "a link of another record"


def task_of(root: Path) -> Path:
    """Return the task's folder."""
    return root / ".runs" / TASK


def check_proof(root: Path, document: Mapping[str, Any]) -> None:
    """Assert that a closed record, its events and its error files are what its line in the chain says."""
    proof = prove(store_of(root, QuickSeam()), Location(TASK, document["run_id"]), document, "events")
    assert proof.holds, f"a record that its line does not prove: {proof.altered}"
    with store_of(root, QuickSeam()).run_folder(Location(TASK, document["run_id"])) as folder:
        attempts = by_attempt(read_events(folder))
        manifest = load(dict(document), "m")
        assert not list(contradictions(manifest, attempts, folder)), "a record that contradicts its events"
        assert not unproved(manifest, attempts), "a success that the events don't tell of"


def check_entry(root: Path, document: Mapping[str, Any]) -> None:
    """Assert that the pointer is fresh, and that the state has one entry that agrees with the record."""
    run_id, status = document["run_id"], document["status"]
    pointer = json.loads((root / ".runs" / TASK / "mcp" / run_id / MANIFEST).read_text())
    assert pointer["status"] == status, "the pointer is stale"
    state = json.loads((root / "out" / TASK / STATE).read_text())
    entries = [(run["attempt"], run["status"]) for run in state["runs"] if run["runId"] == run_id]
    assert entries == [(document["attempt"], status)], "not exactly one state entry for the run"


def whole_manifest(folder: Path) -> dict[str, Any]:
    """Return a manifest after the full check of its shape."""
    try:
        return _checked((folder / MANIFEST).read_bytes())
    except Exception as error:
        raise AssertionError(f"a record that is not whole: {error}") from error


@functools.lru_cache(maxsize=4096)
def _checked(data: bytes) -> dict[str, Any]:
    # Lives are alike up to where they are broken: of a hundred records that are looked at, one is new.
    document = parse(data, "m")
    load(document, "m").check()
    return document


def metrics(root: Path) -> list[dict[str, Any]]:
    """Return the task's metrics lines; a torn last line, which the next writer cuts off, is none."""
    path = root / ".runs" / TASK / METRICS
    if not path.exists():
        return []
    text = path.read_text()
    try:
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    except ValueError as error:
        raise AssertionError(f"a metrics line that is not whole: {error}") from error


def cancelled(manifest: Manifest) -> Manifest:
    """Return a manifest closed as ``cancel`` would close it."""
    for command in manifest.commands:
        if command.status == "running":
            ended = Ended("cancellation", signal="SIGTERM")
            manifest = stage_ended(manifest, command.id, AT, ended, summary=None, left_out=0, forgiven=False)
        elif command.status == "pending":
            manifest = stage_skipped(manifest, command.id, "cancelled")
    return closed(manifest, AT, "cancellation", "stopped by SIGTERM", None)
