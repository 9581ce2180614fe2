"""``doctor``: what it finds in a broken workspace, what it mends, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.functional.test_start import processes_with, wait_for
from tests.harness import Orchestrator, WorkspaceFolder, clean_environ

TASK = "1-x"
FLAKY = {"build": "true", "test": "test -e mended"}


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return every file and folder below the two roots, with inode, mode and content."""
    found = {}
    for top in (root / ".runs", root / "out"):
        for path in [top, *top.rglob("*")]:
            entry = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path)] = (entry.st_ino, entry.st_mode, content)
    return found


def codes(document: dict[str, Any]) -> set[str]:
    """Return the codes of what was found."""
    return {finding["code"] for finding in document["findings"]}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, home: Path) -> WorkspaceFolder:
    """A workspace with a run that succeeded, and one that failed and was resumed; to be copied, not used."""
    workspace = WorkspaceFolder(tmp_path_factory.mktemp("template").resolve())
    orchestrate = Orchestrator(workspace.root, clean_environ(home))
    workspace.project("x")
    assert orchestrate("start", "--project", "x").code == 0
    project = workspace.project("x", dict(FLAKY))
    assert orchestrate("start", "--project", "x").code == 3
    (project / "mended").touch()
    assert orchestrate("resume", "latest").code == 0
    return workspace


@pytest.fixture
def runs(workspace: WorkspaceFolder, template: WorkspaceFolder) -> tuple[Path, Path]:
    """Copy the template into ``workspace`` and return the folders of its two runs, the succeeded one first."""
    shutil.copytree(template.root, workspace.root, symlinks=True, dirs_exist_ok=True)
    first, second = workspace.runs(TASK)[-2:]
    return first, second


def test_a_healthy_workspace(workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]) -> None:
    """Exit code 0, nothing found and nothing written, repaired or not, with runs of version 1 among the others."""
    samples = Path(__file__).resolve().parent.parent / "samples" / "version-1"
    for source, target in (("runs", ".runs"), ("out", "out")):
        shutil.copytree(samples / source, workspace.root / target, symlinks=True, dirs_exist_ok=True)
    before = snapshot(workspace.root)
    for arguments in ((), ("--repair",)):
        done = orchestrate("doctor", *arguments, "--format", "json")
        assert (done.code, done.document["findings"]) == (0, []), done.stdout
        assert (done.document["ok"], done.document["repaired"]) == (True, [])
        assert done.document["checked"]["projects"] == 1
        assert done.document["checked"]["runs"] >= 3
    assert snapshot(workspace.root) == before
    assert "nothing is wrong" in orchestrate("doctor").stdout


