"""A prune that several processes remove for, and that is ended: what the chain names goes all the same."""

from __future__ import annotations

import os
import select
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.base.files import Folder
from orchestrator.process import shared_work
from orchestrator.store import prune as store_prune
from orchestrator.store.find import run_ids
from orchestrator.store.layout import PRUNED
from orchestrator.store.prune import Chosen, Terms, prune_runs, remove_again
from orchestrator.store.store import RunStore
from orchestrator.store.verification.alignment import align_task
from orchestrator.store.verification.tasks import verify_all
from tests.faults.crash_seam import QuickSeam
from tests.faults.lives import store_of
from tests.faults.test_prune_faults import chosen
from tests.records import TASK, make_run_id
from tests.unit.store.test_verification import ended

TERMS = Terms("ann", None, {})
GOES = (1, 2, 3, 4)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="work is shared among copies of a process")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with five ended runs."""
    root = tmp_path_factory.mktemp("scene")
    for number in (*GOES, 5):
        ended(store_of(root, QuickSeam()), number)
    return root


@pytest.fixture
def store(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A store of five ended runs, of which each two are worth a process."""
    shutil.copytree(scene, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.setattr(store_prune, "_WORTH_A_PROCESS", 2)
    monkeypatch.setattr(shared_work, "_cores", lambda: 2)
    return store_of(tmp_path, QuickSeam())


@pytest.fixture
def removing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Return what makes a process call something first, before it removes the folder of a run."""
    remove = Folder.remove_folder

    def call_first(first: Callable[[], None]) -> None:
        def removed(folder: Folder, name: str) -> None:
            if os.path.basename(folder.path) == PRUNED:
                first()
            remove(folder, name)

        monkeypatch.setattr(Folder, "remove_folder", removed)

    return call_first


def all_of(store: RunStore) -> list[Chosen]:
    """Return the runs that are to go."""
    return [chosen(store, number) for number in GOES]


class Pruning:
    """A prune in a process of a group of its own."""

    def __init__(self, store: RunStore, runs: Sequence[Chosen]) -> None:
        self._reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with suppress(BaseException):
                prune_runs(store, TASK, "record", runs, TERMS)
                os._exit(0)
            os._exit(130)
        os.close(writing)

    def status(self) -> int:
        """Wait for its end, and for that of its copies, and return its status."""
        _, status = os.waitpid(self.pid, 0)
        with open(self._reading, "rb") as held:
            assert select.select([held], [], [], 10)[0], "a copy goes on"
        return status


def is_finished(store: RunStore) -> bool:
    """Let the next prune of the task finish what was begun, and tell whether nothing but the named runs is gone."""
    remove_again(store, TASK, ())
    left = sorted(path.name for path in (Path(store.workspace.runs_dir) / TASK / PRUNED).iterdir())
    assert (run_ids(store, TASK), left) == ([make_run_id(5)], [".lock"])
    assert verify_all(store).findings == ()
    assert align_task(store, TASK).findings == ()
    return True


@pytest.mark.parametrize("by", ["the owner", "a copy"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_next_prune_finishes_it(
    store: RunStore, removing: Callable[[Callable[[], None]], None], by: str, number: signal.Signals
) -> None:
    """Whether the process ends while it removes, or while a copy does, by a kill or by what a terminal sends to all."""

    def end_it() -> None:
        owner = os.getpgid(0)
        if (os.getpid() != owner) == (by == "a copy"):
            os.kill(-owner if number == signal.SIGINT else owner, number)

    removing(end_it)
    assert Pruning(store, all_of(store)).status() in (int(number), 130 << 8)
    removing(lambda: None)
    assert is_finished(store)


def test_a_killed_copy_is_done_without(store: RunStore, removing: Callable[[Callable[[], None]], None]) -> None:
    """The process itself removes what the copies had left."""
    here = os.getpid()
    removing(lambda: None if os.getpid() == here else os.kill(os.getpid(), signal.SIGKILL))
    assert len(prune_runs(store, TASK, "record", all_of(store), TERMS)) == len(GOES)
    assert is_finished(store)


def test_a_stopped_copy_ends_with_its_prune(store: RunStore, removing: Callable[[Callable[[], None]], None]) -> None:
    """Ctrl-C ends the prune that waits for it, and nothing holds the lock afterwards."""
    reading, writing = os.pipe()

    def stop() -> None:
        if os.getpid() != os.getpgid(0):
            os.write(writing, b".")
            os.kill(os.getpid(), signal.SIGSTOP)

    removing(stop)
    pruning = Pruning(store, all_of(store))
    assert os.read(reading, 1)
    os.kill(pruning.pid, signal.SIGINT)
    assert pruning.status() == 130 << 8
    for fd in (reading, writing):
        os.close(fd)
    removing(lambda: None)
    assert is_finished(store)


def test_two_prunes_at_once_remove_each_run_once(store: RunStore) -> None:
    """One of them waits for the other and its copies, and names what is left: nothing."""
    runs = all_of(store)
    both = [Pruning(store, runs) for _ in range(2)]
    assert [pruning.status() for pruning in both] == [0, 0]
    assert is_finished(store)
