"""Many runs at once on one task lose nothing, with kills and without."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.base.clock import SystemClock
from orchestrator.base.files import Folder, Seam
from orchestrator.base.workspace import Workspace
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.layout import RUN_LOCK, TASK_LOCK
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder
from tests.records import TASK

_WORKER = """
import os, sys
from pathlib import Path
from orchestrator.base.files import Seam
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.claim import claim
from orchestrator.store.publish import publish
from orchestrator.store.store import RunStore
from tests.records import FakeClock, make_manifest, make_plan, make_workspace

class Quick(Seam):
    def fsync(self, fd):
        pass

root, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sys.stdin.readline()
for number in range(first, first + count):
    # Each run in a process of its own, so that a kill takes one run.
    if os.fork() == 0:
        store = RunStore(make_workspace(root), FakeClock(), seam=Quick())
        run = claim(store, make_manifest(number, make_plan()), "token")
        os.write(1, f"{run.where.run_id} {os.getpid()}\\n".encode())
        run.save(interrupted(run.manifest, "2026-11-22T08:43:59.000Z"))
        publish(store, run, certain=True)
        run.close()
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def start_workers(root: Path, runs: int, workers: int) -> list[subprocess.Popen[str]]:
    """Start ``runs`` runs from ``workers`` processes, at once."""
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    each = runs // workers
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(root), str(1 + index * each), str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        for index in range(workers)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def finish_workers(processes: list[subprocess.Popen[str]], *, kills: random.Random | None) -> set[str]:
    """Wait for all, killing about a third of the runs when ``kills`` is given; return the ids that were told."""
    told = set()
    for process in processes:
        assert process.stdout is not None
        for line in process.stdout:
            run_id, pid = line.split()
            told.add(run_id)
            if kills is not None and kills.random() < 0.33:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    continue
        assert process.wait() == 0
    return told


def check_task(workspace: WorkspaceFolder, task: str) -> Counter[str]:
    """Assert that nothing of the task's runs is lost and no lock is held; return how the runs ended."""
    folders = workspace.runs(task)
    documents = [workspace.manifest(folder) for folder in folders]
    ends = Counter(document["status"] for document in documents)
    assert set(ends) <= TERMINAL
    lines = Counter(line["run_id"] for line in workspace.metrics(task))
    assert lines == {folder.name: 1 for folder in folders}
    state = workspace.state(task)
    totals = {"runs": len(folders), "succeeded": 0, "failed": 0, "cancelled": 0}
    assert state["totals"] == {**totals, **ends}
    newest = sorted(documents, key=lambda document: (document["started_at"], document["run_id"]))[-100:]
    assert [run["runId"] for run in state["runs"]] == [document["run_id"] for document in newest]
    for document in documents:
        assert workspace.pointer(task, document["run_id"])["status"] == document["status"]
    runs = str(workspace.root / ".runs" / task)
    with Folder.at(runs, Seam()) as folder:
        assert not folder.is_locked(TASK_LOCK)
        assert folder.sub(".open").names() == []
    for one in folders:
        with Folder.at(str(one), Seam()) as folder:
            assert not folder.is_locked(RUN_LOCK)
    return ends


@pytest.mark.parametrize("with_kills", [False, True], ids=["undisturbed", "killed"])
def test_500_runs_at_once_through_the_store(workspace: WorkspaceFolder, with_kills: bool) -> None:
    """500 processes claim, end and publish a run of one task: all are there and counted once, the killed too."""
    kills = random.Random(5) if with_kills else None
    told = finish_workers(start_workers(workspace.root, 500, 10), kills=kills)
    root = str(workspace.root)
    store = RunStore(Workspace(root, f"{root}/.runs", f"{root}/out"), SystemClock())
    recovered = recover_task(store, TASK, interrupted)
    assert with_kills or recovered == []
    seen = {folder.name for folder in workspace.runs(TASK)}
    assert told <= seen
    assert len(told) == 500
    assert sum(check_task(workspace, TASK).values()) == 500


@pytest.mark.slow
@pytest.mark.parametrize("with_kills", [False, True], ids=["undisturbed", "killed"])
def test_50_starts_at_once(workspace: WorkspaceFolder, orchestrate: Orchestrator, with_kills: bool) -> None:
    """50 ``start`` of one task at the same time, some killed outright: each run has its record and counts once."""
    pipeline = '[[pipelines.quick.stages]]\nid = "one"\nshell = "sleep 0.2"\n'
    workspace.project("x", pipeline="quick", extra=pipeline)
    chance = random.Random(11)
    processes = [
        orchestrate.popen("start", "quick", "--project", "x", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(50)
    ]
    killed = 0
    if with_kills:
        for process in processes[::3]:
            time.sleep(chance.random() * 0.4)
            process.kill()
            killed += 1
    codes = [process.wait(timeout=120) for process in processes]
    assert codes.count(0) >= 50 - killed
    done = orchestrate("start", "quick", "--project", "x")
    assert done.code == 0, done.stderr
    ends = check_task(workspace, "1-x")
    assert ends["succeeded"] >= 51 - killed
    assert ends["cancelled"] == 0