def test_an_empty_workspace(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Nothing is wrong where nothing is, and no folder is made."""
    done = orchestrate("doctor", "--repair", "--format", "json")
    assert (done.code, done.document["checked"]) == (0, {"projects": 0, "tasks": 0, "runs": 0})
    assert [entry.name for entry in workspace.root.iterdir()] == ["project_configs"]


Breakage = Callable[[WorkspaceFolder, Path, Path], object]


def lines_without(workspace: WorkspaceFolder, keep: Callable[[int], bool]) -> None:
    """Keep only some lines of the metrics."""
    path = workspace.root / ".runs" / TASK / "metrics.json"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for number, line in enumerate(lines) if keep(number)))


def edit_json(path: Path, **keys: object) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def append(path: Path, data: bytes) -> None:
    """Append bytes to a file."""
    with path.open("ab") as file:
        file.write(data)


def old_staging(workspace: WorkspaceFolder) -> None:
    """Leave a claim behind that a process began an hour ago."""
    folder = workspace.root / ".runs" / TASK / ".staging" / "2026-01-01T00-00-00-000Z-00000000"
    folder.mkdir(parents=True)
    (folder / ".lock").touch()
    os.utime(folder, (1, 1))


def task_of(workspace: WorkspaceFolder) -> Path:
    """Return the task's folder."""
    return workspace.root / ".runs" / TASK


def older(workspace: WorkspaceFolder, run: Path) -> Path:
    """Return the older pointer of a run."""
    return workspace.root / ".runs" / "local-mcp" / run.name / "manifest.json"


def relink(path: Path) -> None:
    """Make an older pointer lead elsewhere."""
    path.unlink()
    path.symlink_to("/etc/passwd")


ABSENT = "2026-01-01T00-00-00-000Z-00000000"

MENDED: dict[str, Breakage] = {
    "metrics-missing": lambda w, a, b: lines_without(w, lambda number: number == 0),
    "metrics-missing metrics-torn": lambda w, a, b: os.truncate(
        task_of(w) / "metrics.json", (task_of(w) / "metrics.json").stat().st_size - 9
    ),
    "metrics-torn": lambda w, a, b: append(task_of(w) / "metrics.json", b'{"run_id": "2026'),
    "metrics-unreadable": lambda w, a, b: append(task_of(w) / "metrics.json", b"\0\0\0\n[1]\n"),
    "metrics-repeated": lambda w, a, b: append(
        task_of(w) / "metrics.json", (task_of(w) / "metrics.json").read_bytes().splitlines(keepends=True)[0]
    ),
    "state-missing": lambda w, a, b: (w.root / "out" / TASK / "state.json").unlink(),
    "state-stale": lambda w, a, b: edit_json(w.root / "out" / TASK / "state.json", runs=[]),
    "state-damaged": lambda w, a, b: (w.root / "out" / TASK / "state.json").write_bytes(b"\0" * 80),
    "pointer-missing": lambda w, a, b: shutil.rmtree(task_of(w) / "mcp" / a.name),
    "pointer-stale": lambda w, a, b: edit_json(task_of(w) / "mcp" / b.name / "manifest.json", status="failed"),
    "pointer-damaged": lambda w, a, b: (task_of(w) / "mcp" / b.name / "manifest.json").write_bytes(b""),
    "pointer-dangling": lambda w, a, b: shutil.copytree(task_of(w) / "mcp" / a.name, task_of(w) / "mcp" / ABSENT),
    "older-pointer-missing": lambda w, a, b: older(w, a).unlink(),
    "older-pointer-wrong": lambda w, a, b: relink(older(w, a)),
    "leftover-reserve": lambda w, a, b: (a / ".reserve").write_bytes(bytes(10)),
    "leftover-temp": lambda w, a, b: [
        (folder / name).write_bytes(b"{")
        for folder, name in (
            (a, ".manifest.json.tmp"),
            (task_of(w), ".metrics.json.tmp"),
            (w.root / "out" / TASK, ".state.json.tmp"),
            (task_of(w) / "mcp" / a.name, ".manifest.json.tmp"),
        )
    ],
    "leftover-staging": lambda w, a, b: old_staging(w),
    "stale-marker": lambda w, a, b: (task_of(w) / ".open" / ABSENT).touch(),
    "unpublished": lambda w, a, b: (task_of(w) / ".open" / a.name).touch(),
    "token-mode": lambda w, a, b: (a / ".resume-token").chmod(0o644),
    "torn-events": lambda w, a, b: append(a / "runner.ndjson", b'{"type": "run:'),
    "damaged-manifest": lambda w, a, b: (a / "manifest.json").write_bytes((a / "manifest.json").read_bytes()[:500]),
    "damaged-manifest state-stale": lambda w, a, b: (a / "manifest.json").unlink(),
}


def test_a_folder_that_is_no_run_at_all_is_set_aside(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """An empty folder with a run's name, to which no pointer leads, is mended as a damaged record is."""
    (task_of(workspace) / "cli" / ABSENT).mkdir()
    done = orchestrate("doctor", "--repair", "--format", "json")
    assert [item["code"] for item in done.document["repaired"]] == ["damaged-manifest"]
    assert (task_of(workspace) / ".damaged" / ABSENT).is_dir()
    assert orchestrate("doctor").code == 0


@pytest.mark.parametrize("expected", MENDED)
def test_what_is_found_is_repaired(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path], expected: str
) -> None:
    """Each is found without a write, mended, and then found no more; the second repair writes nothing."""
    first, second = runs
    kept = {line["event_id"]: line for line in workspace.metrics(TASK)}
    state = workspace.state(TASK)
    MENDED[expected](workspace, first, second)
    broken = snapshot(workspace.root)
    found = orchestrate("doctor", "--format", "json")
    assert found.code == 4, found.stdout
    assert set(expected.split()) <= codes(found.document)
    assert all(finding["heals"] for finding in found.document["findings"])
    assert snapshot(workspace.root) == broken
    mended = orchestrate("doctor", "--repair", "--format", "json")
    assert (mended.code, mended.document["findings"]) == (0, []), mended.stdout
    assert mended.document["repaired"]
    whole = snapshot(workspace.root)
    again = orchestrate("doctor", "--repair", "--format", "json")
    assert (again.code, again.document["findings"], again.document["repaired"]) == (0, [], [])
    assert snapshot(workspace.root) == whole
    lines = {line["event_id"]: line for line in workspace.metrics(TASK)}
    assert len(workspace.metrics(TASK)) == len(lines) == 3
    assert {event: told(line) for event, line in lines.items()} == {event: told(line) for event, line in kept.items()}
    if "damaged-manifest" in expected:
        assert workspace.state(TASK)["totals"]["runs"] == 1
        assert (task_of(workspace) / ".damaged" / first.name / "runner.ndjson").exists()
    else:
        assert workspace.state(TASK)["runs"] == state["runs"]
        assert workspace.state(TASK)["totals"] == state["totals"]


def told(line: dict[str, Any]) -> dict[str, Any]:
    """Return a metrics line but for when it was written; times that are worked out again may be 1 ms off."""
    return {key: line[key] for key in line if key not in ("recorded_at", "duration_seconds", "completed_at")}


def test_a_lost_line_is_worked_out_again(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """The line of an attempt that a resume followed has the end and the active time that it had."""
    before = {line["event_id"]: line for line in workspace.metrics(TASK)}
    (task_of(workspace) / "metrics.json").unlink()
    assert orchestrate("doctor", "--repair").code == 0
    for line in workspace.metrics(TASK):
        old = before.pop(line["event_id"])
        assert told(line) == told(old)
        moments = [datetime.fromisoformat(item["completed_at"]) for item in (line, old)]
        assert abs((moments[0] - moments[1]).total_seconds()) < 0.003
        # Active time is told by another clock than start and end.
        assert line["duration_seconds"] == pytest.approx(old["duration_seconds"], abs=0.3)
    assert not before


def test_unreadable_lines_are_set_aside(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """Nothing that stood in the file is lost: what can't be read, and what contradicts, is kept beside it."""
    path = task_of(workspace) / "metrics.json"
    other = {**workspace.metrics(TASK)[0], "status": "failed"}
    append(path, b"noise\n" + json.dumps(other).encode() + b'\n{"torn')
    assert orchestrate("doctor", "--repair").code == 0
    (aside,) = task_of(workspace).glob("metrics.damaged-*.jsonl")
    assert aside.read_bytes().splitlines() == [b"noise", json.dumps(other).encode(), b'{"torn']


def test_a_damaged_run_is_refused_elsewhere_with_the_way_out(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """Exit code 7 with a hint that names the repair, which names where the run is set aside."""
    first, _ = runs
    (first / "manifest.json").write_bytes(b"{")
    refused = orchestrate("status", first.name, "--format", "json")
    assert refused.code == 7
    assert "doctor --repair" in refused.document["error"]["hint"]
    mended = orchestrate("doctor", "--repair")
    assert mended.code == 0
    assert f".runs/{TASK}/.damaged/{first.name}" in mended.stdout
    assert orchestrate("status", first.name).code == 6


@pytest.mark.parametrize("how", ["folder", "all", "record", "log", "chain"])
def test_records_are_compared_with_the_chain(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path], how: str
) -> None:
    """A run or a chain that was removed by hand, and a record that was altered, are faults that no repair hides."""
    first, _ = runs
    if how == "folder":
        shutil.rmtree(first)
    elif how == "all":
        shutil.rmtree(first.parent)
    elif how == "record":
        edit_json(first / "manifest.json", summary="all is well")
    elif how == "chain":
        (task_of(workspace) / "chain.jsonl").unlink()
    else:
        (first / "commands" / "01-build.log").write_text("another")
    orchestrate("doctor", "--repair")
    looked = orchestrate("doctor", "--format", "json")
    expected = {"folder": "run-missing", "all": "run-missing", "chain": "not-in-chain"}.get(how, "record-altered")
    found = [item for item in looked.document["findings"] if item["code"] == expected]
    assert (looked.code, len(found)) == (4, 2 if how in ("all", "chain") else 1)
    assert first.name in " ".join(item["message"] + item["place"] for item in found)


def test_a_task_without_its_chain_can_begin_anew(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """What the hint says to type leads to a workspace in which nothing is wrong, before and after the next run."""
    (runs[0].parent.parent / "chain.jsonl").unlink()
    (hint,) = {item["hint"] for item in orchestrate("doctor", "--format", "json").document["findings"]}
    assert f"mv .runs/{TASK} out/{TASK} ELSEWHERE, then codex-orchestrator doctor --repair" in hint
    for folder in (f".runs/{TASK}", f"out/{TASK}"):
        (workspace.root / folder).rename(workspace.root / f"{folder.partition('/')[0].strip('.')}-aside")
    assert orchestrate("doctor", "--repair").code == 0
    assert orchestrate("start").code == 0
    assert orchestrate("verify", "--all", "--state").code == 0
    assert orchestrate("doctor").code == 0


def test_what_is_not_repaired(workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]) -> None:
    """A newer version, a record in the wrong place, planted links and pipes, and configs stay as they are."""
    first, second = runs
    edit_json(first / "manifest.json", version=3)
    shutil.copytree(task_of(workspace), workspace.root / ".runs" / "2-y")
    (second / "commands" / "99-x.log").symlink_to("/etc/passwd")
    os.mkfifo(second / "errors" / "pipe")
    (workspace.root / "out" / "link").symlink_to("/")
    workspace.config("broken", "schema_version = 1\n[project]\nname = 1\n")
    done = orchestrate("doctor", "--repair", "--format", "json")
    assert done.code == 4
    assert {"unknown-version", "wrong-place", "planted", "config"} <= codes(done.document)
    planted = {item["place"] for item in done.document["findings"] if item["code"] == "planted"}
    assert len(planted) == 3
    assert (first / "manifest.json").exists()
    assert (workspace.root / ".runs" / "2-y" / "cli" / second.name / "manifest.json").exists()
    assert (second / "commands" / "99-x.log").is_symlink()


def out_is_a_file(workspace: WorkspaceFolder) -> None:
    """Put a file in the place of the folder of snapshots."""
    shutil.rmtree(workspace.root / "out")
    (workspace.root / "out").write_text("x")


def state_folder_is_a_file(workspace: WorkspaceFolder) -> None:
    """Put a file in the place of the task's folder of snapshots."""
    shutil.rmtree(workspace.root / "out" / TASK)
    (workspace.root / "out" / TASK).write_text("x")


def metrics_are_a_folder(workspace: WorkspaceFolder) -> None:
    """Put a folder in the place of the task's metrics."""
    (task_of(workspace) / "metrics.json").unlink()
    (task_of(workspace) / "metrics.json").mkdir()


@pytest.mark.parametrize("place", [out_is_a_file, state_folder_is_a_file, metrics_are_a_folder])
def test_what_stands_in_the_way_is_not_called_missing(
    workspace: WorkspaceFolder,
    orchestrate: Orchestrator,
    runs: tuple[Path, Path],
    place: Callable[[WorkspaceFolder], None],
) -> None:
    """A file in a folder's place, or a folder in a file's, is named once, without the advice of a repair."""
    place(workspace)
    for words in ((), ("--repair",)):
        done = orchestrate("doctor", *words, "--format", "json")
        assert (done.code, [item["code"] for item in done.document["findings"]]) == (4, ["planted"]), done.stdout
        assert not any("--repair" in item["hint"] for item in done.document["findings"])


def test_metrics_that_may_not_be_read_are_not_called_missing(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """What the system refuses to read is named with its reason, as `doctor --repair` can't repair it."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (task_of(workspace) / "metrics.json").chmod(0)
    for words in ((), ("--repair",)):
        done = orchestrate("doctor", *words, "--format", "json")
        assert (done.code, [item["code"] for item in done.document["findings"]]) == (4, ["eacces"]), done.stdout


def test_a_token_that_nobody_may_write_is_no_fault(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """In records that were made read-only, a token that only its owner may read is as safe as it was."""
    (runs[0] / ".resume-token").chmod(0o400)
    assert orchestrate("doctor").code == 0


def test_a_world_writable_workspace_is_a_warning(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It is told, and the exit code stays 0."""
    (workspace.project("x") / "main.py").touch()
    workspace.root.chmod(0o777)
    done = orchestrate("doctor", "--format", "json")
    assert (done.code, codes(done.document)) == (0, {"world-writable"})


def test_a_run_that_died_is_closed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Also when nothing marks it as open any more."""
    workspace.project("x", {"build": "sleep 975.1"})
    for forget in (False, True):
        process = orchestrate.popen("start", "--project", "x", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: processes_with(workspace, "975.1"))
        process.kill()
        process.wait()
        wait_for(lambda: not processes_with(workspace, "975.1"))
        run = workspace.runs(TASK)[-1]
        if forget:
            (task_of(workspace) / ".open" / run.name).unlink()
        assert "died" in codes(orchestrate("doctor", "--format", "json").document)
        assert orchestrate("doctor", "--repair", "--format", "json").code == 0
        assert workspace.manifest(run)["status_detail"] == "interrupted"
    assert len(workspace.metrics(TASK)) == 2


def test_a_live_run_is_left_alone(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """Doctor and repair beside it find nothing wrong with it, mend what is beside it, and it ends as if alone."""
    first, _ = runs
    project = workspace.project("x", {"build": "while ! test -e go; do sleep 0.05; done"})
    process = orchestrate.popen("start", "--project", "x", "--format", "json")
    wait_for(lambda: len(workspace.runs(TASK)) == 3)
    live = workspace.runs(TASK)[-1]
    assert orchestrate("doctor").code == 0
    (first / "manifest.json").unlink()
    (live / ".resume-token").chmod(0o640)
    (workspace.root / "out" / TASK / "state.json").write_text("{")
    lines_without(workspace, lambda number: False)
    mended = orchestrate("doctor", "--repair", "--format", "json")
    assert mended.code == 0, mended.stdout
    assert live.exists()
    (project / "go").touch()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr.decode()
    assert orchestrate("doctor", "--repair", "--format", "json").document["repaired"][0]["code"] == "token-mode"
    assert orchestrate("doctor").code == 0
    assert len(workspace.metrics(TASK)) == 3
    assert workspace.state(TASK)["totals"]["runs"] == 2
    assert sorted(path.name[:18] for path in (workspace.root / "out" / TASK).iterdir()) == [
        "state.json",
        "state.json.damaged",
    ]


def test_repairs_beside_many_starts(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: tuple[Path, Path]
) -> None:
    """Two repairs at once, again and again while runs start, die and end: no record is lost, nothing is left wrong."""
    first, _ = runs
    workspace.project("x", {"test": "sleep 0.3"})

    def quietly(*words: str) -> subprocess.Popen[bytes]:
        return orchestrate.popen(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    lines_without(workspace, lambda number: False)
    (workspace.root / "out" / TASK / "state.json").write_text("{")
    processes = [quietly("start", "--project", "x") for _ in range(4)]
    for _ in range(2):
        repairs = [quietly("doctor", "--repair") for _ in range(2)]
        for repair in repairs:
            assert repair.wait(60) in (0, 4)
        processes[0].kill()
    assert [process.wait(60) for process in processes[1:]] == [0, 0, 0]
    processes[0].wait()
    wait_for(lambda: orchestrate("doctor", "--repair").code == 0)
    assert (orchestrate("doctor", "--format", "json").document["findings"]) == []
    ended = {run.name for run in workspace.runs(TASK)}
    assert first.name in ended
    assert len(workspace.metrics(TASK)) == len(ended) + 1
    assert {run["runId"] for run in workspace.state(TASK)["runs"]} == ended
