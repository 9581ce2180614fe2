"""File systems whose locks don't work, or aren't seen by other machines: what lives is not taken for dead."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.base.clock import stamp
from orchestrator.base.errors import Refused
from orchestrator.base.files import Folder
from orchestrator.base.files.changes import FileChange
from orchestrator.base.files.writing import write_files
from orchestrator.model.manifest.document import HEARTBEAT_STALE_SECONDS
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.runner.environment.steps import PortableLocks
from orchestrator.store.claim import claim
from orchestrator.store.find import life_of, read_document
from orchestrator.store.layout import HEARTBEAT, OPEN, RUN_LOCK, STAGING
from orchestrator.store.liveness import sign_of_life
from orchestrator.store.open_run import OpenRun
from orchestrator.store.owner import Owner, read_owner, started_at
from orchestrator.store.publish import publish
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import take_over
from tests.faults.crash_seam import QuickSeam
from tests.harness import Orchestrator, WorkspaceFolder
from tests.records import START, TASK, FakeClock, make_manifest, make_workspace, where_is

AT = "2026-11-22T08:43:09.000Z"
ELSEWHERE = {"host": "another-machine", "boot_id": "another-boot"}


class NoFlock(QuickSeam):
    """A file system, and its server, that know no locks."""

    def __init__(self, number: int = errno.ENOLCK) -> None:
        super().__init__()
        self.number = number

    def flock(self, fd: int, operation: int) -> None:
        """Refuse, whatever is asked for."""
        raise OSError(self.number, os.strerror(self.number))


def store_in(root: Path, seam: QuickSeam | None = None, clock: FakeClock | None = None) -> tuple[RunStore, list[str]]:
    """Return a store, and the list that its warnings go to."""
    said: list[str] = []
    store = RunStore(make_workspace(root), clock or FakeClock(), seam=seam or QuickSeam(), warn=said.append)
    return store, said


def ended(store: RunStore, run: OpenRun) -> None:
    """End a run, and publish it."""
    run.save(interrupted(run.manifest, AT))
    publish(store, run, certain=True)
    run.close()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_without_flock_a_run_has_one_holder_all_the_same(tmp_path: Path, number: int) -> None:
    """Whatever the file system says: a live run is seen as alive, nobody takes it over, and it is published."""
    store, said = store_in(tmp_path, NoFlock(number))
    run = claim(store, make_manifest(1), "token")
    assert life_of(store, run.where) == "lock"
    assert recover_task(store, TASK, interrupted) == []
    with store.run_folder(run.where) as folder:
        assert folder.lock(RUN_LOCK, blocking=False) is None
    ended(store, run)
    assert life_of(store, run.where) is None
    assert said == []
    write_files(str(tmp_path), [FileChange("a.txt", None, "new")], NoFlock(number))


def test_an_environments_lock_tells_why_it_can_not_be_taken() -> None:
    """The system's own word comes through, so that a file that stands for the lock file is tried."""
    with pytest.raises(OSError, match="Bad file descriptor") as raised:
        PortableLocks().flock(10**6, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert raised.value.errno == errno.EBADF


def test_without_flock_death_is_seen_at_once(tmp_path: Path) -> None:
    """The lock that stands for the run's is free when its last holder is gone, which need not be its own process."""
    store, _ = store_in(tmp_path, NoFlock())
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        run = claim(store, make_manifest(1), "token")
        guard = subprocess.Popen(["sleep", "60"], pass_fds=[run.lock.kept_fd])
        os.write(writing, f"{guard.pid}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
    guard_pid = int(os.read(reading, 20))
    os.waitpid(pid, 0)
    where = where_is(make_manifest(1))
    assert life_of(store, where) == "lock"
    os.kill(guard_pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while life_of(store, where) is not None:
        assert time.monotonic() < until
    assert recover_task(store, TASK, interrupted) == [where.run_id]
    assert read_document(store, where)["status"] == "failed"


def test_without_flock_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    """Processes that publish on one task at the same time come one after the other."""
    pids = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for turn in range(5):
                    store, _ = store_in(tmp_path, NoFlock())
                    ended(store, claim(store, make_manifest(1 + number * 5 + turn), "token"))
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 8
    lines = (tmp_path / ".runs" / TASK / "metrics.json").read_text().splitlines()
    assert len({json.loads(line)["run_id"] for line in lines}) == len(lines) == 40
    assert json.loads((tmp_path / "out" / TASK / "state.json").read_text())["totals"]["runs"] == 40


@pytest.fixture
def died(tmp_path: Path) -> tuple[RunStore, list[str], Folder]:
    """A run whose record is open and whose lock is free, with its store, its warnings and its folder."""
    clock = FakeClock()
    store, said = store_in(tmp_path, clock=clock)
    run = claim(store, make_manifest(1), "token")
    run.close()
    clock.advance(10)
    return store, said, store.run_folder(run.where)


def belongs_to(folder: Folder, **changed: object) -> Owner:
    """Write another owner into the lock file of ``folder``."""
    found = read_owner(folder)
    assert found is not None
    owner = found._replace(**changed)
    Path(folder.path, RUN_LOCK).write_text(json.dumps(owner._asdict()))
    return owner


def beat(folder: Folder, said: float, written: float) -> None:
    """Let the last heartbeat say, and be written at, a moment so many seconds ago."""
    now = START.timestamp() + 10
    path = Path(folder.path, HEARTBEAT)
    path.write_text(stamp(datetime.fromtimestamp(now - said, UTC)) + "\n")
    os.utime(path, (now - written, now - written))


FRESH, STALE = HEARTBEAT_STALE_SECONDS - 1, HEARTBEAT_STALE_SECONDS + 1


@pytest.mark.parametrize(
    ("said", "written", "alive"),
    [(FRESH, FRESH, True), (FRESH, STALE, True), (STALE, FRESH, True), (STALE, STALE, False), (-STALE, STALE, False)],
)
def test_another_machines_run_lives_as_long_as_its_heart_beats(
    died: tuple[RunStore, list[str], Folder], said: float, written: float, alive: bool
) -> None:
    """Nothing here closes or takes it over before both clocks call its heartbeat stale; who tried is told."""
    store, warnings, folder = died
    belongs_to(folder, **ELSEWHERE)
    beat(folder, said, written)
    where = where_is(make_manifest(1))
    assert life_of(store, where) == ("heartbeat" if alive else None)
    if alive:
        with pytest.raises(Refused, match="alive on the host 'another-machine'") as refused:
            take_over(store, where)
        assert refused.value.code == "alive"
    assert recover_task(store, TASK, interrupted) == ([] if alive else [where.run_id])
    assert read_document(store, where)["status"] == ("in_progress" if alive else "failed")
    assert ["'another-machine'" in warning for warning in warnings] == ([True] if alive else [])


@pytest.mark.parametrize(
    "changed",
    [{"host": "another-machine"}, {"boot_id": "another-boot"}, {**ELSEWHERE, "purpose": "close"}],
    ids=["another name of this machine", "before its restart", "nobody ran it"],
)
def test_a_free_lock_of_this_machine_is_proof_of_death(
    died: tuple[RunStore, list[str], Folder], changed: dict[str, object]
) -> None:
    """A container with another name, or a restart, leaves a run that died; no heartbeat is waited for."""
    store, _, folder = died
    belongs_to(folder, **changed)
    beat(folder, 0, 0)
    assert sign_of_life(folder, store.clock.now()) is None
    assert recover_task(store, TASK, interrupted) == [make_manifest(1).run_id]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="start times of processes are read from /proc")
def test_a_process_that_holds_the_lock_file_open_is_alive(died: tuple[RunStore, list[str], Folder]) -> None:
    """Where another user's locks can't be seen either, pid, start time and open files tell; then it ends."""
    store, _, folder = died
    process = subprocess.Popen(["sleep", "60"], stdin=folder.open_read(RUN_LOCK))
    belongs_to(folder, pid=process.pid, started=started_at(process.pid))
    assert sign_of_life(folder, store.clock.now()) == "process"
    assert recover_task(store, TASK, interrupted) == []
    started = started_at(process.pid)
    assert started is not None
    belongs_to(folder, started=started - 1)
    assert sign_of_life(folder, store.clock.now()) is None
    belongs_to(folder, started=started)
    process.kill()
    process.wait()
    assert sign_of_life(folder, store.clock.now()) is None


@pytest.mark.parametrize(
    "changed", [{"host": ["a"]}, {"pid": 10**20}, {"pid": "1"}, {"started": "x"}, {"boot_id": {}}, {"purpose": ["run"]}]
)
def test_an_owner_that_can_not_be_read_is_none(
    died: tuple[RunStore, list[str], Folder], changed: dict[str, object]
) -> None:
    """Whatever stands in a lock file that nobody holds, the run died."""
    store, _, folder = died
    belongs_to(folder, **{**ELSEWHERE, **changed} if "pid" not in changed else changed)
    assert sign_of_life(folder, store.clock.now()) is None
    assert recover_task(store, TASK, interrupted) == [make_manifest(1).run_id]


def test_a_claim_of_another_machine_is_not_swept_away(tmp_path: Path) -> None:
    """Between its marker and its last rename a claim can be seen by others only by its staged folder."""
    clock = FakeClock()
    store, _ = store_in(tmp_path, clock=clock)
    run = claim(store, make_manifest(1), "token")
    run.close()
    belongs_to(store.run_folder(run.where), **ELSEWHERE)
    task = tmp_path / ".runs" / TASK
    staged = task / STAGING / run.where.run_id
    os.rename(task / "cli" / run.where.run_id, staged)
    now = START.timestamp()
    os.utime(staged / HEARTBEAT, (now, now))
    clock.advance(10)
    recover_task(store, TASK, interrupted)
    assert staged.is_dir()
    assert (task / OPEN / run.where.run_id).exists()
    clock.advance(3600)
    recover_task(store, TASK, interrupted)
    assert not staged.exists()
    assert not (task / OPEN / run.where.run_id).exists()


def test_the_commands_leave_another_machines_run_alone(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``status`` says how its life is known, ``resume`` and ``cancel`` refuse, ``start`` says it and goes on."""
    workspace.project(
        "x", pipeline="quick", extra="[[pipelines.quick.stages]]\nid = 'one'\nshell = 'echo up; sleep 60'\n"
    )
    process = orchestrate.popen("start", "quick", "--project", "x")
    until = time.monotonic() + 30
    while not any(path.read_bytes() for path in workspace.root.glob(".runs/1-x/cli/*/commands/*.log")):
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    process.communicate()
    (run,) = workspace.runs("1-x")
    with open(run / RUN_LOCK, "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the guard gives it back when nothing of the run is left
        owner = json.loads(lock.read())
        (run / RUN_LOCK).write_text(json.dumps({**owner, **ELSEWHERE, "host": "another\x1b[2J-machine"}))
    shown = orchestrate("status", "--format", "json").document
    assert (shown["status"], shown["alive"], shown["alive_by"]) == ("in_progress", True, "heartbeat")
    assert "in progress on another machine, as its heartbeat tells" in orchestrate("status").stdout
    refused = orchestrate("resume", run.name, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (5, "alive")
    assert orchestrate("cancel", run.name, "--format", "json").document["error"]["code"] == "other-host"
    workspace.project("x", pipeline="quick", extra="[[pipelines.quick.stages]]\nid = 'one'\nshell = 'true'\n")
    started = orchestrate("start", "quick", "--project", "x")
    assert started.code == 0
    assert "seems to be alive on 'another\\x1b[2J-machine'" in started.stderr
    os.utime(run / HEARTBEAT, (0, 0))
    (run / HEARTBEAT).write_text("2026-01-01T00:00:00.000Z\n")
    os.utime(run / HEARTBEAT, (0, 0))
    assert orchestrate("start", "quick", "--project", "x").code == 0
    assert workspace.manifest(run)["status_detail"] == "interrupted"
