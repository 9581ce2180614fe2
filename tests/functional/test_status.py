"""``status`` on real folders: it reads a live, a dead and an old run, writes nothing, and is light."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.errors import DamagedRecord, NotFound, UsageError
from orchestrator.base.files import Seam
from orchestrator.commands.context import Context
from orchestrator.commands.look.run_view import Patience, child_standing, observe
from orchestrator.commands.look.status import status, watched
from orchestrator.model.manifest.document import MANIFEST_LIMIT
from orchestrator.model.manifest.manifest import ChildRun, Lineage, Manifest
from orchestrator.model.manifest.transitions import closed, stage_skipped, stage_started
from orchestrator.store import find as reading
from orchestrator.store.claim import claim
from orchestrator.store.find import find_run
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore
from tests.harness import REPOSITORY, Orchestrator, clean_environ
from tests.records import FakeClock, make_manifest, make_run_id, make_store, make_workspace, where_is

SAMPLES = REPOSITORY / "tests" / "samples" / "version-1" / "runs"
KILLED = "2026-11-22T10-06-32-641Z-478d5061"
END = "2026-11-22T08:44:00.000Z"


def context_in(root: Path, stdout: Any = None, **environ: str) -> Context:
    """Return a context in the workspace ``root``."""
    return Context(str(root), environ, stdout or io.StringIO(), io.StringIO(), FakeClock())


def ended(manifest: Manifest) -> Manifest:
    """Return the record of a run that succeeded without running anything."""
    for command in manifest.commands:
        manifest = stage_skipped(manifest, command.id, "nothing to do")
    return closed(manifest, END, "success", None, None)


@contextlib.contextmanager
def live_run(root: Path, number: int = 1) -> Iterator[tuple[RunStore, OpenRun]]:
    """A run whose lock this process holds."""
    store = make_store(root)
    run = claim(store, make_manifest(number), "token")
    try:
        yield store, run
    finally:
        run.close()


@pytest.fixture
def old_workspace(tmp_path: Path) -> Path:
    """A workspace with the runs of the early version."""
    make_workspace(tmp_path)
    shutil.copytree(SAMPLES, tmp_path / ".runs", symlinks=True)
    return tmp_path


def files_of(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of all that is below ``root``."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in root.rglob("*") if path.name != ".lock"
    }


def test_a_live_run_and_its_death(tmp_path: Path) -> None:
    """A run is in progress as long as its lock is held, and has died in the moment that it is free."""
    with live_run(tmp_path):
        answer = status(context_in(tmp_path))
        assert answer.exit_code == 0
        assert answer.document is not None
        assert (answer.document["status"], answer.document["alive"]) == ("in_progress", True)
    dead = status(context_in(tmp_path))
    assert dead.exit_code == 0
    assert dead.document is not None
    assert (dead.document["status"], dead.document["outcome"]) == ("failed", "error")
    assert "interrupted" in dead.text


def test_status_writes_nothing(tmp_path: Path) -> None:
    """A dead run is shown as such without a byte being written."""
    with live_run(tmp_path):
        pass
    before = files_of(tmp_path)
    status(context_in(tmp_path))
    assert files_of(tmp_path) == before


def test_the_heartbeat_file_is_read(tmp_path: Path) -> None:
    """The heartbeat shown is that of the file when it is later than the record's."""
    with live_run(tmp_path) as (_, run):
        later = "2026-11-22T09:00:00.000Z"
        (Path(run.folder.path) / ".heartbeat").write_text(f"{later}\n")
        document = status(context_in(tmp_path)).document
    assert document is not None
    assert document["heartbeat_at"] == later


def test_children_are_looked_up(tmp_path: Path) -> None:
    """A child that died since its parent last wrote is shown as died; one that is gone as it was recorded."""
    with live_run(tmp_path, 2):
        pass
    with live_run(tmp_path, 1) as (_, run):
        gone, dead = (
            ChildRun(make_run_id(number), "smoke", "in_progress", "x", run.where.task_id, "hello", None)
            for number in (3, 2)
        )
        run.save(run.manifest._replace(child_runs=(dead, gone)))
        document = status(context_in(tmp_path), run=make_run_id(1)).document
    assert document is not None
    assert [(child["status"], child["alive"]) for child in document["child_runs"]] == [
        ("failed", False),
        ("in_progress", None),
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b'{"version": 2, "run_id"', b"{}", b'{"version": 3}', b"[]", b"\xff", b" " * (MANIFEST_LIMIT + 1)],
    ids=["empty", "cut off", "no keys", "version 3", "a list", "no text", "too large"],
)
def test_a_damaged_record_is_refused(tmp_path: Path, content: bytes) -> None:
    """A manifest that is empty, cut off, too large, without its keys or of an unknown version is exit code 7."""
    with live_run(tmp_path) as (_, run):
        pass
    (Path(run.folder.path) / "manifest.json").write_bytes(content)
    with pytest.raises(DamagedRecord) as refused:
        status(context_in(tmp_path))
    assert refused.value.exit_code == 7


