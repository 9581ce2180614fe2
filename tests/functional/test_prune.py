"""``prune``: what goes, what is kept and why, and that all that is left goes on as before."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.history import spread, write_history
from orchestrator.store.chain import add_line
from tests.harness import Done, Orchestrator, WorkspaceFolder, clean_environ
from tests.records import make_store

TASK = "1-x"
COUNT = 140
"""Runs a day apart: 100 stay, and of the 40 others the younger ones by the time within which they ended."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, home: Path) -> WorkspaceFolder:
    """A workspace with a history of runs, the last of which was made a day ago; to be copied, not used."""
    workspace = WorkspaceFolder(tmp_path_factory.mktemp("history").resolve())
    (workspace.project("x") / "main.py").touch()
    call = Orchestrator(workspace.root, clean_environ(home))
    assert call("start", "--project", "x").code == 0
    end = datetime.now(UTC) - timedelta(days=1)
    write_history(workspace.root, TASK, spread(COUNT, end, timedelta(days=1)), whole=True)
    for token in workspace.root.glob(".runs/*/cli/*/.resume-token"):
        token.chmod(0o600)
    return workspace


@pytest.fixture
def runs(workspace: WorkspaceFolder, template: WorkspaceFolder) -> list[str]:
    """Copy the history into ``workspace`` and return the ids of its runs, oldest first."""
    shutil.copytree(template.root, workspace.root, symlinks=True, dirs_exist_ok=True)
    return [folder.name for folder in workspace.runs(TASK)]


def pruned(done: Done, key: str = "pruned") -> list[str]:
    """Return the runs of a list of a prune's document."""
    assert done.code == 0, done.stderr
    return [entry["run_id"] for entry in done.document[key]]


def why(done: Done, run_id: str) -> str:
    """Return why a run is kept."""
    return str(next(entry["why"] for entry in done.document["kept"] if entry["run_id"] == run_id))


def chain(workspace: WorkspaceFolder) -> list[dict[str, Any]]:
    """Return the lines of the task's chain."""
    return [json.loads(line) for line in (workspace.root / ".runs" / TASK / "chain.jsonl").read_text().splitlines()]


def sound(orchestrate: Orchestrator) -> None:
    """Assert that neither ``verify`` nor ``doctor`` finds anything."""
    found = orchestrate("verify", "--all", "--state", "--format", "json")
    assert (found.code, found.document["findings"]) == (0, [])
    assert orchestrate("doctor", "--format", "json").document["findings"] == []


def figures(orchestrate: Orchestrator) -> Any:
    """Return what ``metrics`` says of the last year."""
    document = orchestrate("metrics", "--window", "365d", "--format", "json").document
    return [{key: value for key, value in project.items() if key != "duration"} for project in document["projects"]]


