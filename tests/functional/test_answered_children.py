"""Up-to-date children of a fleet are answered by a few processes, one after another: nothing tells it but their pid."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.process import Exited
from orchestrator.runner.stage_command import child_program
from tests.functional.test_loaded_program import loading
from tests.harness import Orchestrator, WorkspaceFolder
from tests.process_driver import LINUX, Driver

pytestmark = pytest.mark.skipif(not LINUX, reason="fleets make copies on Linux only")

FLEET = ("start", "smoke", "--all", "--jobs", "1")
NAMES = ("a", "b", "c")
OF_EACH_RUN = {
    *("run_id", "parent_run_id", "parentRunId", "rootRunId", "trace_id", "parent_span_id", "resume_token"),
    *("timestamp", "started_at", "completed_at", "updated_at", "heartbeat_at", "began_at", "deadline_at"),
    *("artifact_root", "compat_path", "log_path", "manifest", "active_seconds", "duration_seconds", "digest"),
}
MODULE = r"""
import os, sys, time
import orchestrator.cli.answering as answering
from orchestrator.commands.run.has_to_run import HasToRun


def cached():
    word = sys.argv[2]
    print("answered by", os.getpid(), os.getcwd(), os.environ.get("SAMPLE"), flush=word == "declines")
    if word == "declines":
        raise HasToRun
    if word == "dies":
        os.kill(os.getpid(), 9)
    if word == "stops":
        print("stops", flush=True)
        os.kill(os.getpid(), 19)
    if word == "stays":
        os.write(int(os.environ["READY"]), b".") if "READY" in os.environ else time.sleep(60)
    if word == "leaks":
        os.open("/", os.O_RDONLY)
    if word == "forks" and os.fork() == 0:
        time.sleep(0.1)
        os._exit(0)
    if word == "raises":
        raise ValueError("broken")
    return 3 if word == "fails" else 0


def main():
    print("started by", os.getpid())
    return 0


answering._cached_run = cached
"""


def asked(driver: Driver, word: str, **env: str) -> tuple[str, Exited]:
    """Start a child run of that word, and return what it printed and its end."""
    key = driver.spawn([*child_program(), "start", word], cwd="/usr", env={**os.environ, **env})
    return driver.output(key).decode(), driver.wait(Exited, key)


def by(printed: str) -> int:
    """Return the process that printed."""
    return int(printed.split()[2])


def is_stopped(pid: int) -> bool:
    """Tell whether a process comes to be stopped within a few seconds (proc(5): ``T``)."""
    for _ in range(500):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Return a driver of a guard whose answerers do what they are asked to."""
    return loading(tmp_path, monkeypatch, MODULE)


def test_one_process_answers_one_child_after_another(sample: Driver) -> None:
    """Each has its own output, folder and variables; its end says what it used."""
    with sample as driver:
        first, ended = asked(driver, "works", SAMPLE="é")
        again, _ = asked(driver, "works")
        assert first.split() == ["answered", "by", str(by(again)), "/usr", "é"]
        assert again.split()[-1] == "None"
        assert (ended.exit_code, ended.signal, ended.swept, ended.survivors) == (0, None, 0, 0)
        assert ended.max_rss_bytes > 1 << 20


def test_two_children_at_once_have_an_answerer_each(sample: Driver) -> None:
    """None waits for another's answer."""
    with sample as driver:
        stays = driver.spawn([*child_program(), "start", "stays"], env=dict(os.environ))
        printed, ended = asked(driver, "works")
        assert (ended.exit_code, printed.split()[0]) == (0, "answered")
        driver.guard.terminate(stays, grace_seconds=5)
        assert driver.wait(Exited, stays).signal == "SIGTERM"
        assert asked(driver, "works")[1].exit_code == 0


def test_a_stopped_answerer_holds_up_its_own_child_alone(sample: Driver) -> None:
    """The next ones are another's, and the end of that child ends what was stopped."""
    with sample as driver:
        first, _ = asked(driver, "works")
        stops = driver.spawn([*child_program(), "start", "stops"], env=dict(os.environ))
        printed, ended = asked(driver, "works")
        assert ended.exit_code == 0
        assert by(printed) != by(first)
        assert is_stopped(by(first))
        driver.guard.terminate(stops, grace_seconds=5)
        assert driver.wait(Exited, stops).signal == "SIGTERM"
        assert not Path(f"/proc/{by(first)}").exists()