def test_another_runs_record_is_refused(tmp_path: Path) -> None:
    """A record that was copied into another run's folder is not taken for that run's."""
    with live_run(tmp_path) as (_, run):
        record = json.loads((Path(run.folder.path) / "manifest.json").read_text())
    record["run_id"] = make_run_id(9)
    (Path(run.folder.path) / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(DamagedRecord, match="another run"):
        status(context_in(tmp_path))


def test_no_run_and_no_such_run(tmp_path: Path) -> None:
    """A workspace without runs, an unknown id and a word that is no id are told apart."""
    make_workspace(tmp_path)
    with pytest.raises(NotFound):
        status(context_in(tmp_path))
    with pytest.raises(NotFound):
        status(context_in(tmp_path), run=make_run_id(1))
    with pytest.raises(UsageError):
        status(context_in(tmp_path), run="../x")


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan"), float("inf")])
def test_an_interval_is_more_than_nothing(tmp_path: Path, interval: float) -> None:
    """An interval that would spin, or never end, is refused before anything is read."""
    with pytest.raises(UsageError, match="interval"):
        status(context_in(tmp_path), watch=True, interval=interval)


def test_every_old_run_is_shown(old_workspace: Path) -> None:
    """All runs of the early version are shown, the killed one as died, the others as they ended."""
    for folder in (old_workspace / ".runs" / "0101-billing" / "cli").iterdir():
        document = status(context_in(old_workspace), run=folder.name).document
        assert document is not None
        assert document["status"] == ("failed" if folder.name == KILLED else "succeeded")
    killed = status(context_in(old_workspace), run=KILLED)
    assert "interrupted" in killed.text


def record_of(number: int, parent: int | None = None) -> Manifest:
    """Return the first record of a run, which another one started if ``parent`` is given."""
    manifest = make_manifest(number)
    if parent is None:
        return manifest
    lineage = Lineage(make_run_id(parent), make_run_id(1), 1, manifest.task_id, manifest.project, "test")
    return manifest._replace(parent_run_id=make_run_id(parent), lineage=lineage)


@pytest.mark.parametrize(
    ("parents", "latest"),
    [
        ({1: None, 2: None, 3: None}, 3),
        ({1: None, 2: 1, 3: 2}, 1),
        ({1: None, 2: None, 3: 1}, 2),
        ({2: 1, 3: 2}, 2),
        ({1: 2, 2: 1}, 2),
        ({1: None, **dict.fromkeys(range(2, 9), 1)}, 1),
    ],
    ids=["no children", "a child's child", "a child of an older run", "its parent is gone", "a circle", "many"],
)
def test_latest_is_the_newest_run_that_no_other_started(
    tmp_path: Path, parents: Mapping[int, int | None], latest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children are passed over, but those whose parent is gone; of too many the newest one's root is taken."""
    monkeypatch.setattr(reading, "_MOST_CHILDREN", 4)
    store = make_store(tmp_path)
    for number, parent in parents.items():
        claim(store, record_of(number, parent), "token").close()
    assert find_run(store).run_id == make_run_id(latest)


def test_latest_names_a_newest_record_that_is_damaged(tmp_path: Path) -> None:
    """It is not passed over in silence."""
    for number in (1, 2):
        with live_run(tmp_path, number) as (_, run):
            pass
    (Path(run.folder.path) / "manifest.json").write_text("{")
    assert find_run(make_store(tmp_path)).run_id == make_run_id(2)


def test_an_old_child_is_found(old_workspace: Path) -> None:
    """The sub-pipeline of the early version's nightly run is shown with its state of now."""
    document = status(context_in(old_workspace), run="2026-11-22T10-05-47-996Z-71b0ec47").document
    assert document is not None
    assert [(child["status"], child["outcome"]) for child in document["child_runs"]] == [("succeeded", "success")]


def test_reading_bears_a_writer(tmp_path: Path) -> None:
    """Looks at a run that is being written at the same time are whole, and rise."""
    with live_run(tmp_path) as (_, run):
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                run.save(run.manifest)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = [status(context_in(tmp_path)).document for _ in range(50)]
        finally:
            stop.set()
            writer.join()
    assert all(document is not None and document["status"] == "in_progress" for document in seen)


class EndsWhenProbed(Seam):
    """Ends a run in the moment that somebody asks whether it is alive."""

    def __init__(self) -> None:
        self.run: OpenRun | None = None

    def flock(self, fd: int, operation: int) -> None:
        """Let the run end before its lock is probed."""
        if operation & fcntl.LOCK_SH and self.run is not None:
            run, self.run = self.run, None
            run.save(ended(run.manifest))
            run.close()
        super().flock(fd, operation)


def test_a_run_that_ends_between_the_looks_has_not_died(tmp_path: Path) -> None:
    """A run that ends after its record was read, before its lock is probed, is shown as ended."""
    seam = EndsWhenProbed()
    store = RunStore(make_workspace(tmp_path), FakeClock(), seam=seam)
    run = claim(store, make_manifest(), "token")
    seam.run = run
    seen = observe(store, where_is(run.manifest))
    assert (seen.record["status"], seen.alive) == ("succeeded", False)


def test_watching_shows_each_look_and_returns_the_last() -> None:
    """The watch goes on while the run does, and answers with what it ended as."""
    left = iter([{"status": word} for word in ("queued", "in_progress", "failed")])
    shown = []

    def show(document: Mapping[str, Any]) -> bool:
        shown.append(document["status"])
        return True

    last = watched(lambda: next(left), show, lambda: True)
    assert last == {"status": "failed"}
    assert shown == ["queued", "in_progress", "failed"]


@pytest.mark.parametrize(("shows", "waits"), [(False, True), (True, False)])
def test_watching_ends_when_nobody_is_there(shows: bool, waits: bool) -> None:
    """A stdout that is closed, noticed by writing or by waiting, ends the watch."""
    assert watched(lambda: {"status": "in_progress"}, lambda document: shows, lambda: waits) is None


def test_watch_writes_a_line_for_each_change(tmp_path: Path) -> None:
    """Piped, a watch writes one line for each change, and the whole view is its answer at the end."""
    stdout = io.StringIO()
    with live_run(tmp_path) as (_, run):

        def wait_for(line: str) -> None:
            until = time.monotonic() + 60
            while line not in stdout.getvalue() and time.monotonic() < until:
                time.sleep(0.01)

        def go_on() -> None:
            wait_for("in progress")
            run.save(stage_started(run.manifest, "build", END, "x/01-build.log"))
            wait_for("build: running")
            run.save(ended(run.manifest))

        worker = threading.Thread(target=go_on)
        worker.start()
        answer = status(context_in(tmp_path, stdout), watch=True, interval=0.02)
        worker.join()
    lines = [line.split(" ", 1)[1] for line in stdout.getvalue().splitlines()]
    assert lines[:2] == [f"run {make_run_id(1)}, attempt 1: in progress", "build: running"]
    assert lines[-1] == f"run {make_run_id(1)}: succeeded"
    assert "succeeded" in answer.text


def test_watch_as_json_is_silent_until_the_end(tmp_path: Path) -> None:
    """With --format json nothing is written before the one document."""
    stdout = io.StringIO()
    with live_run(tmp_path) as (_, run):
        timer = threading.Timer(0.2, lambda: run.save(ended(run.manifest)))
        timer.start()
        answer = status(context_in(tmp_path, stdout), watch=True, interval=0.02, format="json")
    assert stdout.getvalue() == ""
    assert answer.document is not None
    assert answer.document["status"] == "succeeded"


HOLDER = """
import sys
from pathlib import Path
from orchestrator.store.claim import claim
from tests.records import make_manifest, make_store
run = claim(make_store(Path(sys.argv[1])), make_manifest(), "token")
print("held", flush=True)
sys.stdin.read()
"""


def test_watch_ends_when_the_run_dies(tmp_path: Path) -> None:
    """A watch of a run whose process is killed ends by itself, and shows it as died."""
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    with holder:
        assert holder.stdout.readline() == b"held\n"
        threading.Timer(0.3, holder.kill).start()
        answer = status(context_in(tmp_path), watch=True, interval=0.05)
    assert answer.document is not None
    assert answer.document["status_detail"] == "interrupted"


def test_watch_ends_when_its_reader_goes(tmp_path: Path) -> None:
    """A watch whose pipe is closed at the other end does not go on waiting for the run."""
    reader, writer = os.pipe()
    with live_run(tmp_path), os.fdopen(writer, "w") as stdout:
        threading.Timer(0.2, os.close, (reader,)).start()
        answer = status(context_in(tmp_path, stdout), watch=True, interval=30.0)
    assert (answer.exit_code, answer.text) == (0, "")


def test_watch_redraws_in_a_terminal(tmp_path: Path) -> None:
    """In a terminal each view is drawn over the one before, and the last one is taken back for the answer."""
    main, side = os.openpty()
    drawn = bytearray()

    def read() -> None:
        # Linux ends the terminal of which the other side is closed with an error, macOS with nothing.
        with contextlib.suppress(OSError):
            while data := os.read(main, 4096):
                drawn.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    with live_run(tmp_path) as (_, run), os.fdopen(side, "w") as stdout:
        threading.Timer(0.3, lambda: run.save(ended(run.manifest))).start()
        answer = status(context_in(tmp_path, stdout, TERM="xterm", NO_COLOR="1"), watch=True, interval=0.1)
    reader.join()
    os.close(main)
    assert drawn.count(b"in progress") >= 2
    assert drawn.endswith(b"F\x1b[J")
    assert "succeeded" in answer.text


def test_a_child_of_a_bad_name_is_not_looked_for(tmp_path: Path) -> None:
    """A record can't send a look out of the runs folder by the ids of its children."""
    assert child_standing(make_store(tmp_path))("../..", make_run_id(1)) is None
    assert child_standing(make_store(tmp_path))("1001-hello", "../x") is None


def test_a_run_without_a_heartbeat_file_is_shown(tmp_path: Path) -> None:
    """The record's heartbeat stands where the file is gone."""
    with live_run(tmp_path) as (_, run):
        (Path(run.folder.path) / ".heartbeat").unlink()
        document = status(context_in(tmp_path)).document
    assert document is not None
    assert document["heartbeat_at"] == run.manifest.heartbeat_at


def test_waiting_notices_a_reader_that_goes(tmp_path: Path) -> None:
    """Patience runs out on a pipe without a reader, and holds on one with a reader, a file and no file at all."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, (tmp_path / "file").open("w") as file:
        patience = Patience(stream)
        assert patience(0.01)
        os.close(reader)
        assert not patience(5.0)
        assert Patience(file)(0.01)
    assert Patience(io.StringIO())(0.01)


LIGHT = """
import io, sys
from orchestrator.commands.context import Context
from orchestrator.commands.look.status import status
status(Context(sys.argv[1], {}, io.StringIO(), io.StringIO()))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_status_is_light(tmp_path: Path) -> None:
    """Showing a run loads none of the libraries that only running one needs."""
    with live_run(tmp_path):
        pass
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    # Without site-packages nothing else puts modules in, and what is not there can't be loaded unnoticed.
    done = subprocess.run(
        [sys.executable, "-S", "-c", LIGHT, str(tmp_path)], capture_output=True, text=True, env=environ, check=True
    )
    loaded = set(done.stdout.split())
    heavy = {"pydantic", "jsonschema", "portalocker", "nox", "rich", "invoke", "difflib", "subprocess", "tomllib"}
    assert loaded & heavy == set()


def test_the_program_shows_an_old_run(old_workspace: Path, home: Path) -> None:
    """The console script shows the killed run of version 1 as died, in text and in JSON, with exit code 0."""
    orchestrate = Orchestrator(old_workspace, clean_environ(home))
    text = orchestrate("status")
    assert (text.code, text.stderr) == (0, "")
    assert re.search(r"^Status +failed \(error\): interrupted$", text.stdout, re.M)
    found = orchestrate("status", KILLED, "--format", "json", cwd=old_workspace / ".runs")
    assert (found.code, found.document["status"], found.document["outcome"]) == (0, "failed", "error")


def test_the_program_refuses_a_damaged_record(tmp_path: Path, home: Path) -> None:
    """The console script answers a damaged record with exit code 7 and the key, as JSON when asked."""
    with live_run(tmp_path) as (_, run):
        record = run.manifest.as_json()
    (Path(run.folder.path) / "manifest.json").write_text(json.dumps({**record, "commands": 3}))
    done = Orchestrator(tmp_path, clean_environ(home))("status", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (7, "damaged-record")
    assert "'commands'" in done.document["error"]["message"]
