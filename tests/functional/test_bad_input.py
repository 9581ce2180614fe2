"""Bad input: the right exit code, one clear message, and nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness import Done, Orchestrator, WorkspaceFolder

FIRST = "2026-11-22T10-00-00-001Z-00000001"
SECOND = "2026-11-22T10-00-00-002Z-00000002"
ABSENT = "2026-11-22T10-00-00-003Z-00000003"

HOSTILE_IDS = {
    "a path upwards": "../x",
    "a dot": ".",
    "two dots": "..",
    "an option": "-rf",
    "300 characters": "a" * 300,
    "a newline at the end": "x\n",
    "a right-to-left mark": "x\u202ey",
    "upper case": "X",
    "empty": "",
    "two dots inside": "x..y",
    "an absolute path": "/etc/passwd",
    "a zero-width space": "x\u200b",
    "a full-width letter": "\uff58",
    "a terminal's control sequence": "\x1b[2Jx",
}


@pytest.fixture
def town(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A workspace with the projects x and y."""
    workspace.project("x")
    workspace.project("y")
    return workspace


def content(root: Path) -> dict[str, bytes | None]:
    """Return every path below ``root`` with the bytes of the file, None for what is no file."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in sorted(root.rglob("*"))
    }


def check_message(done: Done, code: int, *words: str) -> None:
    """One refusal on stderr: its exit code, the words that it must have, no traceback, only printable text."""
    assert (done.code, done.stdout) == (code, ""), done.stdout + done.stderr
    assert done.stderr.count("error:") == 1
    assert done.stderr.startswith("codex-orchestrator: error: ")
    assert "Traceback" not in done.stderr
    assert all(line.isprintable() for line in done.stderr.splitlines()), ascii(done.stderr)
    for word in words:
        assert word in done.stderr


def check_refused(
    orchestrate: Orchestrator, folder: Path, words: Sequence[str], code: int, *said: str, cwd: Path | None = None
) -> None:
    """``words`` are refused, as text and as JSON alike, and ``folder`` is as it was."""
    before = content(folder)
    check_message(orchestrate(*words, cwd=cwd), code, *said)
    document = orchestrate(*words, "--format", "json", cwd=cwd)
    assert (document.code, document.stderr) == (code, "")
    assert set(document.document) == {"error"}
    assert set(document.document["error"]) == {"code", "message", "hint"}
    assert content(folder) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("start", "--project", "x", "--bogus"), ("--bogus",)),
        (("start", "--projct", "x"), ("--projct", "did you mean '--project'?")),
        (("strat", "--project", "x"), ("strat", "did you mean 'start'?")),
        (("start", "--project", "xx"), ("'xx'", "did you mean 'x'?")),
        (("start", "--project", "zzzz"), ("'zzzz'", "known: x, y")),
        (("start", "diagnostic", "--project", "x"), ("'diagnostic'", "did you mean 'diagnostics'?")),
        (("start", "--pipeline", "diagnostic", "--project", "x"), ("did you mean 'diagnostics'?",)),
        (("plan", "diagnostic", "--project", "x"), ("did you mean 'diagnostics'?",)),
        (("start", "--project", "x", "--task", "1-y"), ("'1-y'", "project 'y'", "--project y")),
        (("start", "--task", "9-nobody"), ("'9-nobody'",)),
        (("start",), ("which project", "x, y")),
        (("plan",), ("which project", "x, y")),
        (("start", "--project"), ("--project needs a value",)),
        (("start", "--project", "x", "--project", "y"), ("--project is given twice",)),
        (("start", "--project", "x", "--jobs", "0"), ("--jobs",)),
        (("start", "--project", "x", "--mode", "cloud"), ("cloud",)),
        (("start", "--project", "x", "--override", "a=b"), ("--override-reason",)),
        (("start", "--project", "x", "--parent-run", "nonsense"), ("'nonsense'",)),
        (("status", "nonsense"), ("'nonsense'",)),
    ],
)
def test_what_is_unknown_or_undecided_is_refused_with_the_nearest_name(
    words: tuple[str, ...], said: tuple[str, ...], town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Unknown flags and names, a foreign task and an untold project are exit 2, named, and write nothing."""
    check_refused(orchestrate, town.root, words, 2, *said)


