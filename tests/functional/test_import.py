"""``import``: runs of another machine's records, as their own chain proves them."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.text import progress_bar
from orchestrator.commands.context import Context
from orchestrator.commands.setup.import_runs import import_runs
from tests.harness import Orchestrator, WorkspaceFolder


@pytest.fixture
def there(workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path) -> Orchestrator:
    """Another machine's workspace with the same project, where a run succeeded and one failed; here is none yet."""
    workspace.project("app", {"one": {"shell": "echo hi; test ! -e bad", "needs": []}}, pipeline="go")
    other = Orchestrator(tmp_path / "other", orchestrate.environ)
    shutil.copytree(workspace.root, other.cwd)
    assert other("start", "go").code == 0
    (other.cwd / "packages/app/bad").touch()
    assert other("start", "go").code == 3
    return other


def ids(orchestrator: Orchestrator) -> list[str]:
    """Return the ids of a workspace's runs, oldest first."""
    return sorted(path.name for path in (orchestrator.cwd / ".runs/1-app/cli").iterdir())


def chain(orchestrator: Orchestrator) -> list[dict[str, Any]]:
    """Return the lines of the task's chain."""
    return [json.loads(line) for line in (orchestrator.cwd / ".runs/1-app/chain.jsonl").read_text().splitlines()]


