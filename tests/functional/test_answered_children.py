"""Up-to-date children of a fleet are recorded by copies of its process: nothing tells it but their pids."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness import REPOSITORY, Done, Orchestrator, WorkspaceFolder
from tests.process_driver import LINUX, soon

pytestmark = pytest.mark.skipif(not LINUX, reason="fleets make copies on Linux only")

FLEET = ("start", "smoke", "--all")
JSON = ("--format", "json")
NAMES = ("a", "b", "c")
OF_EACH_RUN = {
    *("run_id", "parent_run_id", "parentRunId", "rootRunId", "trace_id", "parent_span_id", "resume_token"),
    *("timestamp", "started_at", "completed_at", "updated_at", "heartbeat_at", "began_at", "deadline_at", "seq"),
    *("artifact_root", "compat_path", "log_path", "manifest", "active_seconds", "duration_seconds", "digest", "path"),
    *("sub_run_id", "child_run_id", "cpu_seconds", "wall_seconds", "max_rss_bytes", "log_sha256", "slowest_stage"),
    "revision",
}
OF_EACH_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d-]+Z-[0-9a-f]{8}|\d+(\.\d)? ?m?s\b")
SPY = r"""
import errno, os, sys, threading, time
sys.path.insert(0, sys.argv.pop(1))
from orchestrator.process import GuardClient

notes, how = sys.argv.pop(1), sys.argv.pop(1)
start, spawn = GuardClient.start, GuardClient.spawn


def note(word):
    with open(notes, "a") as file:
        print(word, file=file)


def started(**options):
    note("guard")
    return start(**options)


def spawned(self, key, argv, *, env, **options):
    note(env["CODEX_ORCHESTRATOR_STAGE_ID"])
    return spawn(self, key, argv, env=env, **options)


GuardClient.start, GuardClient.spawn = staticmethod(started), spawned
if how == "its copies die":
    from orchestrator.commands.run import up_to_date_child
    up_to_date_child.answer_seen = lambda *_, **__: os.kill(os.getpid(), 9)
if how == "the first is looked up slowly":
    from orchestrator.commands.run import up_to_date_child
    look_up = up_to_date_child.UpToDateChildren.__call__

    def slowly(self, manifest, stage, *rest):
        time.sleep(0.3 if stage.project == "a" else 0)
        return look_up(self, manifest, stage, *rest)

    up_to_date_child.UpToDateChildren.__call__ = slowly
if how == "no guard can be started":
    def started(**options):
        raise OSError(errno.EAGAIN, "no process is left")
    GuardClient.start = staticmethod(started)
if how == "two threads":  # such a process can't be copied
    threading.Thread(target=threading.Event().wait, daemon=True).start()