@pytest.mark.parametrize("bad", HOSTILE_IDS.values(), ids=HOSTILE_IDS)
@pytest.mark.parametrize(
    "words",
    [
        ("start", "--project={}"),
        ("start", "--project=x", "--task={}"),
        ("start", "--pipeline={}"),
        ("status", "--run={}"),
    ],
)
def test_hostile_ids_are_refused_wherever_they_are_given(
    words: tuple[str, ...], bad: str, town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Ids that name no id are exit 2 with a message that is safe to show, and nothing is written."""
    given = [word.format(bad) for word in words]
    if words[1].startswith("--pipeline"):
        given.append("--project=x")
    before = content(town.root)
    check_message(orchestrate(*given), 2)
    assert content(town.root) == before


def test_a_hostile_stage_or_a_bad_reference_to_a_run_is_refused(
    town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """An unknown stage is exit 2 with the nearest, an absent run 6, an ambiguous prefix 2 with the runs."""
    assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("start", "--project", "y").code == 0
    (first,), (second,) = town.runs("1-x"), town.runs("1-y")
    prefix = first.name[: next(at for at, ch in enumerate(first.name) if ch != second.name[at])]
    before = content(town.root)
    check_message(orchestrate("logs", "latest", "--stage", "tset"), 2, "did you mean 'test'?")
    for bad in HOSTILE_IDS.values():
        check_message(orchestrate("logs", "latest", f"--stage={bad}"), 2)
    for verb in ("status", "resume", "logs"):
        check_message(orchestrate(verb, prefix), 2, first.name, second.name)
        check_message(orchestrate(verb, ABSENT), 6, ABSENT)
    check_message(orchestrate("status", first.name.lower()), 2, f"did you mean '{first.name}'?")
    check_message(orchestrate("start", "--project", "x", "--parent-run", ABSENT), 6, ABSENT)
    assert content(town.root) == before


def test_a_run_that_is_not_there_is_taken_for_no_other_one(town: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Ids of one day look alike: only what differs in a digit or two is advised, else the list; so with the words."""
    assert orchestrate("start", "--project", "x").code == 0
    (run,) = town.runs("1-x")
    typo = run.name[:-1] + ("0" if run.name[-1] != "0" else "1")
    for verb in ("status", "cancel", "resume"):
        check_message(orchestrate(verb, typo), 6, f"did you mean '{run.name}'?")
        check_message(orchestrate(verb, run.name[:11] + "99-99-99-999Z-ffffffff"), 6, "hint: codex-orchestrator runs\n")
        check_message(orchestrate(verb, run.name[:11] + "99"), 6, "hint: codex-orchestrator runs\n")
    check_message(orchestrate("wait", "latset"), 2, "did you mean 'latest'?")
    check_message(orchestrate("compare", "latest", "--with", "last-succes"), 2, "did you mean 'last-success'?")


def test_a_workspace_without_projects_names_the_command_that_brings_one_in(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Whatever is asked first, the hint is the command that brings a codebase in, in words that a shell takes."""
    for words in (("start",), ("start", "--all"), ("plan",), ("start", "--project", "x"), ("spec-guard",)):
        check_message(orchestrate(*words), 2, "hint: codex-orchestrator onboard NAME --path FOLDER\n")
    check_message(orchestrate("status"), 6, "hint: codex-orchestrator start --project NAME\n")


def test_a_file_in_the_place_of_a_folder_is_called_one(town: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A codebase's path that names a file is refused as no folder, and one outside is shown from the root."""
    (town.root / "packages" / "z").write_text("")
    town.config("x", (town.root / "project_configs/x.toml").read_text().replace("packages/x", "packages/z"))
    check_refused(orchestrate, town.root, ("start", "--project", "x"), 2, "is no folder: packages/z")
    check_refused(orchestrate, town.root, ("onboard", "z"), 2, "'packages/z' is no folder")
    check_refused(orchestrate, town.root, ("onboard", "z", "--path", "/none/such"), 2, "no folder '/none/such'")


BROKEN_CONFIGS = {
    "broken": (b"[project\n", "line 1"),
    "empty": (b"", "schema_version"),
    "not text": (b"\xff\xfe\x00", "UTF-8"),
    "huge": (b"# " + b"x" * 20_000_000, "larger than"),
    "nested deeply": (b"a = " + b"[\n" * 20_000 + b"]\n" * 20_000, "z.toml"),
    "nested in one line": (b"a = " + b"[" * 2_000 + b"]" * 2_000, "z.toml"),
    "a long key": (b".".join([b"a"] * 1_500) + b" = 1\n", "z.toml"),
}


@pytest.mark.parametrize(("data", "said"), BROKEN_CONFIGS.values(), ids=BROKEN_CONFIGS)
def test_a_config_that_is_no_config_is_refused_with_its_file(
    data: bytes, said: str, town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Broken, empty, huge and deeply nested TOML is exit 2 with file and place; other projects are not hindered."""
    (town.root / "project_configs" / "z.toml").write_bytes(data)
    check_refused(orchestrate, town.root, ("start", "--project", "z"), 2, "project_configs/z.toml", said)
    assert orchestrate("plan", "--project", "x").code == 0


def test_what_stands_in_the_place_of_a_config_is_no_project(town: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A folder, a pipe or a dangling link named like a config is exit 2 at once, with its file."""
    path = town.root / "project_configs" / "z.toml"
    path.mkdir()
    check_message(orchestrate("start", "--project", "z"), 2, "project_configs/z.toml")
    path.rmdir()
    os.mkfifo(path)
    check_message(orchestrate("start", "--project", "z", timeout=20.0), 2, "project_configs/z.toml")
    path.unlink()
    path.symlink_to("nowhere")
    done = orchestrate("start", "--project", "z")
    check_message(done, 2, "project_configs/z.toml")
    assert "did you mean 'z'" not in done.stderr


GRAPHS = {
    "a cycle": (
        '[[pipelines.p.stages]]\nid = "a"\nrun = "true"\nneeds = ["b"]\n'
        '[[pipelines.p.stages]]\nid = "b"\nrun = "true"\nneeds = ["a"]\n',
        ("pipelines.p", "'a' → 'b' → 'a'"),
    ),
    "a stage that needs itself": (
        '[[pipelines.p.stages]]\nid = "a"\nrun = "true"\nneeds = ["a"]\n',
        ("pipelines.p", "'a'"),
    ),
    "a sub-pipeline that reaches itself": (
        '[[pipelines.p.stages]]\nid = "a"\npipeline = "q"\n[[pipelines.q.stages]]\nid = "b"\npipeline = "p"\n',
        ("reaches itself", "'p'", "'q'"),
    ),
    "an unknown need": ('[[pipelines.p.stages]]\nid = "a"\nrun = "true"\nneeds = ["bb"]\n', ("'bb'",)),
    "two stages of one name": (
        '[[pipelines.p.stages]]\nid = "a"\nrun = "true"\n[[pipelines.p.stages]]\nid = "a"\nrun = "true"\n',
        ("'a'",),
    ),
    "a pipeline without stages": ("[pipelines.p]\n", ("pipelines.p",)),
    "an unknown key": ('[[pipelines.p.stages]]\nid = "a"\nrun = "true"\nretires = 1\n', ("retires", "retries")),
    "a hostile stage id": ('[[pipelines.p.stages]]\nid = "../a"\nrun = "true"\n', ("../a",)),
}


@pytest.mark.parametrize(("text", "said"), GRAPHS.values(), ids=GRAPHS)
def test_a_pipeline_that_can_not_be_run_is_refused_at_load(
    text: str, said: tuple[str, ...], workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Cycles, unknown needs, sub-pipelines in a circle and empty pipelines are exit 2 with file and key."""
    workspace.project("z", {}, pipeline="p", extra=text, guard=None)
    check_refused(orchestrate, workspace.root, ("start", "p", "--project", "z"), 2, "project_configs/z.toml", *said)


def test_every_fault_is_in_one_message(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Three faults in two files that a pipeline reaches are told at once."""
    workspace.project(
        "z", {"build": {"pipeline": "smoke", "project": "other"}}, extra='sett_env = { A = "1" }\nsecret_env = 1\n'
    )
    workspace.project("other", extra="pass_evn = []\n", pipeline="smoke")
    check_refused(
        orchestrate, workspace.root, ("start", "--project", "z"), 2,
        "z.toml: session.sett_env", "z.toml: session.secret_env", "'set_env'",
    )  # fmt: skip


def test_a_command_or_a_folder_that_does_not_exist_fails_its_stage(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The run is recorded as failed (exit 3) and says what is missing; a missing project folder is refused (2)."""
    folder = workspace.project(
        "x", {"build": {"run": "no-such-program --now"}, "lint": {"run": "true", "cwd": "nowhere", "needs": []}}
    )
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 3
    failed = {item["stage"]: item for item in done.document["failed"]}
    assert failed["build"]["exit_code"] == 127
    assert "no-such-program" in failed["build"]["last_lines"][-1]
    assert failed["lint"]["exit_code"] is None
    assert "nowhere" in failed["lint"]["last_lines"][-1]
    assert "Traceback" not in done.stderr
    (run,) = workspace.runs("1-x")
    assert workspace.manifest(run)["status"] == "failed"
    folder.rmdir()
    check_refused(orchestrate, workspace.root, ("start", "--project", "x"), 2, "packages/x")


DAMAGED = {
    "empty": b"",
    "cut off": b'{"version": 2, "run_id": "2026-11',
    "an empty object": b"{}",
    "a list": b"[]",
    "of an unknown version": json.dumps({"version": 99, "run_id": FIRST, "status": "succeeded"}).encode(),
    "without fields": json.dumps({"version": 2, "run_id": FIRST}).encode(),
    "with wrong types": json.dumps({"version": 2, "run_id": FIRST, "status": ["succeeded"], "attempt": "x"}).encode(),
    "nested deeply": b'{"version": 2, "plan": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_named_and_hinders_no_other_run(
    data: bytes, town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """status, resume and logs exit 7 and leave it as it is; a run beside it is published in full."""
    folder = town.root / ".runs" / "1-x" / "cli" / FIRST
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(data)
    for words in (("status", FIRST), ("logs", FIRST), ("resume", FIRST)):
        done = orchestrate(*words)
        check_message(done, 7)
        assert FIRST in done.stderr
    assert orchestrate("status", FIRST, "--format", "json").document["error"]["code"] == "damaged-record"
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 0, done.stderr
    assert (folder / "manifest.json").read_bytes() == data
    assert town.state("1-x")["totals"]["runs"] == 1
    assert town.pointer("1-x", done.document["run_id"])["status"] == "succeeded"


@pytest.mark.parametrize(
    "words", [("start", "--project", "x"), ("status",), ("plan", "--project", "x"), ("logs", "latest")]
)
def test_a_closed_or_broken_stdout_is_no_failure(
    words: tuple[str, ...], town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """With stdout closed, or its reader gone, a command ends with its usual code and without a traceback."""
    assert orchestrate("start", "--project", "x").code == 0
    quoted = " ".join(f"'{word}'" for word in orchestrate.command(*words))
    for line in (f"{quoted} >&-", f"{quoted} | true; exit ${{PIPESTATUS[0]}}", f"{quoted} <&- >&- 2>&-"):
        done = subprocess.run(
            ["bash", "-c", line], cwd=town.root, env=orchestrate.environ, capture_output=True, check=False, timeout=60
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr.decode()
    assert all(town.manifest(run)["status"] == "succeeded" for run in town.runs("1-x"))


def test_a_read_only_workspace_is_a_storage_error(town: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """On a read-only file system start exits 8 and names the place, and plan still works."""
    before = content(town.root)
    if os.geteuid() == 0:
        # Root may write into any folder, but not to a file system that is mounted read-only.
        mount = 'mount --bind "$PWD" "$PWD" && mount -o remount,ro,bind "$PWD" && cd "$PWD" && exec "$@"'
        prefix = ["unshare", "--mount", "sh", "-c", mount, "sh"]
        if subprocess.run([*prefix, "true"], cwd=town.root, capture_output=True, check=False).returncode:
            pytest.skip("root writes anywhere, and nothing can be mounted here")
    else:
        town.root.chmod(0o555)
        prefix = []
    try:
        for words, code in ((("start", "--project", "x"), 8), (("plan", "--project", "x"), 0)):
            command = [*prefix, *orchestrate.command(*words)]
            done = subprocess.run(
                command, cwd=town.root, env=orchestrate.environ, capture_output=True, check=False, text=True
            )
            assert done.returncode == code, done.stderr
            assert done.stderr.count("error:") == (code != 0)
            assert "Traceback" not in done.stderr
            assert code == 0 or str(town.root) in done.stderr
    finally:
        town.root.chmod(0o755)
    assert content(town.root) == before


@pytest.mark.parametrize(
    "place", [".runs", "out", ".runs/1-x", "out/1-x", ".runs/1-x/cli", ".runs/1-x/mcp", ".runs/local-mcp"]
)
@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_stands_in_the_place_of_a_folder_of_records_is_refused_before_anything_runs(
    place: str, kind: str, town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A link or a file in the place of a records' folder is exit 8; nothing runs and nothing is written through it."""
    elsewhere = town.root / "elsewhere"
    elsewhere.mkdir()
    path = town.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        path.symlink_to(elsewhere)
    else:
        path.write_text("mine")
    town.project("x", {"build": "touch ran"})
    check_message(orchestrate("start", "--project", "x"), 8, place)
    assert list(elsewhere.iterdir()) == []
    assert not (town.root / "packages" / "x" / "ran").exists()
    assert town.runs("1-x") == []


@pytest.mark.parametrize("place", ["out/1-x/state.json", ".runs/1-x/metrics.json"])
def test_a_planted_link_for_what_is_written_at_the_end_is_refused_at_the_start(
    place: str, town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A link in the place of state or metrics is exit 8 before the run, for start and for resume."""
    town.project("x", {"build": "touch ran; false"})
    assert orchestrate("start", "--project", "x").code == 3
    (town.root / "packages" / "x" / "ran").unlink()
    (town.root / place).unlink()
    (town.root / place).symlink_to(town.root / "elsewhere")
    for words in (("start", "--project", "x"), ("resume", "latest")):
        check_message(orchestrate(*words), 8, place)
    assert not (town.root / "elsewhere").exists()
    assert not (town.root / "packages" / "x" / "ran").exists()
    (run,) = town.runs("1-x")
    assert town.manifest(run)["attempt"] == 1


@pytest.mark.parametrize(
    "words", [("start", "--project", "x"), ("resume", "latest"), ("status",), ("plan",), ("logs", "latest"), ("start",)]
)
def test_no_workspace_is_reported_and_nothing_is_made(
    words: tuple[str, ...], tmp_path: Path, orchestrate: Orchestrator
) -> None:
    """Outside of every workspace each command exits 2, says so, and makes no folder."""
    empty = tmp_path / "empty"
    empty.mkdir()
    check_message(orchestrate(*words, cwd=empty), 2, "no workspace", "project_configs")
    assert list(empty.iterdir()) == []
    named = orchestrate(*words, cwd=empty, env={"CODEX_ORCHESTRATOR_ROOT": str(empty)})
    check_message(named, 2, str(empty))


def test_broken_records_of_a_task_list_are_reported(town: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A tasks/index.json that can't be read is exit 2 with its name wherever it would decide."""
    town.write("tasks/index.json", "{")
    check_refused(orchestrate, town.root, ("start", "--project", "x", "--task", "5-new"), 2, "tasks/index.json")


def test_a_bare_nox_session_whose_reader_is_gone_ends_as_its_run_did(
    town: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """With nobody left to read, or no room on stdout, nox's exit code is still the run's, without a traceback."""
    town.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    nox = f"'{sys.executable}' -m nox -s diagnostics-x"
    for line in (f"{nox} | true; exit ${{PIPESTATUS[0]}}", f"{nox} > /dev/full"):
        done = subprocess.run(
            ["bash", "-c", line], cwd=town.root, env=orchestrate.environ, capture_output=True, check=False, timeout=60
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr.decode()
    assert [town.manifest(run)["status"] for run in town.runs("1-x")] == ["succeeded", "succeeded"]


def test_what_lies_about_among_the_records_hinders_nobody(town: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Files and links beside tasks' and runs' folders are no tasks and no runs: status and start go on without them."""
    assert orchestrate("start", "--project", "x").code == 0
    runs = town.root / ".runs"
    (runs / "notes.txt").write_text("mine")
    (runs / "2-link").symlink_to(town.root)
    (runs / "1-x" / "cli" / "notes").write_text("mine")
    (runs / "1-x" / "cli" / FIRST).symlink_to(town.root)
    (town.root / "out" / "1-x" / "state.json").write_text("{")
    assert orchestrate("status").code == 0
    check_message(orchestrate("status", ABSENT), 6, ABSENT)
    check_message(orchestrate("status", FIRST), 8, FIRST)
    assert orchestrate("start", "--project", "x").code == 0
    assert town.state("1-x")["totals"]["runs"] == 2
    assert (runs / "notes.txt").read_text() == "mine"


def test_a_pipe_in_an_old_runs_place_hinders_no_new_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that is not fully published and whose manifest is a pipe is warned of, and the next start succeeds."""
    workspace.project("x")
    assert orchestrate("start", "--project", "x").code == 0
    (run,) = workspace.runs("1-x")
    (workspace.root / ".runs" / "1-x" / ".open" / run.name).touch()
    (run / "manifest.json").unlink()
    os.mkfifo(run / "manifest.json")
    done = orchestrate("start", "--project", "x")
    assert done.code == 0, done.stderr
    assert run.name in done.stderr