def test_old_runs_go_and_all_else_goes_on(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """A look removes nothing; a prune removes what the look named; chain, state and metrics are what they were."""
    state = (workspace.root / "out" / TASK / "state.json").read_bytes()
    before = figures(orchestrate)
    look = orchestrate("prune", "--dry-run", "--keep-within", "99d12h", "--format", "json")
    assert pruned(look) == runs[:40]
    assert [folder.name for folder in workspace.runs(TASK)] == runs
    assert why(look, runs[40]) == "one of the last 100 of x, diagnostics"
    asked = ("prune", "--yes", "--keep-within", "99d12h", "--actor", "ann", "--reason", "space", "--format", "json")
    done = orchestrate(*asked)
    assert {**done.document, "dry_run": True} == look.document
    for above in (f".runs/{TASK}/cli", f".runs/{TASK}/mcp", ".runs/local-mcp"):
        assert sorted(path.name for path in (workspace.root / above).iterdir()) == runs[40:]
    line = chain(workspace)[-1]
    assert (line["kind"], line["level"], line["lost"]) == ("prune", "record", False)
    assert (line["actor"], line["reason"], len(line["runs"])) == ("ann", "space", 40)
    assert line["rules"]["x"]["keep_within"] == 99.5 * 86400
    assert (workspace.root / "out" / TASK / "state.json").read_bytes() == state
    assert figures(orchestrate) == before
    sound(orchestrate)
    assert pruned(orchestrate(*asked)) == []
    for command in ("status", "logs", "resume"):
        refused = orchestrate(command, runs[0], "--format", "json")
        assert (refused.code, refused.document["error"]["code"]) == (6, "pruned")
        assert "by ann: space" in refused.document["error"]["message"]
    assert (workspace.root / ".runs" / ".claims").read_text().split() == runs[40:], "it does not grow without end"
    assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("status", "--format", "json").document["run_id"] == workspace.runs(TASK)[-1].name
    sound(orchestrate)
    assert workspace.state(TASK)["totals"]["runs"] == COUNT + 1


def test_logs_go_and_the_record_stays(workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]) -> None:
    """Of what only the time keeps, the logs go by ``logs_within``; the record is shown, and can't be resumed."""
    workspace.write("workspace.toml", 'schema_version = 1\n[prune]\nkeep_within = "120d12h"\nlogs_within = "1d"\n')
    done = orchestrate("prune", "--yes", "--logs-only", "--format", "json")
    assert (pruned(done), pruned(done, "logs_pruned")) == ([], runs[:40])
    done = orchestrate("prune", "--yes", "--format", "json")
    assert pruned(done) == runs[:20]
    assert pruned(done, "logs_pruned") == []
    left = sorted(path.name for path in (workspace.root / ".runs" / TASK / "cli" / runs[30]).iterdir())
    assert left == [".heartbeat", ".line", ".lock", ".logs-pruned", ".resume-token", "manifest.json"]
    shown = orchestrate("status", runs[30], "--format", "json").document
    assert (shown["pruned"], shown["ready"]["ready"], shown["next_command"]) == ("logs", True, None)
    assert orchestrate("status", runs[130], "--format", "json").document["pruned"] is None
    logs = orchestrate("logs", runs[30], "--format", "json")
    assert (logs.code, logs.document["error"]["code"]) == (6, "pruned")
    again = orchestrate("resume", runs[30], "--format", "json")
    assert (again.code, again.document["error"]["code"]) == (5, "logs-pruned")
    attested = orchestrate("export", runs[30], "--as", "in-toto")
    assert (attested.code, "were pruned" in attested.stderr) == (4, True)
    sound(orchestrate)