from tests.quick_program import main
main()
"""


class Noted(NamedTuple):
    """How a fleet ended, and what was started by its process in that order, a ``guard`` among them."""

    done: Done
    started: list[str]


class Fleet:
    """Calls the program as ``orchestrate`` does, and notes what it starts below a guard."""

    def __init__(self, orchestrate: Orchestrator, notes: Path) -> None:
        self._orchestrate = orchestrate
        self._notes = notes

    def __call__(self, *words: str, env: Mapping[str, str] | None = None, how: str = "as ever") -> Noted:
        """Run to the end; ``how`` names what is odd about the process: one of ``two threads`` has no copies."""
        process = self.popen(*words, env=env, how=how)
        stdout, stderr = process.communicate(timeout=60)
        document = json.loads(stdout) if stdout.startswith("{") and "ndjson" not in words else None
        started = self._notes.read_text().split() if self._notes.exists() else []
        return Noted(Done(process.returncode, stdout, stderr, document), started)

    def popen(self, *words: str, env: Mapping[str, str] | None = None, how: str = "as ever") -> subprocess.Popen[str]:
        """Start and return the process."""
        self._notes.unlink(missing_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", SPY, str(REPOSITORY), str(self._notes), how, *words],
            cwd=self._orchestrate.cwd,
            env={**self._orchestrate.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def fleet(orchestrate: Orchestrator, tmp_path: Path) -> Fleet:
    """Return what starts fleets and notes what they start."""
    return Fleet(orchestrate, tmp_path / "notes")


def add(workspace: WorkspaceFolder, name: str, lines: str = "", build: str = "echo b >> ../built") -> None:
    """Make a project whose stages rest on its file ``src``, with lines below ``[project]``."""
    stages = {"build": {"shell": build, "inputs": ["src"]}, "test": {"run": "true", "inputs": ["src"]}}
    config = workspace.root / f"project_configs/{name}.toml"
    workspace.project(name, stages, pipeline="smoke")
    config.write_text(config.read_text().replace("[session]", f"{lines}\n[session]", 1))
    workspace.write(f"packages/{name}/src", name)


@pytest.fixture
def passed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> WorkspaceFolder:
    """Return a workspace of three projects that have succeeded."""
    for name in NAMES:
        add(workspace, name)
    workspace.commit()
    assert orchestrate(*FLEET).code == 0
    return workspace


def same(record: Any) -> Any:
    """Return a record without what differs from run to run; children are in the order of their projects."""
    if isinstance(record, dict):
        kept = {key: same(value) for key, value in record.items() if key not in OF_EACH_RUN}
        kept.get("child_runs", []).sort(key=lambda child: child["project"])
        return kept
    return [same(each) for each in record] if isinstance(record, list) else record


def events(run: Path) -> list[Any]:
    """Return the events of a run, without what differs from run to run."""
    return [same(json.loads(line)) for line in (run / "runner.ndjson").read_text().splitlines()]


def printed(fleet: Path) -> list[str]:
    """Return what the children of a fleet printed, in the order of their names, without what differs."""
    return [OF_EACH_LINE.sub("", log.read_text()) for log in sorted((fleet / "commands").iterdir())]


def statuses(workspace: WorkspaceFolder, name: str) -> list[str]:
    """Return how the runs of a project ended, oldest first."""
    return [workspace.manifest(run)["status"] for run in workspace.runs(f"1-{name}")]


def is_whole(orchestrate: Orchestrator) -> bool:
    """Tell whether all records are proved."""
    checked = orchestrate("verify", *JSON)
    return (checked.code, checked.document["findings"]) == (0, [])


def test_answered_children_are_recorded_as_any_others(
    passed: WorkspaceFolder, orchestrate: Orchestrator, fleet: Fleet
) -> None:
    """Their records, events, logs and folders are those of children that were started, and so is the fleet's record.

    A fleet in which nothing runs starts no guard.
    """
    assert fleet(*FLEET).started == []
    assert sorted(fleet(*FLEET, how="two threads").started) == [*NAMES, "guard"]
    for name in NAMES:
        answered, started = passed.runs(f"1-{name}")[1:]
        assert same(passed.manifest(answered)) == same(passed.manifest(started))
        assert sorted(os.listdir(answered)) == sorted(os.listdir(started))
        assert events(answered) == events(started)
    answered, started = passed.runs("fleet")[1:]
    assert same(passed.manifest(answered)) == same(passed.manifest(started))
    assert sorted(map(str, events(answered))) == sorted(map(str, events(started)))
    assert sorted(os.listdir(answered)) == sorted(os.listdir(started))
    assert printed(answered) == printed(started)
    assert all(text.startswith("==> run") for text in printed(answered))
    assert (passed.root / "packages/built").read_text().split() == ["b"] * 3
    assert is_whole(orchestrate)


def test_what_an_answered_child_prints_in_a_job(
    passed: WorkspaceFolder, orchestrate: Orchestrator, fleet: Fleet
) -> None:
    """In GitHub's log its lines give no command, and stand in the encoding of the fleet, as a started child's."""
    env = {"GITHUB_ACTIONS": "true", "CODEX_ORCHESTRATOR_RUNS_DIR": "##[é", "PYTHONIOENCODING": "ascii"}
    assert orchestrate(*FLEET, env=env).code == 0
    assert fleet(*FLEET, env=env).started == []
    assert len(fleet(*FLEET, env=env, how="two threads").started) == len(NAMES) + 1
    answered, started = sorted((passed.root / "##[é/fleet/cli").iterdir())[1:]
    assert printed(answered) == printed(started)
    assert all(r"Manifest   # #[\xe9/1-" in text for text in printed(answered))


def test_a_changed_child_is_started_and_its_dependents_after_it(
    passed: WorkspaceFolder, orchestrate: Orchestrator, fleet: Fleet
) -> None:
    """What it changed in a dependent's folder has that one run too; the others are answered, with one job at a time."""
    add(passed, "below", 'depends_on = ["b"]', build="cat src >> ../built")
    add(passed, "quiet", 'depends_on = ["b"]', build="true")
    assert orchestrate(*FLEET).code == 0
    built = f"cp src {passed.root}/packages/below/src"
    add(passed, "b", build=built)
    assert sorted(fleet(*FLEET, "--jobs", "1").started) == ["b", "below", "guard"]
    assert (passed.root / "packages/built").read_text().endswith("belowb")
    passed.write("packages/b/src", "again")
    noted = fleet(*FLEET, "--jobs", "1", *JSON)
    assert noted.started == ["guard", "b", "below"]
    assert noted.done.document["fleet"]["totals"]["succeeded"] == 5
    assert (passed.root / "packages/built").read_text().endswith("again")
    assert [len(statuses(passed, name)) for name in (*NAMES, "below", "quiet")] == [4, 4, 4, 3, 3]
    assert is_whole(orchestrate)