def left_out(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return run and code of what was left out."""
    return [(one["run_id"], one["code"]) for one in document["left_out"]]


def test_how_far_it_has_come_is_shown(
    there: Orchestrator, orchestrate: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal in lines on stderr; of a document for programs nothing is shown."""
    monkeypatch.setattr(progress_bar, "PATIENCE_SECONDS", -1.0)
    for form in ("json", "text"):
        stderr = io.StringIO()
        import_runs(Context(str(orchestrate.cwd), {}, io.StringIO(), stderr), path=str(there.cwd), format=form)
        assert ("import: runs looked at: 1\n" in stderr.getvalue()) is (form == "text")


def test_runs_of_another_machine_become_history(there: Orchestrator, orchestrate: Orchestrator) -> None:
    """Added by chain lines that hold the original ones; every command takes them, shown with where they come from."""
    passed, failed = ids(there)
    assert orchestrate("start", "go").code == 0
    own = ids(orchestrate)[-1]
    dry = orchestrate("import", str(there.cwd), "--dry-run", "--format", "json")
    assert (dry.code, [run["run_id"] for run in dry.document["imported"]]) == (0, [passed, failed])
    assert ids(orchestrate) == [own]
    done = orchestrate("import", str(there.cwd / ".runs"), "--format", "json")
    assert (done.code, done.document["left_out"]) == (0, [])
    assert {**dry.document, "dry_run": False} == done.document
    lines = chain(orchestrate)
    assert [line.get("kind") for line in lines] == [None, "import", "import"]
    assert [line["lines"][0] for line in lines[1:]] == chain(there)
    for words in (("verify", "--all", "--state"), ("doctor",), ("metrics",), ("sla", "--dry-run")):
        assert orchestrate(*words).code == 0, words
    assert orchestrate("metrics", "--format", "json").document["projects"][0]["runs"] == 3
    rows = orchestrate("runs", "--format", "json").document["runs"]
    assert {row["run_id"]: bool(row["imported_from"]) for row in rows} == {own: False, passed: True, failed: True}
    assert orchestrate("runs").stdout.count("imported: app go") == 2
    shown = orchestrate("status", failed, "--format", "json").document
    assert shown["imported_from"]["host"] == chain(there)[0]["host"]
    assert (shown["status"], shown["failed"][0]["stage"]) == ("failed", "one")
    assert shown["next_command"].startswith("codex-orchestrator start ")
    assert orchestrate("status", "--format", "json").document["run_id"] == own
    assert "hi" in orchestrate("logs", passed).stdout
    refused = orchestrate("resume", failed)
    assert (refused.code, "was imported from" in refused.stderr) == (5, True)
    assert not (orchestrate.cwd / f".runs/1-app/cli/{failed}/.resume-token").exists()
    assert orchestrate("start", "go").code == 0
    assert orchestrate("verify", "--all", "--state").code == 0


def test_an_imported_run_ticks_as_its_own_chain_proves_it(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """An item is ticked with a run of another machine, and the tick holds here, for the guard and without records."""
    workspace.project("app")
    workspace.write("tasks/tasks-1-app.md", "- [ ] **t**: x (needs: diagnostics/test)\n")
    workspace.commit()
    other = Orchestrator(tmp_path / "other", orchestrate.environ)
    shutil.copytree(workspace.root, other.cwd)
    assert other("start").code == 0
    assert orchestrate("import", str(other.cwd)).code == 0
    (run,) = ids(orchestrate)
    ticked = orchestrate("checklist", "tick", "t", "--run", run)
    assert ticked.code == 0, ticked.stderr
    assert orchestrate("verify", "--all", "--docs", "--state").code == 0
    assert orchestrate("spec-guard", "--format", "json").document["findings"] == []
    shutil.rmtree(workspace.root / ".runs")
    assert orchestrate("verify", "--docs").code == 0


def test_twice_is_harmless_and_a_later_attempt_follows(there: Orchestrator, orchestrate: Orchestrator) -> None:
    """The same records again change nothing; a resume there is taken like a new run; imports can be imported on."""
    _, failed = ids(there)
    assert orchestrate("import", str(there.cwd)).code == 0
    before = chain(orchestrate)
    again = orchestrate("import", str(there.cwd), "--format", "json")
    assert (again.code, len(again.document["known"]), again.document["imported"]) == (0, 2, [])
    assert chain(orchestrate) == before
    (there.cwd / "packages/app/bad").unlink()
    assert there("resume", failed).code == 0
    later = orchestrate("import", str(there.cwd), "--format", "json")
    assert (later.code, [run["attempts"] for run in later.document["imported"]]) == (0, [2])
    assert chain(orchestrate)[-1]["lines"] == [chain(there)[-1]]
    assert orchestrate("status", failed, "--format", "json").document["attempt"] == 2
    assert orchestrate("verify", "--all", "--state").code == 0
    third = Orchestrator(there.cwd.parent / "third", orchestrate.environ)
    shutil.copytree(orchestrate.cwd, third.cwd, ignore=shutil.ignore_patterns(".runs", "out"))
    done = third("import", str(orchestrate.cwd), "--format", "json")
    assert done.code == 0
    assert {run["imported_from"]["host"] for run in done.document["imported"]} == {chain(there)[0]["host"]}
    assert third("verify", "--all", "--state").code == 0


def test_an_approval_there_comes_along(there: Orchestrator, orchestrate: Orchestrator) -> None:
    """A decision in that chain counts here, also one that was made after the run was imported."""
    passed, _ = ids(there)
    assert orchestrate("import", str(there.cwd)).code == 0
    review = ("review", passed, "--decision", "approve", "--actor", "ann", "--reason", "read it")
    assert there(*review).code == 0
    done = orchestrate("import", str(there.cwd), "--format", "json")
    assert (done.code, [run["run_id"] for run in done.document["imported"]]) == (0, [passed])
    (entry,) = orchestrate("status", passed, "--format", "json").document["approvals"]
    assert entry["actor"] == "ann"
    assert orchestrate("verify", "--all", "--state").code == 0


def test_two_imports_at_once(there: Orchestrator, orchestrate: Orchestrator) -> None:
    """Each run is taken once."""
    processes = [orchestrate.popen("import", str(there.cwd), "--format", "json") for _ in range(3)]
    found = [json.loads(process.communicate()[0]) for process in processes]
    assert sorted(len(document["imported"]) for document in found) == [0, 0, 2]
    assert len(chain(orchestrate)) == 2
    assert orchestrate("verify", "--all", "--state").code == 0


def test_what_disagrees_is_left_out(there: Orchestrator, orchestrate: Orchestrator) -> None:
    """An altered log, a half-copied folder, a run that goes on here in another way: named, 4, the others are taken."""
    passed, failed = ids(there)
    log = there.cwd / f".runs/1-app/cli/{passed}/commands/01-one.log"
    log.write_text("ho\n")
    done = orchestrate("import", str(there.cwd), "--format", "json")
    assert (done.code, left_out(done.document)) == (4, [(passed, "log-edited")])
    assert ids(orchestrate) == [failed]
    shutil.rmtree(log.parent.parent)
    half = orchestrate("import", str(there.cwd), "--format", "json")
    assert (half.code, left_out(half.document)) == (4, [(passed, "run-missing")])
    copied = Orchestrator(there.cwd.parent / "copied", orchestrate.environ)
    shutil.copytree(there.cwd, copied.cwd, symlinks=True)
    (copied.cwd / "packages/app/bad").unlink()
    assert copied("resume", failed).code == 0  # as on another machine, where both are continued
    forked = there("import", str(copied.cwd), "--format", "json")
    assert (forked.code, left_out(forked.document)[-1]) == (4, (failed, "run-differs"))
    assert orchestrate("verify", "--all").code == 0


def test_a_chain_that_does_not_hold_is_refused_whole(there: Orchestrator, orchestrate: Orchestrator) -> None:
    """An edited or torn chain is 7, and nothing is taken; so is a record of a newer version."""
    path = there.cwd / ".runs/1-app/chain.jsonl"
    data = path.read_text()
    for wrong, code in ((data.replace('"attempt": 1', '"attempt": 2', 1), "chain"), (data[:-20], "chain-torn")):
        path.write_text(wrong)
        refused = orchestrate("import", str(there.cwd), "--format", "json")
        assert (refused.code, code in refused.document["error"]["code"]) == (7, True)
    path.write_text(data)
    manifest = there.cwd / f".runs/1-app/cli/{ids(there)[0]}/manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 2', '"version": 3', 1))
    newer = orchestrate("import", str(there.cwd), "--format", "json")
    assert (newer.code, newer.document["error"]["code"]) == (7, "newer-version")
    assert not (orchestrate.cwd / ".runs/1-app/cli").exists() or ids(orchestrate) == []


def test_folders_that_are_no_other_machines(
    there: Orchestrator, orchestrate: Orchestrator, workspace: WorkspaceFolder, tmp_path: Path
) -> None:
    """The own folder, none, one without records: 2; a task that is another project's here, or of none: 4, named."""
    assert orchestrate("start", "go").code == 0
    for path, code in (
        (".", "own-folder"),
        (".runs", "own-folder"),
        ("nope", "no-records"),
        ("packages", "no-records"),
    ):
        refused = orchestrate("import", path, "--format", "json")
        assert (refused.code, refused.document["error"]["code"]) == (2, code)
    (workspace.root / "project_configs/app.toml").unlink()
    workspace.project("other", task_id="1-app")
    foreign = orchestrate("import", str(there.cwd), "--format", "json")
    assert (foreign.code, {code for _, code in left_out(foreign.document)}) == (4, {"foreign-task"})
    assert "is of project 'other' here" in foreign.stderr


def test_a_link_in_the_records_is_not_followed(there: Orchestrator, orchestrate: Orchestrator, tmp_path: Path) -> None:
    """A link among a run's files is refused as one that was planted, and nothing is left of that run."""
    passed, _ = ids(there)
    secret = tmp_path / "secret"
    secret.write_text("x")
    (there.cwd / f".runs/1-app/cli/{passed}/notes").symlink_to(secret)
    refused = orchestrate("import", str(there.cwd))
    assert refused.code == 8
    assert "x" not in [path.read_text() for path in orchestrate.cwd.rglob(".runs/**/notes")]
    (there.cwd / f".runs/1-app/cli/{passed}/notes").unlink()
    assert orchestrate("import", str(there.cwd)).code == 0
    assert orchestrate("doctor").code == 0


def test_an_imported_fleet(workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path) -> None:
    """It is never ``latest``, and what comes next is a new start of its projects: a resume is refused."""
    workspace.project("app", {"one": {"shell": "exit 3", "needs": []}}, pipeline="go")
    other = Orchestrator(tmp_path / "other", orchestrate.environ)
    shutil.copytree(workspace.root, other.cwd)
    fleet = other("start", "go", "--all", "--format", "json").document
    assert orchestrate("import", str(other.cwd)).code == 0
    latest = orchestrate("status")
    assert latest.code == 6
    assert "imported" in latest.stderr
    again = ["codex-orchestrator", "start", "--pipeline", "go", "--projects", "app"]
    for command in ("status", "wait"):
        found = orchestrate(command, fleet["run_id"], "--format", "json").document
        assert found["next_argv"] == again
        assert found["failed"][0]["next_command"] == " ".join(again)
        assert "resume" not in orchestrate(command, fleet["run_id"]).stdout
    assert orchestrate(*again[1:]).code == 3
