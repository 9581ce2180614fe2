"""Stages whose inputs did not change are not run again, and their record says whose success stands for them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.harness import Done, Orchestrator, WorkspaceFolder

COUNT = "echo x >> ../../ran-{name}"
"""What a line only writes to is no input of it."""

BUILD = {"shell": f"{COUNT.format(name='build')}; cat src/* > app", "inputs": ["src/**"], "outputs": ["app"]}
TEST = {"shell": f"{COUNT.format(name='test')}; test -f app", "inputs": ["src/**", "app"]}
LINT = {"shell": COUNT.format(name="lint")}


@pytest.fixture
def scene(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A codebase under git whose build and test declare what they read, and whose lint does not."""
    workspace.project("x", {"build": BUILD, "lint": LINT, "test": TEST})
    workspace.write("packages/x/src/a.txt", "a")
    workspace.write("packages/x/src/c.txt", "c")
    workspace.write(".gitignore", "/.runs/\n/out/\n/ran-*\napp\n*.tmp\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], cwd=workspace.root, check=True)
    return workspace


def ran(scene: WorkspaceFolder) -> dict[str, int]:
    """Return how often each stage has run."""
    names = ("build", "lint", "test")
    files = {name: scene.root / f"ran-{name}" for name in names}
    return {name: len(path.read_text().splitlines()) if path.exists() else 0 for name, path in files.items()}


def commands(document: dict[str, Any]) -> dict[str, Any]:
    """Return the stages of a manifest or a status document, by id."""
    return {command["id"]: command for command in document["commands"]}


def last(scene: WorkspaceFolder) -> dict[str, Any]:
    """Return the manifest of the newest run."""
    return scene.manifest(scene.runs("1-x")[-1])


def start(orchestrate: Orchestrator, *options: str) -> Done:
    """Start the diagnostics; they must succeed."""
    done = orchestrate("start", "--project", "x", *options)
    assert done.code == 0, done.stderr + done.stdout
    return done


def test_an_unchanged_stage_is_skipped_and_cites_the_run_that_shows_it(
    scene: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The second run skips what declares unchanged inputs, says so in manifest, status and text, and verifies."""
    start(orchestrate)
    first = last(scene)
    done = start(orchestrate)
    assert ran(scene) == {"build": 1, "lint": 2, "test": 1}
    assert f"build skipped: unchanged since run {first['run_id']}" in done.stdout
    found = commands(last(scene))
    for stage in ("build", "test"):
        assert (found[stage]["status"], found[stage]["outcome"], found[stage]["attempts"]) == ("skipped", "skip", [])
        assert found[stage]["reused"]["run_id"] == first["run_id"]
        assert found[stage]["reused"]["cache_key"] == commands(first)[stage]["cache_key"]
    assert found["lint"]["reused"] is None
    status = orchestrate("status", "--format", "json").document
    assert commands(status)["build"]["reused"]["run_id"] == first["run_id"]
    assert status["ready"]["ready"]
    assert "unchanged" in orchestrate("status").stdout
    assert scene.metrics("1-x")[-1]["commands_passed"] == 2
    assert orchestrate("verify", "--all").code == 0


def test_a_third_run_cites_the_run_that_really_ran(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that only cites is itself no evidence: the next one cites the first."""
    start(orchestrate)
    first = last(scene)["run_id"]
    start(orchestrate)
    start(orchestrate)
    assert commands(last(scene))["build"]["reused"]["run_id"] == first


CHANGES: dict[str, Callable[[WorkspaceFolder], object]] = {
    "edited": lambda scene: scene.write("packages/x/src/a.txt", "b"),
    "deleted": lambda scene: (scene.root / "packages/x/src/a.txt").unlink(),
    "renamed": lambda scene: (scene.root / "packages/x/src/a.txt").rename(scene.root / "packages/x/src/b.txt"),
    "added": lambda scene: scene.write("packages/x/src/b.txt", ""),
    "outputs removed": lambda scene: (scene.root / "packages/x/app").unlink(),
    "outputs edited": lambda scene: scene.write("packages/x/app", "other"),
    "variable": lambda scene: scene.project("x", {"build": {**BUILD, "env": {"A": "1"}}, "lint": LINT, "test": TEST}),
    "command": lambda scene: scene.project(
        "x", {"build": {**BUILD, "shell": f"{BUILD['shell']}; true"}, "lint": LINT, "test": TEST}
    ),
    "evidence removed": lambda scene: shutil.rmtree(scene.runs("1-x")[0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_stage_runs_again(scene: WorkspaceFolder, orchestrate: Orchestrator, change: str) -> None:
    """Whatever a success rested on, its change has the stage run again."""
    start(orchestrate)
    CHANGES[change](scene)
    start(orchestrate)
    assert ran(scene)["build"] == 2


def test_what_git_ignores_is_no_input(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An ignored file that a wildcard would match changes nothing; a variable of the caller's does."""
    start(orchestrate)
    scene.write("packages/x/src/note.tmp", "1")
    start(orchestrate)
    assert ran(scene)["build"] == 1
    assert orchestrate("start", "--project", "x", env={"LANG": "C.UTF-8", "TZ": "Asia/Tokyo"}).code == 0
    assert ran(scene)["build"] == 2


def test_a_failed_run_keeps_nothing(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """After a run that failed in one stage, a new run runs all of them; a resume keeps what had succeeded."""
    scene.write("packages/x/bad", "")
    scene.project("x", {"build": BUILD, "lint": {"shell": "test ! -f bad"}, "test": TEST})
    assert orchestrate("start", "--project", "x").code == 3
    assert orchestrate("start", "--project", "x").code == 3
    assert ran(scene)["build"] == 2
    (scene.root / "packages/x/bad").unlink()
    assert orchestrate("resume", "latest").code == 0
    assert ran(scene)["build"] == 2
    start(orchestrate)
    assert ran(scene)["build"] == 3  # the resumed attempt did not run it, so it is no evidence of it


def test_no_cache_runs_everything(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``--no-cache`` runs what is unchanged, and what it does then may be cited."""
    start(orchestrate)
    start(orchestrate, "--no-cache")
    assert ran(scene) == {"build": 2, "lint": 2, "test": 2}
    fresh = last(scene)["run_id"]
    start(orchestrate)
    assert commands(last(scene))["build"]["reused"]["run_id"] == fresh


def test_a_guardrail_is_reused_only_where_the_config_says_so(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An unchanged guardrail runs by default; with ``guardrails.reuse`` its verdict cites the run it rests on."""
    guard = {"run": "test -d .", "inputs": ["src/**"], "guardrail": True}
    lint = {**LINT, "inputs": ["src/**"]}
    stages: dict[str, Mapping[str, object]] = {"build": BUILD, "lint": lint, "test": TEST, "license": guard}
    required = '[guardrails]\nrequired = ["spec-guard", "license"]\n'
    scene.project("x", stages, extra=required)
    start(orchestrate)
    start(orchestrate)
    assert commands(last(scene))["license"]["status"] == "succeeded"
    scene.project("x", stages, extra=f"{required}reuse = true")
    start(orchestrate)
    shown_by = last(scene)["run_id"]
    start(orchestrate)
    manifest = last(scene)
    skipped = [command["id"] for command in manifest["commands"] if command["status"] == "skipped"]
    assert skipped == ["build", "lint", "test", "license"]
    assert (manifest["status"], manifest["outcome"]) == ("succeeded", "success")
    (_, verdict) = manifest["guardrails"]
    assert (verdict["id"], verdict["outcome"]) == ("license", "passed")
    assert shown_by in verdict["reason"]
    line = scene.metrics("1-x")[-1]
    assert line["guardrails_executed"]
    assert line["commands_passed"] == 1, "the built-in guard is never cached"


def test_a_run_of_nothing_leaves_the_same_record(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Where every stage is spared, there are events, state, pointer and chain as of any run, and nothing is left."""
    scene.project(
        "x",
        {"build": BUILD, "lint": {"skip": "none"}, "test": TEST, "spec-guard": {"run": "test -d .", "inputs": ["src"]}},
        extra="[guardrails]\nreuse = true",
    )
    start(orchestrate)
    start(orchestrate, "--format", "json")
    run = scene.runs("1-x")[-1]
    events = [json.loads(line)["type"] for line in (run / "runner.ndjson").read_text().splitlines()]
    assert events == ["run:start", *["stage:skip"] * 4, "run:end"]
    assert scene.state("1-x")["totals"]["succeeded"] == 2
    assert scene.pointer("1-x", run.name)["status"] == "succeeded"
    assert last(scene)["provenance"][0]["commit"]
    assert list((run / "commands").iterdir()) == []
    assert orchestrate("verify", "--all", "--state").code == 0
    assert orchestrate("doctor").code == 0


def test_a_bare_nox_session_reuses_too(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``nox -s`` skips what is unchanged as ``start`` does."""
    scene.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    start(orchestrate)
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "nox", "-s", "diagnostics-x"],
        cwd=scene.root,
        env=dict(orchestrate.environ),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ran(scene)["build"] == 1


def test_two_runs_at_once_cite_what_is_there(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Runs beside each other end well, and the evidence that is kept is a whole one."""
    running = [orchestrate.popen("start", "--project", "x", "--no-cache") for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    for process in running:
        process.communicate()
    before = ran(scene)["build"]
    done = start(orchestrate, "--format", "json")
    assert done.document["status"] == "succeeded"
    if ran(scene)["build"] == before:
        assert commands(last(scene))["build"]["reused"]["run_id"] in {run.name for run in scene.runs("1-x")[:3]}
    assert orchestrate("verify", "--all").code == 0


def test_evidence_that_is_gone_or_false_is_found(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``verify`` names a stage whose cited run is not there any more."""
    start(orchestrate)
    start(orchestrate)
    shutil.rmtree(scene.runs("1-x")[0])
    done = orchestrate("verify", scene.runs("1-x")[-1].name, "--format", "json")
    assert done.code == 4
    assert "reuse-unproven" in {finding["code"] for finding in done.document["findings"]}


def test_a_plan_explains_and_writes_nothing(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``plan --explain`` says of each stage whether it would run, and why, and leaves no file behind."""
    told = orchestrate("plan", "--project", "x", "--explain", "--format", "json").document
    assert {stage["id"]: stage["explain"]["would"] for stage in told["stages"]} == dict.fromkeys(
        ("build", "lint", "test", "spec-guard"), "run"
    )
    assert not (scene.root / ".runs").exists()
    start(orchestrate)
    scene.write("packages/x/src/a.txt", "b")
    told = orchestrate("plan", "--project", "x", "--explain", "--format", "json").document
    explained = {stage["id"]: stage["explain"] for stage in told["stages"]}
    assert explained["build"]["reasons"] == ["inputs changed: src/a.txt"]
    assert explained["lint"]["reasons"] == ["it declares no inputs"]
    assert "would run: inputs changed: src/a.txt" in orchestrate("plan", "--project", "x", "--explain").stdout


def test_a_stage_that_prints_a_changing_file_says_why_it_is_not_kept(
    scene: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A report that the command names and writes is told by ``plan --explain``, so that it can be declared."""
    build = {"shell": "date +%N | tee report.xml", "inputs": ["src/**"]}
    scene.write("packages/x/report.xml", "")
    scene.project("x", {"build": build, "lint": LINT, "test": "true"})
    start(orchestrate)
    assert "report.xml" in orchestrate("plan", "--project", "x", "--explain").stdout
    scene.project("x", {"build": {**build, "outputs": ["report.xml"]}, "lint": LINT, "test": "true"})
    start(orchestrate)
    start(orchestrate)
    assert commands(last(scene))["build"]["reused"] is not None


def test_wrong_globs_are_refused_with_their_place(scene: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A glob that is none is a fault of the config, named with its key."""
    scene.project("x", {"build": {**BUILD, "inputs": ["src/[z-a]", ""]}, "lint": LINT, "test": "true"})
    done = orchestrate("start", "--project", "x")
    assert done.code == 2
    assert "stages[build].inputs" in done.stderr
    assert not (scene.root / ".runs").exists()