def test_children_start_in_the_order_listed(passed: WorkspaceFolder, fleet: Fleet) -> None:
    """Also where another's lookup ends first: with one job at a time the first of them is the first to start."""
    for name in NAMES:
        passed.write(f"packages/{name}/src", "changed")
    noted = fleet(*FLEET, "--jobs", "1", how="the first is looked up slowly")
    assert (noted.done.code, noted.started) == (0, ["guard", *NAMES])


def test_what_must_be_a_start_is_one(passed: WorkspaceFolder, fleet: Fleet) -> None:
    """A child with a key may be another's run, one of the queue may have to wait, one without the cache has to run."""
    for options in (("--key", "k"), ("--priority", "3"), ("--wait", "5s"), ("--no-cache",)):
        noted = fleet(*FLEET, *options)
        assert (noted.done.code, sorted(noted.started)) == (0, [*NAMES, "guard"]), options
    assert (passed.root / "packages/built").read_text().split() == ["b"] * 6


HELD = "touch held; until test -e go; do sleep 0.02; done"


def hold_b(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Let a project ``z``, which has succeeded, come after ``b``, which is changed and runs until it may ``go``."""
    add(workspace, "z", 'depends_on = ["b"]')
    assert orchestrate("start", "smoke", "--projects", "z").code == 0
    add(workspace, "b", build=HELD)


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait until something has happened; a test that waits too long fails."""
    until = soon()
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_for_b(workspace: WorkspaceFolder) -> None:
    """Wait until the build of ``b`` runs."""
    wait_for((workspace.root / "packages/b/held").exists)


def recorded(workspace: WorkspaceFolder) -> set[str]:
    """Return the projects that have succeeded by the record of the newest fleet."""
    record = workspace.manifest(workspace.runs("fleet")[-1])
    return {command["id"] for command in record["commands"] if command["status"] == "succeeded"}


@pytest.mark.parametrize(
    ("edit", "said"),
    [("schema_version = [", "project_configs/z.toml: line 1"), (None, "the plan of project 'z' has changed")],
)
def test_a_config_that_is_edited_meanwhile(
    passed: WorkspaceFolder, orchestrate: Orchestrator, fleet: Fleet, edit: str | None, said: str
) -> None:
    """A child that can't be prepared any more is declined, and its own start says why."""
    hold_b(passed, orchestrate)
    process = fleet.popen(*FLEET, *JSON)
    wait_for_b(passed)
    config = passed.root / "project_configs/z.toml"
    config.write_text(edit or config.read_text().replace('"true"', '"false"'))
    passed.write("packages/b/go", "")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    shown = orchestrate("status", json.loads(stdout)["run_id"], *JSON).document
    [cause] = [entry["cause"] for entry in shown["fleet"]["projects"] if entry["project"] == "z"]
    assert said in cause
    assert len(statuses(passed, "z")) == 1


def test_every_form_tells_the_same(passed: WorkspaceFolder, orchestrate: Orchestrator, fleet: Fleet) -> None:
    """The closing answer of what the copies sent is ``status`` of the record, and the document of a started fleet."""
    answers = [fleet(*FLEET, *JSON, how=how).done.document for how in ("as ever", "two threads")]
    assert same(answers[0]) == same(answers[1])
    shown = [orchestrate("status", answer["run_id"], *JSON).document for answer in answers]
    assert same(shown[0]) == same(shown[1])
    assert {key: shown[0][key] for key in answers[0].keys() & shown[0].keys() - {"fleet", "failed"}} == {
        key: answers[0][key] for key in answers[0].keys() & shown[0].keys() - {"fleet", "failed"}
    }
    assert shown[0]["fleet"]["totals"] == answers[0]["fleet"]["totals"]
    lines = [json.loads(line) for line in fleet(*FLEET, "--format", "ndjson").done.stdout.splitlines()]
    assert (lines[0]["type"], lines[-1]["type"], lines[-1]["status"]) == ("run:start", "run:end", "succeeded")
    assert lines[-1]["next_argv"] == answers[0]["next_argv"]


def test_a_resume_looks_up_what_no_attempt_began(
    passed: WorkspaceFolder, orchestrate: Orchestrator, fleet: Fleet
) -> None:
    """A fleet that was killed before some of its children began: the resume answers those, and resumes the other."""
    hold_b(passed, orchestrate)
    process = fleet.popen(*FLEET)
    wait_for_b(passed)
    wait_for(lambda: recorded(passed) == {"a", "c"})
    process.kill()
    process.communicate(timeout=60)
    passed.write("packages/b/go", "")
    noted = fleet("resume", "latest", *JSON)
    assert (noted.done.code, noted.started) == (0, ["guard", "b"])
    assert noted.done.document["fleet"]["totals"]["succeeded"] == 4
    assert [statuses(passed, name) for name in (*NAMES, "z")] == [["succeeded"] * 2] * 4
    assert passed.manifest(passed.runs("1-b")[1])["attempt"] == 2
    assert is_whole(orchestrate)


def test_a_child_whose_copy_dies_after_its_success(
    passed: WorkspaceFolder, orchestrate: Orchestrator, fleet: Fleet
) -> None:
    """Its run has been recorded, so that what is started in its place takes that one: no child is there twice."""
    noted = fleet(*FLEET, how="its copies die")
    assert (noted.done.code, sorted(noted.started)) == (0, [*NAMES, "guard"])
    assert [statuses(passed, name) for name in NAMES] == [["succeeded"] * 2] * 3
    known = {child["run_id"] for child in passed.manifest(passed.runs("fleet")[1])["child_runs"]}
    assert known == {passed.runs(f"1-{name}")[1].name for name in NAMES}
    assert is_whole(orchestrate)


def test_a_guard_that_cannot_be_started(passed: WorkspaceFolder, orchestrate: Orchestrator, fleet: Fleet) -> None:
    """A fleet that has something to start fails by it and says so; its resume is whole."""
    passed.write("packages/b/src", "changed")
    refused = fleet(*FLEET, how="no guard can be started").done
    assert (refused.code, "no process can be started for the run's guard" in refused.stderr) == (8, True)
    assert orchestrate("resume", "latest").code == 0
    assert is_whole(orchestrate)