def test_a_projects_rules_win_over_the_workspaces(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """The workspace's are for all, a project's config's for its own runs, an option's for this call."""
    workspace.write("workspace.toml", 'schema_version = 1\n[prune]\nkeep_within = "0d"\n')
    assert pruned(orchestrate("prune", "--dry-run", "--format", "json")) == runs[:40]
    workspace.project("x", extra='[prune]\nkeep_last = 130\nkeep_within = "0d"\n')
    assert pruned(orchestrate("prune", "--dry-run", "--format", "json")) == runs[:10]
    wider = orchestrate("prune", "--dry-run", "--keep-last", "120", "--format", "json")
    assert pruned(wider) == runs[:20]


def test_what_something_rests_on_is_kept(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """Evidence, an approval, a key, a run that goes on, and a record that was altered: each with its reason."""
    evidence = workspace.root / "tasks" / "evidence" / TASK / f"{runs[1]}.json"
    evidence.parent.mkdir(parents=True)
    evidence.write_text("{}")
    assert orchestrate("review", runs[2], "--decision", "approve", "--actor", "bob").code == 0
    key = workspace.root / ".runs" / ".keys" / f"{'0' * 64}.json"
    key.parent.mkdir()
    newest = json.loads((workspace.root / ".runs" / TASK / "cli" / runs[-1] / "manifest.json").read_text())
    key.write_text(json.dumps({"task_id": TASK, "run_id": runs[-1]}))
    assert newest["status"] == "succeeded"
    manifest = workspace.root / ".runs" / TASK / "cli" / runs[3] / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"Diagnostics"', '"Other"'))
    (workspace.root / ".runs" / TASK / ".open" / runs[4]).touch()
    (workspace.root / ".runs" / TASK / "cli" / runs[5] / "manifest.json").write_text("{")
    outbox = workspace.root / ".runs" / ".outbox"
    outbox.mkdir(exist_ok=True)
    (outbox / f"{runs[6]}@{TASK}@1@junit").touch()
    look = orchestrate("prune", "--dry-run", "--keep-within", "0d", "--format", "json")
    assert pruned(look) == [runs[0], *runs[7:40]]
    assert "export" in why(look, runs[6])
    assert "evidence" in why(look, runs[1])
    assert "approval by bob" in why(look, runs[2])
    assert "altered" in why(look, runs[3])
    assert "not fully published" in why(look, runs[4])
    assert "can't be read" in why(look, runs[5])
    assert "a key that is not free yet" in why(look, runs[-1])


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's lock, as its process or a resume does."""
    import fcntl

    with (folder / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_run_that_somebody_holds_is_left_alone(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """A run that is being resumed, or looked after by another command, is kept until the next time."""
    with held(workspace.root / ".runs" / TASK / "cli" / runs[7]):
        done = orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json")
        assert pruned(done) == [*runs[:7], *runs[8:40]]
        assert why(done, runs[7]) == "something happened to it meanwhile"
    sound(orchestrate)
    assert pruned(orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json")) == [runs[7]]


def test_nothing_is_followed_out_of_the_records(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str], tmp_path: Path
) -> None:
    """A planted link inside a run goes as a link; one in the place of a folder of ours is refused, nothing written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    run = workspace.root / ".runs" / TASK / "cli" / runs[0]
    (run / "link").symlink_to(outside)
    (run / "commands" / "05-x.log").symlink_to(outside / "file")
    aside = workspace.root / ".runs" / TASK / ".pruned"
    aside.symlink_to(outside)
    refused = orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (8, "planted-link")
    assert len(chain(workspace)) == COUNT
    aside.unlink()
    assert runs[0] in pruned(orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json"))
    assert (outside / "file").read_text() == "precious"
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert not run.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_not_be_written_to_is_kept(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """A read-only run is named with the reason, and one whose logs are read-only goes."""
    cli = workspace.root / ".runs" / TASK / "cli"
    (cli / runs[0]).chmod(0o555)
    (cli / runs[1] / "commands").chmod(0o555)
    done = orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json")
    (cli / runs[0]).chmod(0o755)
    assert pruned(done) == runs[1:40]
    assert "can't be written to" in why(done, runs[0])


def test_bad_input_is_refused_and_nothing_goes(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """Fewer than 100, a span that is none, an unknown task, a bad table, nobody to ask: 2, each with its code."""
    for arguments, code in (
        (("--keep-last", "99", "--yes"), "keep-last"),
        (("--keep-within", "soon", "--yes"), "bad-period"),
        (("--task", "1-y", "--yes"), "unknown-task"),
        (("--project", "y", "--yes"), "unknown-project"),
        ((), "unasked"),
        (("--acknowledge", runs[0], "--logs-only", "--yes", "--reason", "x"), "bad-options"),
    ):
        done = orchestrate("prune", *arguments, "--format", "json")
        assert (done.code, done.document["error"]["code"]) == (2, code), arguments
    for table in ("keep_last = 99", 'keep_last = "100"', "keep_within = 90", 'keep_failed = "x"', "more = 1"):
        workspace.write("workspace.toml", f"schema_version = 1\n[prune]\n{table}\n")
        done = orchestrate("prune", "--yes", "--format", "json")
        assert (done.code, done.document["error"]["code"]) == (2, "config"), table
        assert f"prune.{table.partition(' ')[0]}" in done.document["error"]["message"]
    assert [folder.name for folder in workspace.runs(TASK)] == runs


def test_it_asks_in_a_terminal(workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]) -> None:
    """Only a yes is one; the question says how many and how much."""
    command = orchestrate.command("prune", "--keep-within", "0d")
    for answer, left in ((b"n\n", COUNT), (b"y\n", 100)):
        inner, outer = pty.openpty()
        os.write(inner, answer)
        env = dict(orchestrate.environ)
        asked = subprocess.run(
            command, cwd=workspace.root, env=env, stdin=outer, stderr=outer, stdout=subprocess.PIPE, check=False
        )
        text = os.read(inner, 1 << 16).decode()
        os.close(inner)
        os.close(outer)
        assert "Prune 40 runs" in text
        assert asked.returncode == (0 if left == 100 else 2)
        assert len(workspace.runs(TASK)) == left


def test_a_run_that_was_removed_by_hand_is_acknowledged(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """It is a finding until somebody says why; then it goes on to count, and is always shown as lost."""
    lost, other = runs[-2], runs[-3]
    shutil.rmtree(workspace.root / ".runs" / TASK / "cli" / lost)
    assert {each["code"] for each in orchestrate("verify", "--format", "json").document["findings"]} == {"run-missing"}
    for arguments, code, word in (
        ((lost, "--yes"), 2, "no-reason"),
        ((lost, "--yes", "--reason", " "), 2, "no-reason"),
        ((lost, "--reason", "x"), 2, "unasked"),
        (("latest", "--yes", "--reason", "x"), 2, "bad-run-id"),
        (("2020-01-01T00-00-00-000Z-00000000", "--yes", "--reason", "x"), 6, "not-found"),
        ((other, "--yes", "--reason", "x"), 5, "not-lost"),
    ):
        done = orchestrate("prune", "--acknowledge", *arguments, "--format", "json")
        assert (done.code, done.document["error"]["code"]) == (code, word)
    assert len(chain(workspace)) == COUNT
    said = ("prune", "--acknowledge", lost, "--yes", "--reason", "the disk died", "--format", "json")
    assert orchestrate(*said).document["acknowledged"]["lost"] is True
    sound(orchestrate)
    notes = orchestrate("verify", "--format", "json").document["records"]["notes"]
    assert [(note["code"], "the disk died" in note["message"]) for note in notes] == [("run-lost", True)]
    state = workspace.state(TASK)
    assert state["totals"]["runs"] == COUNT
    assert lost in {entry["runId"] for entry in state["runs"]}
    line = chain(workspace)[-1]
    assert (line["lost"], line["runs"][0]["project"], line["runs"][0]["outcome"]) == (True, "x", "success")
    again = orchestrate(*said)
    assert (again.code, again.document["error"]["code"]) == (6, "pruned")
    assert orchestrate("start", "--project", "x").code == 0


def test_a_clock_that_went_back_is_acknowledged(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """A prune is refused while the chain's last line lies ahead; a run recorded after that is explained by name."""
    ahead = (datetime.now(UTC) + timedelta(days=400)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with make_store(workspace.root).task(TASK) as task:
        add_line(task, {"kind": "later"}, {"recorded_at": ahead})
    refused = orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (5, "clock-went-back")
    assert [folder.name for folder in workspace.runs(TASK)] == runs
    started = orchestrate("start", "--project", "x", "--format", "json").document["run_id"]
    codes = {each["code"] for each in orchestrate("verify", "--format", "json").document["findings"]}
    assert codes == {"clock-went-back"}
    done = orchestrate("prune", "--acknowledge", started, "--reason", "ntp", "--yes", "--format", "json")
    assert done.document["acknowledged"]["lost"] is False
    assert orchestrate("verify").code == 0
    assert len(pruned(orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json"))) == 41


def test_the_doctor_says_when_records_take_much(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """From ``warn_size`` on, of the workspace or of one project, a warning names how to make room."""
    assert orchestrate("doctor", "--format", "json").document["findings"] == []
    workspace.write("workspace.toml", 'schema_version = 1\n[prune]\nwarn_size = "1MiB"\n')
    done = orchestrate("doctor", "--format", "json")
    assert [(each["code"], each["severity"]) for each in done.document["findings"]] == [("records-large", "warning")]
    assert done.code == 0
    assert "prune --dry-run" in done.document["findings"][0]["hint"]
    workspace.write("workspace.toml", "schema_version = 1\n")
    workspace.project("x", extra='[prune]\nwarn_size = "1MiB"\n')
    assert "project 'x'" in orchestrate("doctor", "--format", "json").document["findings"][0]["message"]
    workspace.write("workspace.toml", 'schema_version = 1\n[prune]\nwarn_size = "much"\n')
    assert orchestrate("doctor").code == 4


def test_two_prunes_at_once(workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]) -> None:
    """Both end well, each run goes once, and a start beside them does not notice."""
    both = [orchestrate.popen("prune", "--yes", "--keep-within", "0d", "--format", "json") for _ in range(2)]
    assert orchestrate("start", "--project", "x").code == 0
    gone: list[str] = []
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        gone += [entry["run_id"] for entry in json.loads(out)["pruned"]]
    assert set(gone) >= set(runs[:40])
    assert len(gone) == len(set(gone))
    sound(orchestrate)


def test_a_copy_of_a_pruned_run_goes_again(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[str]
) -> None:
    """A run that came back is a finding, and the next prune removes it without another line."""
    run = workspace.root / ".runs" / TASK / "cli" / runs[0]
    shutil.copytree(run, workspace.root / "copy")
    assert runs[0] in pruned(orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json"))
    shutil.move(workspace.root / "copy", run)
    codes = {each["code"] for each in orchestrate("verify", "--format", "json").document["findings"]}
    assert codes == {"run-came-back"}
    assert pruned(orchestrate("prune", "--yes", "--keep-within", "0d", "--format", "json")) == []
    assert not run.exists()
    assert len(chain(workspace)) == COUNT + 1
    sound(orchestrate)
