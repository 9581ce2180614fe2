"""``start`` with a selection: many projects, one run (contract, section 8)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

JSON = ("--format", "json")
ALL = ("start", "smoke", "--all")


def fleet_of(workspace: WorkspaceFolder, *names: str, test: str = "true", build: str = "true") -> None:
    """Make projects whose pipeline ``smoke`` builds and tests."""
    for name in names:
        workspace.project(name, {"build": build, "test": test}, pipeline="smoke")


def add(workspace: WorkspaceFolder, name: str, lines: str) -> None:
    """Put lines below ``[project]`` of a config."""
    path = workspace.root / f"project_configs/{name}.toml"
    path.write_text(path.read_text().replace("[session]", f"{lines}\n[session]", 1))


def entries(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the projects of a fleet's status document by name."""
    return {entry["project"]: entry for entry in document["fleet"]["projects"]}


@pytest.fixture
def mixed(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """Return a workspace with one project of each fate."""
    fleet_of(workspace, "good")
    fleet_of(workspace, "bad", test=f"echo hm; test -e {workspace.root}/repaired", build="echo b >> built")
    fleet_of(workspace, "below")
    add(workspace, "below", 'depends_on = ["bad"]')
    fleet_of(workspace, "sick", "lost")
    workspace.config("sick", "schema_version = [")
    (workspace.root / "packages/lost").rmdir()
    return workspace


def test_a_fleet_is_one_record(mixed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Each project is a child run or an entry that fails by its fault; what needs a failed one is skipped; resume."""
    done = orchestrate(*ALL, "--jobs", "2", *JSON)
    assert done.code == 3, done.stderr
    answer = done.document
    assert (answer["project"], answer["task_id"]) == ("fleet", "fleet")
    assert answer["fleet"]["totals"] == {
        "queued": 0,
        "running": 0,
        "succeeded": 1,
        "failed": 3,
        "cancelled": 0,
        "skipped": 1,
    }
    assert answer["next_argv"] == ["codex-orchestrator", "resume", answer["run_id"]]
    record = mixed.manifest(mixed.runs("fleet")[0])
    assert record["plan"]["kind"] == "fleet"
    assert record["plan"]["selection"]["by"] == {"all": True}
    assert {command["kind"] for command in record["commands"]} == {"subpipeline"}
    assert mixed.metrics("fleet")[0]["kind"] == "fleet"
    shown = orchestrate("status", *JSON).document
    assert shown["run_id"] == answer["run_id"]
    found = entries(shown)
    assert [entry["status"] for entry in shown["fleet"]["projects"]] == ["failed"] * 3 + ["skipped", "succeeded"]
    assert (found["bad"]["failed_stage"], found["bad"]["cause"]) == ("test", "test failed (exit 1)")
    assert found["below"]["cause"] == "needs 'bad', which did not succeed"
    assert (found["sick"]["run_id"], found["sick"]["cause"][:29]) == (None, "project_configs/sick.toml: li")
    assert found["lost"]["cause"].startswith("the folder of project 'lost' does not exist")
    summaries = {command["id"]: command["summary"] for command in record["commands"]}
    assert (summaries["bad"], summaries["good"]) == ("test failed (exit 1)", None)
    child = mixed.manifest(mixed.runs("1-bad")[0])
    assert child["parent_run_id"] == answer["run_id"]
    text = orchestrate("status").stdout
    assert text.index("bad") < text.index("good")
    assert f"resume {answer['run_id']}" in text

    mixed.write("repaired", "")
    fleet_of(mixed, "sick", "lost")
    again = orchestrate("resume", "latest", *JSON)
    assert again.code == 0, again.stderr
    assert again.document["fleet"]["totals"]["succeeded"] == 5
    assert (mixed.root / "packages/bad/built").read_text() == "b\n"
    after = entries(orchestrate("status", *JSON).document)
    assert (after["bad"]["run_id"], after["bad"]["attempt"]) == (found["bad"]["run_id"], 2)
    assert (after["good"]["run_id"], after["good"]["attempt"]) == (found["good"]["run_id"], 1)
    verified = orchestrate("verify", *JSON)
    assert (verified.code, verified.document["findings"]) == (0, [])
    figures = orchestrate("metrics", *JSON).document["projects"]
    assert "fleet" not in {each["project"] for each in figures}
    assert orchestrate("doctor").code == 0


def test_a_config_that_was_cut_off_fails_its_fleet(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A config that is empty, or ends before its pipelines, is an entry that fails with its fault, not one left out."""
    fleet_of(workspace, "good", "half", "void")
    config = workspace.root / "project_configs/half.toml"
    config.write_text(config.read_text().partition("[[pipelines")[0])
    workspace.config("void", "")
    done = orchestrate(*ALL, *JSON)
    assert (done.code, done.document["fleet"]["totals"]["failed"]) == (3, 2)
    found = entries(orchestrate("status", *JSON).document)
    assert (found["void"]["status"], found["half"]["status"], found["good"]["status"]) == (
        *("failed", "failed", "succeeded"),
    )
    assert "schema_version: is missing" in found["void"]["cause"]
    assert "runs nothing yet" in found["half"]["cause"]
    fleet_of(workspace, "half", "void")
    assert orchestrate("resume", "latest").code == 0


def test_what_failed_is_selected_again(mixed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """--failed takes what failed, was skipped or could not start; a project that has succeeded since is left."""
    assert orchestrate(*ALL).code == 3
    planned = orchestrate("plan", "smoke", "--failed", *JSON).document
    assert [one["project"] for one in planned["selection"]["projects"]] == ["bad", "below", "lost", "sick"]
    assert planned["selection"]["projects"][1]["reasons"][0].endswith("needs 'bad', which did not succeed")
    mixed.write("repaired", "")
    fleet_of(mixed, "lost", "sick")
    assert orchestrate("start", "smoke", "--project", "below").code == 0
    assert orchestrate("start", "smoke", "--failed", "--exclude", "sick").code == 0
    left = orchestrate("plan", "smoke", "--failed", *JSON).document
    assert [one["project"] for one in left["selection"]["projects"]] == ["sick"]
    assert orchestrate("start", "smoke", "--failed", "--tag", "x").code == 2
    shown = {entry["project"]: entry for entry in orchestrate("projects", *JSON).document["projects"]}
    assert shown["sick"]["last_run"] is None
    assert (shown["lost"]["last_run"]["status"], shown["lost"]["last_run"]["ready"]) == ("succeeded", True)


def test_jobs_hold_for_the_whole_tree(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """With --jobs 1 one stage runs at a time, nested starts included; --fail-fast starts nothing after a failure."""
    inside = "codex-orchestrator start smoke --project nested"
    alone = 'mkdir "$CODEX_ORCHESTRATOR_ROOT/busy" && sleep 0.2 && rmdir "$CODEX_ORCHESTRATOR_ROOT/busy"'
    fleet_of(workspace, "a", "b", "nested", build=alone, test=alone)
    workspace.project("outer", {"build": inside, "test": alone}, pipeline="smoke")
    done = orchestrate("start", "smoke", "--projects", "a,b,outer", "--jobs", "1", *JSON)
    assert done.code == 0, done.stderr
    fleet_of(workspace, "a", test="exit 1")
    stopped = orchestrate("start", "smoke", "--projects", "a,b,outer", "--jobs", "1", "--fail-fast", *JSON)
    assert stopped.document["fleet"]["totals"] == {
        "queued": 0,
        "running": 0,
        "succeeded": 0,
        "failed": 1,
        "cancelled": 0,
        "skipped": 2,
    }
    cause = entries(orchestrate("status", *JSON).document)["b"]["cause"]
    assert cause == "not started (--fail-fast): 'a' did not succeed"


def running(orchestrate: Orchestrator, count: int) -> dict[str, Any]:
    """Return the status of the newest fleet once so many of its children run."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        shown = orchestrate("status", *JSON)
        if shown.code == 0 and shown.document.get("fleet"):
            alive = [entry for entry in shown.document["fleet"]["projects"] if entry["alive"]]
            if len(alive) >= count:
                document: dict[str, Any] = shown.document
                return document
        time.sleep(0.1)
    raise AssertionError("the fleet's children never ran")


def test_cancel_ends_every_child(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Cancel of a fleet closes it and its children as cancelled; a child cancelled alone fails its entry only."""
    fleet_of(workspace, "a", "b", test="sleep 60")
    fleet_of(workspace, "later")
    add(workspace, "later", 'depends_on = ["a"]')
    process = orchestrate.popen(*ALL, "--jobs", "3", stdout=-3, stderr=-3)
    shown = running(orchestrate, 2)
    assert shown["fleet"]["totals"]["queued"] == 1
    refused = orchestrate("resume", shown["run_id"])
    assert refused.code == 5
    assert orchestrate("cancel", entries(shown)["a"]["run_id"], "--reason", "alone").code == 0
    running(orchestrate, 1)
    assert orchestrate("cancel", shown["run_id"], "--actor", "ada").code == 0
    assert process.wait(30) == 3
    after = orchestrate("status", shown["run_id"], *JSON).document
    found = entries(after)
    assert (after["status"], found["a"]["status"], found["b"]["status"]) == ("cancelled", "cancelled", "cancelled")
    assert "alone" in found["a"]["cause"]
    assert found["later"]["status"] == "skipped"


def test_a_killed_parent_leaves_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Fleet and children are shown as interrupted at once, and closed by the next command on the fleet's task."""
    fleet_of(workspace, "a", "b", test=f"sleep 60; echo > {workspace.root}/survived")
    fleet_of(workspace, "c")
    process = orchestrate.popen(*ALL, "--jobs", "2", stdout=-3, stderr=-3)
    shown = running(orchestrate, 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    until = time.monotonic() + 20
    while orchestrate("status", shown["run_id"], *JSON).document["alive"] and time.monotonic() < until:
        time.sleep(0.05)
    died = orchestrate("status", shown["run_id"], *JSON).document
    assert (died["status"], died["status_detail"]) == ("failed", "interrupted")
    assert died["fleet"]["totals"]["running"] == 0
    assert all(entry["status"] in ("failed", "skipped") for entry in died["fleet"]["projects"])
    open_before = workspace.manifest(workspace.runs("1-a")[0])["status"]
    assert orchestrate("start", "smoke", "--projects", "c").code == 0
    closed = [workspace.manifest(workspace.runs(task)[0]) for task in ("fleet", "1-a", "1-b")]
    assert open_before == "in_progress"
    assert [record["status_detail"] for record in closed] == ["interrupted"] * 3
    fleet_of(workspace, "a", "b")
    refused = orchestrate("resume", shown["run_id"], *JSON)
    assert (refused.code, refused.document["error"]["code"]) == (5, "drifted")
    assert "project 'a': stage 'test'" in refused.document["error"]["message"]
    done = orchestrate("resume", shown["run_id"], "--accept-drift", *JSON)
    assert done.code == 0, done.stderr
    assert entries(orchestrate("status", shown["run_id"], *JSON).document)["a"]["attempt"] == 2
    assert not (workspace.root / "survived").exists()


def test_fresh_makes_new_runs(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """--fresh starts anew what did not succeed, and is refused of a run of one project."""
    fleet_of(workspace, "good")
    fleet_of(workspace, "bad", test=f"test -e {workspace.root}/repaired")
    fleet = orchestrate(*ALL, *JSON).document
    alone = orchestrate("resume", str(workspace.runs("1-bad")[0].name), "--fresh", *JSON)
    assert (alone.code, alone.document["error"]["code"]) == (2, "option-conflict")
    workspace.write("repaired", "")
    assert orchestrate("resume", fleet["run_id"], "--fresh").code == 0
    assert (len(workspace.runs("1-bad")), len(workspace.runs("1-good"))) == (2, 1)
    entry = entries(orchestrate("status", fleet["run_id"], *JSON).document)["bad"]
    assert (entry["run_id"], entry["attempt"]) == (workspace.runs("1-bad")[1].name, 1)


def test_a_key_stands_for_the_options(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The same key and options are the same fleet, whatever they would select now; each child has a key of its own."""
    fleet_of(workspace, "a", "b")
    first = orchestrate(*ALL, "--key", "k", *JSON)
    fleet_of(workspace, "c")
    again = orchestrate(*ALL, "--key", "k", *JSON)
    assert (again.code, again.document["deduplicated"]) == (0, True)
    assert again.document["run_id"] == first.document["run_id"]
    other = orchestrate("start", "smoke", "--projects", "a", "--key", "k", *JSON)
    assert (other.code, other.document["error"]["code"]) == (5, "key-conflict")
    child = orchestrate("start", "smoke", "--project", "a", "--key", "k/a", *JSON)
    assert (child.document["deduplicated"], child.document["run_id"]) == (True, workspace.runs("1-a")[0].name)
    assert len(workspace.runs("fleet")) == 1
    listed = orchestrate("runs", "--project", "fleet", *JSON).document["runs"]
    assert [row["run_id"] for row in listed] == [first.document["run_id"]]
    assert again.document["fleet"] == first.document["fleet"]
    assert "Totals     2 succeeded\n" in orchestrate("wait", first.document["run_id"]).stdout


def test_a_child_may_be_the_run_of_its_key(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A project whose key was used before is that run, in totals and status; where it is gone, nothing is ready."""
    fleet_of(workspace, "a")
    fleet_of(workspace, "b", test="exit 1")
    for name in ("a", "b"):
        orchestrate("start", "smoke", "--project", name, "--key", f"k/{name}")
    fleet = orchestrate(*ALL, "--key", "k", *JSON)
    totals = fleet.document["fleet"]["totals"]
    assert (fleet.code, totals["succeeded"], totals["failed"]) == (3, 1, 1)
    found = entries(orchestrate("status", *JSON).document)
    assert [found[name]["run_id"] for name in ("a", "b")] == [
        workspace.runs(f"1-{name}")[0].name for name in ("a", "b")
    ]
    assert found["b"]["cause"] == "test failed (exit 1)"
    again = orchestrate("plan", "smoke", "--failed", *JSON).document["selection"]["projects"]
    assert [one["project"] for one in again] == ["b"]
    fleet_of(workspace, "b")
    alone = orchestrate("start", "smoke", "--projects", "a", "--key", "k/x", *JSON).document
    assert orchestrate("status", *JSON).document["ready"]["ready"]
    shutil.rmtree(workspace.runs("1-a")[-1])
    gone = orchestrate("status", alone["run_id"], *JSON).document
    assert (gone["ready"]["ready"], gone["fleet"]["totals"]["succeeded"]) == (False, 1)


def test_a_resume_starts_children_as_the_start_asked(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Projects that a resume is the first to start have the fleet's key and options of the queue."""
    repaired, go = workspace.root / "repaired", workspace.root / "go"
    fleet_of(workspace, "a", test=f"test -e {repaired}")
    fleet_of(workspace, "b")
    fleet_of(workspace, "c", build=f"timeout 60 sh -c 'until test -e {go}; do sleep 0.02; done'")
    for name in ("b", "c"):
        add(workspace, name, 'depends_on = ["a"]')
    config = workspace.root / "project_configs/c.toml"
    config.write_text(config.read_text() + "\n[queue]\nrunning = 1\n")
    fleet = orchestrate(*ALL, "--key", "k", "--no-wait", *JSON).document
    assert (fleet["fleet"]["totals"]["failed"], fleet["fleet"]["totals"]["skipped"]) == (1, 2)
    asked = workspace.runs("fleet")[0] / ".child-start"
    assert asked.stat().st_mode & 0o777 == 0o600
    assert ".child-start" not in orchestrate("artifacts", fleet["run_id"]).stdout

    holder = orchestrate("start", "smoke", "--project", "c", "--detach", *JSON).document
    repaired.touch()
    resumed = orchestrate("resume", fleet["run_id"], *JSON)
    go.touch()
    assert orchestrate("wait", holder["run_id"]).code == 0
    shown = entries(orchestrate("status", fleet["run_id"], *JSON).document)
    assert (resumed.code, shown["a"]["attempt"], shown["b"]["status"]) == (3, 2, "succeeded")
    assert (shown["c"]["status"], shown["c"]["run_id"]) == ("failed", None)
    assert holder["run_id"] in shown["c"]["cause"]
    same = orchestrate("start", "smoke", "--project", "b", "--key", "k/b", *JSON).document
    assert (same["deduplicated"], same["run_id"]) == (True, shown["b"]["run_id"])

    text = asked.read_text()
    asked.write_text("{")
    damaged = orchestrate("resume", fleet["run_id"], *JSON)
    assert (damaged.code, damaged.document["error"]["code"]) == (7, "damaged-child-start")
    asked.write_text(text)
    assert orchestrate("resume", fleet["run_id"]).code == 0


def test_a_resume_goes_on_with_what_is_left(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A child that is alive is named; what succeeded, meanwhile too, keeps its plan; one without token starts anew."""
    repaired, go = workspace.root / "repaired", workspace.root / "go"
    fleet_of(workspace, "good")
    fleet_of(workspace, "bad", test=f"test -e {repaired} && until test -e {go}; do sleep 0.05; done")
    fleet = orchestrate(*ALL, *JSON).document["run_id"]
    child = workspace.runs("1-bad")[0].name
    fleet_of(workspace, "good", test="true && true")
    repaired.touch()
    alone = orchestrate.popen("resume", child, stdout=-3, stderr=-3)
    running(orchestrate, 1)
    refused = orchestrate("resume", fleet, *JSON)
    assert (refused.code, refused.document["error"]["code"]) == (5, "alive")
    assert child in refused.document["error"]["message"]
    go.touch()
    assert alone.wait(30) == 0
    done = orchestrate("resume", fleet, *JSON)
    assert (done.code, done.document["fleet"]["totals"]["succeeded"]) == (0, 2), done.stderr
    assert [len(workspace.runs(task)) for task in ("1-bad", "1-good")] == [1, 1]

    repaired.unlink()
    second = orchestrate("start", "smoke", "--projects", "bad", *JSON).document["run_id"]
    (workspace.runs("1-bad")[1] / ".resume-token").unlink()
    repaired.touch()
    assert orchestrate("resume", second).code == 0
    entry = entries(orchestrate("status", second, *JSON).document)["bad"]
    assert (entry["run_id"], entry["attempt"]) == (workspace.runs("1-bad")[2].name, 1)
    assert len(workspace.manifest(workspace.runs("fleet")[1])["child_runs"]) == 2


def test_fresh_children_are_not_those_of_the_key(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A new run for a project that failed is a new one, although the fleet's key stands for the one that failed."""
    fleet_of(workspace, "a", test=f"test -e {workspace.root}/repaired")
    fleet = orchestrate(*ALL, "--key", "k", *JSON).document
    workspace.write("repaired", "")
    assert orchestrate("resume", fleet["run_id"], "--fresh").code == 0
    assert len(workspace.runs("1-a")) == 2


def test_a_decision_is_written_into_each_child(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An approval of a fleet is one of each run that is ready; the others are named, with exit code 4."""
    fleet_of(workspace, "good")
    fleet_of(workspace, "bad", test="exit 1")
    assert orchestrate(*ALL).code == 3
    approved = orchestrate("review", "latest", "--decision", "approve", "--reason", "read", "--actor", "rev", *JSON)
    assert approved.code == 4, approved.stderr
    assert [one["project"] for one in approved.document["recorded"]] == ["good"]
    assert [one["project"] for one in approved.document["left_out"]] == ["bad"]
    assert len(workspace.manifest(workspace.runs("1-good")[0])["approvals"]) == 1
    assert workspace.manifest(workspace.runs("fleet")[0])["approvals"] == []
    commented = orchestrate("review", "latest", "--decision", "comment", "--reason", "hm", "--actor", "rev")
    assert commented.code == 0
    verified = orchestrate("verify", *JSON)
    assert verified.document["findings"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("start", "--all", "--project", "a"), "option-conflict"),
        (("start", "--all", "--task", "1-a"), "option-conflict"),
        (("start", "--fail-fast"), "option-conflict"),
        (("start", "smok", "--all"), "unknown-pipeline"),
        (("start", "--projects", "aa"), "unknown-project"),
        (("plan", "--shards", "2"), "option-conflict"),
        (("plan", "--all", "--explain"), "option-conflict"),
        (("start", "--task", "fleet"), "bad-task-id"),
    ],
)
def test_what_makes_no_sense_is_refused(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...], code: str
) -> None:
    """A selection that contradicts itself is a usage error, and nothing is written."""
    fleet_of(workspace, "a")
    done = orchestrate(*words, *JSON)
    assert (done.code, done.document["error"]["code"]) == (2, code)
    assert not (workspace.root / ".runs").exists()


def test_a_selection_inside_a_stage_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A stage starts one project, no fleet; nothing is written of it."""
    fleet_of(workspace, "a", test="codex-orchestrator start smoke --all --format json; test $? = 2")
    assert orchestrate("start", "smoke", "--project", "a").code == 0
    log = (workspace.runs("1-a")[0] / "commands/02-test.log").read_text()
    assert '"fleet-inside-run"' in log
    assert workspace.runs("fleet") == []


def test_nox_runs_the_same_fleet(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The session ``fleet`` takes a selection behind --, is no default, and other sessions refuse one."""
    fleet_of(workspace, "a", "b")
    workspace.write("noxfile.py", "import orchestrator.nox_session\n\norchestrator.nox_session.register()\n")
    nox = [os.path.join(os.path.dirname(orchestrate.command()[0]), "nox")]

    def called(*words: str) -> tuple[int, str]:
        import subprocess

        done = subprocess.run(
            [*nox, *words],
            cwd=workspace.root,
            env=dict(orchestrate.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = called("-s", "fleet", "--", "smoke", "--all")
    assert (code, "2 succeeded" in said) == (0, True), said
    assert len(workspace.runs("fleet")) == 1
    code, said = called("-s", "fleet")
    assert (code, "-- --all" in said) == (1, True)
    code, said = called("-s", "smoke-a", "--", "--all")
    assert (code, "--all makes no sense" in said) == (1, True)
    code, said = called("--list")
    assert "\n- fleet" in said


def test_github_sees_a_project_as_a_stage(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """Groups, annotations and summary of a fleet; an empty selection writes that there was nothing to run."""
    fleet_of(workspace, "good")
    fleet_of(workspace, "bad", test="exit 7")
    workspace.commit()
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs)}
    done = orchestrate(*ALL, env=env)
    assert "::group::bad" in done.stdout
    assert "::error title=bad.smoke" in done.stdout + done.stderr
    assert "status=failed" in outputs.read_text()
    text = summary.read_text()
    assert text.index("test failed") < text.index("| good |")
    assert "### ✅" not in text
    outputs.unlink()
    nothing = orchestrate("start", "smoke", "--affected", "--base", "HEAD", *JSON, env=env)
    assert (nothing.code, nothing.document["run_id"]) == (0, None)
    assert outputs.read_text() == "run_id=\nstatus=nothing\n"
    attested = orchestrate("export", "latest", "--as", "in-toto")
    assert (attested.code, "is of many projects" in attested.stderr) == (4, True)
    junit = orchestrate("export", "latest", "--as", "junit").stdout
    assert junit.count("<testsuite ") == 3
    trace = json.loads(orchestrate("export", "latest", "--as", "chrome-trace").stdout)
    assert {"bad", "good"} <= {event["name"] for event in trace["traceEvents"]}


def test_a_fleet_ticks_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A fleet under a task with a checklist proves none of its items: the run of a project does."""
    fleet_of(workspace, "a")
    workspace.write("workspace.toml", 'schema_version = 1\n[fleet]\ntask_id = "7-epic"\n')
    page = workspace.write("tasks/tasks-7-epic.md", "# Epic\n\n- [ ] **testing**: all tests pass\n")
    workspace.commit()
    assert orchestrate(*ALL).code == 0
    assert len(workspace.runs("7-epic")) == 1
    refused = orchestrate("checklist", "tick", "testing", "--run", "latest", *JSON)
    assert (refused.code, refused.document["error"]["code"]) == (4, "wrong-project"), refused.document
    assert "- [ ]" in page.read_text()


def test_a_fleet_of_mode_cloud_needs_an_engine(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Without ``[cloud]`` a selection is refused before anything is written, not child by child."""
    fleet_of(workspace, "a", "b")
    done = orchestrate(*ALL, "--mode", "cloud", *JSON)
    assert (done.code, done.document["error"]["code"]) == (2, "no-engine")
    assert not (workspace.root / ".runs").exists()