def test_what_is_declined_is_started(sample: Driver) -> None:
    """Nothing that the answerer printed is shown; after many of them in a row none is asked for any more."""
    with sample as driver:
        for _ in range(6):
            printed, ended = asked(driver, "declines")
            assert (printed.split()[:2], printed.count("\n"), ended.exit_code) == (["started", "by"], 1, 0)
        assert asked(driver, "works")[0].startswith("started by")


@pytest.mark.parametrize(
    ("word", "code", "signal"),
    [("leaks", 0, None), ("forks", 0, None), ("fails", 3, None), ("raises", 1, None), ("dies", None, "SIGKILL")],
)
def test_an_answerer_that_is_not_as_before_is_replaced(
    sample: Driver, word: str, code: int | None, signal: str | None
) -> None:
    """Its last child ends as it says; the next one is another process's."""
    with sample as driver:
        before, _ = asked(driver, "works")
        _, ended = asked(driver, word)
        after, last = asked(driver, "works")
        assert (ended.exit_code, ended.signal, last.exit_code) == (code, signal, 0)
        assert by(before) != by(after)


def test_what_cannot_be_answered_is_started(sample: Driver) -> None:
    """A child with a key may be another's run, one without the cache has to run, a large one would be waited for."""
    with sample as driver:
        words = [*child_program(), "start", "works"]
        env = dict(os.environ)
        for argv, more in (
            ([*words, "--no-cache"], {}),
            (words, {"CODEX_ORCHESTRATOR_KEY": "k"}),
            (words, {"LARGE": "x" * (1 << 16)}),
            ([*child_program(), "resume", "works"], {}),
        ):
            assert driver.output(driver.spawn(argv, env={**env, **more})).startswith(b"started by")


def test_an_end_while_it_answers_leaves_nothing(sample: Driver) -> None:
    """The guard that is closed ends its answerers, those at work and those without."""
    with sample as driver:
        idle, _ = asked(driver, "works")
        reading, writing = os.pipe()
        driver.spawn([*child_program(), "start", "stays"], env=dict(os.environ))
        os.close(writing)
        os.close(reading)
        driver.guard.close(timeout_seconds=10)
        assert not Path(f"/proc/{by(idle)}").exists()


def same(record: Any) -> Any:
    """Return a record without what differs from run to run."""
    if isinstance(record, dict):
        return {key: same(value) for key, value in record.items() if key not in OF_EACH_RUN}
    return [same(each) for each in record] if isinstance(record, list) else record


def owner_of(run: Path) -> int:
    """Return the process that a run was written by."""
    return int(json.loads((run / ".lock").read_text())["pid"])


def printed_by(fleet: Path) -> list[list[str]]:
    """Return the first words of what the children of a fleet printed."""
    return [
        [line.split(maxsplit=1)[0] for line in log.read_text().splitlines()]
        for log in sorted((fleet / "commands").iterdir())
    ]


def test_answered_children_are_recorded_as_any_others(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Their records, events and logs are those of children that were started; a changed one of them is started."""
    for name in NAMES:
        build = {"shell": "echo b >> ../built", "inputs": ["src"]}
        workspace.project(name, {"build": build, "test": {"run": "true", "inputs": ["src"]}}, pipeline="smoke")
        workspace.write(f"packages/{name}/src", name)
    workspace.commit()
    large = {"LARGE": "x" * (1 << 16)}  # so that each child is started
    for env in ({}, {}, large):
        assert orchestrate(*FLEET, env=env).code == 0
    workspace.write("packages/b/src", "changed")
    assert orchestrate(*FLEET).code == 0
    owners = [[owner_of(workspace.runs(f"1-{name}")[nth]) for name in NAMES] for nth in range(4)]
    assert [len(set(pids)) for pids in owners] == [3, 1, 3, 2]
    assert (workspace.root / "packages/built").read_text().split() == ["b"] * 4
    for name in NAMES:
        answered, started = workspace.runs(f"1-{name}")[1:3]
        assert same(workspace.manifest(answered)) == same(workspace.manifest(started))
        assert sorted(os.listdir(answered)) == sorted(os.listdir(started))
        logs = [(run / "runner.ndjson").read_text().splitlines() for run in (answered, started)]
        assert [same(json.loads(line)) for line in logs[0]] == [same(json.loads(line)) for line in logs[1]]
    fleets = workspace.runs("fleet")
    assert printed_by(fleets[1]) == printed_by(fleets[2])
    assert all(printed_by(fleets[1]))
    checked = orchestrate("verify", "--format", "json")
    assert (checked.code, checked.document["findings"]) == (0, [])
