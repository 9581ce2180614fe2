"""Nothing is written through what somebody planted below ``.runs/`` or ``out/``, and nothing hangs on it."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, Seam
from orchestrator.cli.invocation import Invocation, guarded
from orchestrator.commands.context import Context
from orchestrator.commands.run.prepare_start import prepare
from orchestrator.commands.run.requests import StartRequest
from tests.faults.planted import KINDS, Outside, orchestrate_here, plant
from tests.harness import Orchestrator, WorkspaceFolder, clean_environ

TASK = "1-x"
PIPELINE = "smoke"
START = ("start", "--project", "x", "--pipeline", PIPELINE)
ALLOWED = frozenset({0, 3, 7, 8})
"""Done, failed as its stage does, damaged record, or storage: no bug (1), no other refusal, no hang."""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user."""
    return clean_environ(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def failed_run(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> tuple[Path, str]:
    """A workspace with one run that failed, and the run's id; copied for each test."""
    return _workspace_with_failure(tmp_path_factory.mktemp("failed"), environ)


@pytest.fixture(scope="module")
def dead_run(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> tuple[Path, str]:
    """A workspace with a failed run and one whose process died after its claim, and the latter's id."""
    root, _ = _workspace_with_failure(tmp_path_factory.mktemp("dead"), environ)
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        context = Context(str(root), environ, nothing, nothing)
        run = prepare(context, StartRequest(pipeline=PIPELINE, project="x")).open_run()
    run.event("run:start", {})
    run.close()
    return root, run.where.run_id


def _workspace_with_failure(folder: Path, environ: dict[str, str]) -> tuple[Path, str]:
    workspace = WorkspaceFolder(folder / "workspace")
    workspace.project("x", {"test": "echo tested; exit 1"}, pipeline=PIPELINE)
    assert orchestrate_here(workspace.root, environ, *START).code == 3
    (run,) = workspace.runs(TASK)
    return workspace.root, run.name


def places(root: Path) -> Iterator[Path]:
    """Yield every file and folder that runs have left, from the roots down."""
    for top in (".runs", "out"):
        yield Path(top)
        yield from sorted(path.relative_to(root) for path in (root / top).rglob("*"))


def verbs(run_id: str) -> dict[str, tuple[str, ...]]:
    """Return the commands that read or write a run."""
    return {
        "status": ("status", run_id),
        "latest": ("status",),
        "json": ("status", run_id, "--format", "json"),
        "logs": ("logs", run_id),
        "resume": ("resume", run_id),
        "start": START,
    }


def all_places(
    template: tuple[Path, str], environ: dict[str, str], tmp_path: Path, kind: str, chosen: tuple[str, ...]
) -> list[tuple[str, str, int, str]]:
    """Plant in every place, call every chosen verb, and return verb, place, exit code and complaint of each call."""
    root, run_id = template
    outside = Outside.made(tmp_path / "outside")
    before = outside.look()
    results = []
    for place in places(root):
        for verb in chosen:
            scene = tmp_path / "scene"
            shutil.copytree(root, scene, symlinks=True)
            if not plant(kind, scene / place, outside):
                pytest.skip("this machine does not let us make devices")
            called = orchestrate_here(scene, environ, *verbs(run_id)[verb])
            assert outside.look() == before, f"{verb} wrote through a {kind} at {place}"
            assert called.code in ALLOWED | {6}, f"{verb} with a {kind} at {place}: {called.stderr}"
            results.append((verb, str(place), called.code, called.stderr))
            shutil.rmtree(scene)
    return results


@pytest.mark.parametrize("kind", KINDS)
def test_readers_pass_over_or_refuse_what_is_planted_anywhere(
    failed_run: tuple[Path, str], environ: dict[str, str], tmp_path: Path, kind: str
) -> None:
    """``status`` and ``logs`` neither hang nor write outside; a planted record or run folder is exit code 8."""
    run = f".runs/{TASK}/cli/{failed_run[1]}"
    results = all_places(failed_run, environ, tmp_path, kind, ("status", "latest", "json", "logs"))
    codes = {(verb, place): code for verb, place, code, _ in results}
    for place in (".runs", f".runs/{TASK}", f".runs/{TASK}/cli", run, f"{run}/manifest.json"):
        assert codes["status", place] == codes["logs", place] == 8, place
    for place in (f"{run}/commands", f"{run}/commands/01-build.log"):
        assert codes["logs", place] == 8, place
        assert codes["json", place] == 0, place
    for place in ("out", f"out/{TASK}", f".runs/{TASK}/metrics.json", f".runs/{TASK}/chain.jsonl", ".runs/.cache"):
        assert codes["status", place] == codes["logs", place] == 0, place


@pytest.mark.parametrize("kind", KINDS)
def test_a_resume_refuses_what_is_planted_in_the_place_of_what_it_writes(
    failed_run: tuple[Path, str], environ: dict[str, str], tmp_path: Path, kind: str
) -> None:
    """Exit code 8 for every file and folder that a resume rests on, and nothing is written outside."""
    run = f".runs/{TASK}/cli/{failed_run[1]}"
    codes = {place: code for _, place, code, _ in all_places(failed_run, environ, tmp_path, kind, ("resume",))}
    refused = [".runs", f".runs/{TASK}", f".runs/{TASK}/cli", run, ".runs/.tools", "out", f"out/{TASK}"]
    refused += [f"{run}/{name}" for name in ("manifest.json", ".lock", ".resume-token", "runner.ndjson", "commands")]
    refused += [f".runs/{TASK}/{name}" for name in ("metrics.json", "chain.jsonl", ".open", "mcp")]
    refused += [f"out/{TASK}/state.json"]
    for place in refused:
        assert codes[place] == 8, place
    for place in (".runs/.cache", f".runs/local-mcp/{failed_run[1]}/manifest.json"):
        assert codes[place] in (3, 6), place


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_that_recovers_a_dead_run_refuses_what_is_planted(
    dead_run: tuple[Path, str], environ: dict[str, str], tmp_path: Path, kind: str
) -> None:
    """Exit code 8 for what a start writes; a dead run that can't be recovered is warned of, and hinders nobody."""
    run = f".runs/{TASK}/cli/{dead_run[1]}"
    codes = {place: code for _, place, code, _ in all_places(dead_run, environ, tmp_path, kind, ("start",))}
    refused = [".runs", f".runs/{TASK}", f".runs/{TASK}/cli", ".runs/.tools", "out", f"out/{TASK}"]
    refused += [f".runs/{TASK}/{name}" for name in (".open", ".staging", "mcp", "metrics.json", "chain.jsonl", ".lock")]
    refused += [f"out/{TASK}/state.json", ".runs/local-mcp"]
    for place in refused:
        assert codes[place] == 8, place
    for place in (run, f"{run}/manifest.json", f"{run}/.lock"):
        assert codes[place] == 3, place
    for place in codes:
        if place.startswith(".runs/.cache"):
            assert codes[place] == 3, place


def test_what_is_refused_is_named_and_left_as_it_was(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """The real command says which path, in text and as JSON, and runs nothing."""
    workspace.project("x", {"build": "touch ran"})
    outside = Outside.made(tmp_path / "outside")
    before = outside.look()
    (workspace.root / ".runs").symlink_to(outside.folder / "victim")
    text = orchestrate("start", "--project", "x")
    assert text.code == 8
    assert str(workspace.root / ".runs") in text.stderr
    document = orchestrate("start", "--project", "x", "--format", "json").document
    assert document["error"]["code"] == "planted-link"
    assert not (workspace.root / "packages" / "x" / "ran").exists()
    assert outside.look() == before


def test_a_bug_report_is_not_written_through_a_planted_folder(
    workspace: WorkspaceFolder, environ: dict[str, str], tmp_path: Path
) -> None:
    """A report goes to the temporary folder when a link stands in the place of the reports' folder."""
    from orchestrator.cli.crash_report import write_report

    outside = Outside.made(tmp_path / "outside")
    before = outside.look()
    (workspace.root / ".runs").mkdir()
    (workspace.root / ".runs" / ".reports").symlink_to(outside.folder / "victim")
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        context = Context(str(workspace.root), environ, nothing, nothing)
        path = Path(write_report(RuntimeError("broken"), ["start"], context))
    assert outside.look() == before
    assert "broken" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()


def test_a_heartbeat_that_became_a_pipe_does_not_hold_a_run(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A stage that puts a FIFO in the place of its run's heartbeat is recorded all the same, at once."""
    workspace.project(
        "x", {"test": 'rm -f "$CODEX_ORCHESTRATOR_RUN_DIR/.heartbeat"; mkfifo "$CODEX_ORCHESTRATOR_RUN_DIR/.heartbeat"'}
    )
    assert orchestrate("start", "--project", "x", timeout=30).code == 0


def test_remains_of_the_plan_cache_stop_no_start(workspace: WorkspaceFolder, environ: dict[str, str]) -> None:
    """A file left in the folder of the cache, or a folder in the place of an entry, is no reason to fail."""
    workspace.project("x", pipeline=PIPELINE)
    cache = workspace.root / ".runs" / ".cache"
    cache.mkdir(parents=True)
    (cache / f".{os.getpid()}.new").write_text("left")
    assert orchestrate_here(workspace.root, environ, *START).code == 0
    for entry in cache.glob("plan-*.json"):
        entry.unlink()
        entry.mkdir()
    for _ in range(2):
        assert orchestrate_here(workspace.root, environ, *START).code == 0


SWAPPER = """
import os, sys, itertools
outside, *targets = sys.argv[1:]
print("ready", flush=True)
for number in itertools.count():
    for target in targets:
        aside = target + ".aside"
        try:
            os.rename(target, aside)
            os.symlink(outside, target)
            os.unlink(target)
            os.rename(aside, target)
        except OSError:
            try:
                if os.path.islink(target):
                    os.unlink(target)
                if os.path.isdir(aside) and not os.path.lexists(target):
                    os.rename(aside, target)
            except OSError:
                pass
"""


@pytest.mark.slow
def test_a_swapping_attacker_finds_no_way_out(
    failed_run: tuple[Path, str], environ: dict[str, str], tmp_path: Path
) -> None:
    """While somebody swaps folders for links to another place and back, no run writes anything in that place."""
    root = tmp_path / "scene"
    shutil.copytree(failed_run[0], root, symlinks=True)
    outside = Outside.made(tmp_path / "outside")
    before = outside.look()
    swapped = [f".runs/{TASK}", f".runs/{TASK}/cli", f".runs/{TASK}/mcp", f".runs/{TASK}/.staging", f"out/{TASK}"]
    swapped += [f".runs/{TASK}/.open", ".runs/local-mcp", ".runs/.cache", "out"]
    targets = [str(root / path) for path in swapped]
    codes: dict[int, int] = {}
    attacker = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SWAPPER, str(outside.folder / "victim"), *targets], stdout=subprocess.PIPE
    )
    try:
        assert attacker.stdout is not None
        attacker.stdout.readline()
        until = time.monotonic() + 8
        while time.monotonic() < until:
            for words in (START, ("resume", failed_run[1]), ("status",)):
                called = orchestrate_here(root, environ, *words)
                assert called.code != 1, called.stderr
                codes[called.code] = codes.get(called.code, 0) + 1
    finally:
        attacker.kill()
        attacker.wait()
    assert outside.look() == before
    assert 8 in codes, f"the attacker never came in between: {codes}"


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o027, 0o077])
def test_the_token_is_private_whatever_the_umask_and_records_follow_it(
    workspace: WorkspaceFolder, environ: dict[str, str], umask: int
) -> None:
    """Token 0600; manifest, events, logs, metrics, state and pointers 0664 less the umask, folders 0775 less it."""
    workspace.project("x", {"test": "exit 1"}, pipeline=PIPELINE)
    before = os.umask(umask)
    try:
        assert orchestrate_here(workspace.root, environ, *START).code == 3
    finally:
        os.umask(before)
    (run,) = workspace.runs(TASK)
    assert stat.S_IMODE((run / ".resume-token").stat().st_mode) == 0o600
    task = workspace.root / ".runs" / TASK
    files = [run / "manifest.json", run / "runner.ndjson", run / "commands" / "01-build.log", task / "metrics.json"]
    files += [run / "errors" / "02-test.json", run / ".heartbeat", workspace.root / "out" / TASK / "state.json"]
    files += [task / "mcp" / run.name / "manifest.json"]
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o664 & ~umask, path
    for path in (run, run / "commands", task, workspace.root / "out" / TASK):
        assert stat.S_IMODE(path.stat().st_mode) == 0o775 & ~umask, path


@pytest.mark.parametrize(("umask", "way"), [("0277", "console"), ("0777", "console"), ("0777", "nox")])
def test_a_umask_takes_nothing_from_the_owner(
    workspace: WorkspaceFolder, environ: dict[str, str], umask: str, way: str
) -> None:
    """A start, and its stages, make what their account can go on with: records, snapshots, and files of a stage."""
    workspace.project("x", {"test": "mkdir made; touch made/by-a-stage"}, pipeline=PIPELINE)
    workspace.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    words = Orchestrator.command(*START) if way == "console" else [sys.executable, "-m", "nox", "-s", f"{PIPELINE}-x"]
    command = ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *words]
    done = subprocess.run(command, cwd=workspace.root, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tops = [workspace.root / name for name in (".runs", "out", "packages/x/made")]
    made = [top for top in tops if top.exists()] + [path for top in tops for path in top.rglob("*")]
    assert len(made) > 20
    for path in made:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert path.is_symlink() or mode & 0o600 == 0o600, path
        assert path.is_symlink() or mode & 0o077 & int(umask, 8) == 0, path


@pytest.mark.parametrize(
    ("folder", "mode", "warned"),
    [
        (".runs", 0o777, True),
        (".runs", 0o1777, False),
        (".", 0o777, True),
        ("out", 0o777, True),
        (".runs", 0o775, False),
    ],
)
def test_a_start_warns_of_folders_that_everybody_may_write_to(
    workspace: WorkspaceFolder, environ: dict[str, str], folder: str, mode: int, warned: bool
) -> None:
    """One line on stderr names the folder, once a start; the sticky bit or a closed invocation make it silent."""
    workspace.project("x", pipeline=PIPELINE)
    place = workspace.root / folder
    place.mkdir(exist_ok=True)
    place.chmod(mode)
    called = orchestrate_here(workspace.root, environ, *START)
    assert called.code == 0
    assert called.stderr.count("everybody may write") == (1 if warned else 0)
    assert not warned or str(place.resolve()) in called.stderr


def test_a_folder_that_is_taken_away_is_a_storage_refusal(tmp_path: Path) -> None:
    """What can't be made because its folder is gone is exit code 8, and no bug; what is only missing is told apart."""
    (tmp_path / "folder").mkdir()
    with Folder.at(str(tmp_path / "folder"), Seam()) as folder:
        with pytest.raises(FileNotFoundError):
            folder.read("missing", 10)
        (tmp_path / "folder").rmdir()
        attempts: list[Callable[[], object]] = [
            lambda: folder.create("a", b""),
            lambda: folder.write("a", b""),
            lambda: folder.append_line("a", b""),
            lambda: folder.touch("a", b""),
            lambda: folder.reserve("a", 1),
            lambda: folder.open_new("a"),
            lambda: folder.link("a", "b"),
            lambda: folder.lock("a", blocking=True),
            lambda: folder.sub("a", create=True),
        ]
        for attempt in attempts:
            with pytest.raises(StorageError) as refused:
                attempt()
            assert refused.value.exit_code == 8
            assert refused.value.code == "enoent"


def test_a_file_that_vanished_is_no_bug(environ: dict[str, str], tmp_path: Path) -> None:
    """A missing file of the records that no command expected to be missing is told as a storage refusal."""
    stderr = io.StringIO()

    def work() -> int:
        with Folder.at(str(tmp_path), Seam()) as folder:
            folder.read("gone", 10)
        return 0

    invocation = Invocation(("status",), io.StringIO(), stderr, lambda: Context(str(tmp_path), environ, stderr, stderr))
    assert guarded(invocation, work) == 8
    assert str(tmp_path / "gone") in stderr.getvalue()
