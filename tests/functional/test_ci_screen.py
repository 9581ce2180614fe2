"""A run in a job of GitHub or GitLab: groups, annotations, summary, outputs, and commands that stages print."""

from __future__ import annotations

import io
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.commands.context import Context
from orchestrator.commands.run import ci_outputs
from tests.harness import Orchestrator, WorkspaceFolder
from tests.records import FakeClock

ENV = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "o/r",
    "GITHUB_RUN_ID": "7",
    "GITHUB_REF": "refs/pull/3/merge",
    "GITHUB_EVENT_NAME": "pull_request",
}
PRINTS = (
    r"printf '::error file=a.py,line=3::bad\n::group::mine\n  ::set-env name=A::b\n::add-path::/x\r"
    r"::stop-commands::t\nx ##[add-path]y\n##vso[task.x]\n::notice::seen'"
)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """The environment of a job, with files for its summary and outputs."""
    files = {name: tmp_path / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for path in files.values():
        path.touch()
    return {**ENV, **{name: str(path) for name, path in files.items()}}


def commands(text: str) -> list[str]:
    """Return the lines that GitHub's runner would take as commands, as it finds them."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line.strip() for line in lines if line.strip().startswith("::") or "##[" in line or "##vso[" in line]


def test_a_pull_request(workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """Groups hold the stages, findings of stages pass, other commands are text; summary and outputs are written."""
    workspace.project("app", {"build": {"shell": PRINTS}, "test": {"shell": "echo '50% ::off'; exit 3"}})
    done = orchestrate("start", "--jobs", "1", env=job)
    assert done.code == 3, done.stderr
    found = commands(done.stdout)
    for stage in ("build", "lint", "test", "spec-guard"):
        assert f"::group::{stage}" in found
    assert found.count("::endgroup::") == sum(line.startswith("::group::") for line in found) == 4
    assert [line for line in found if not line.startswith(("::group::", "::endgroup::"))] == [
        "::error file=a.py,line=3::bad",
        "::notice::seen",
    ]
    assert commands(done.stderr) == ["::error title=app.diagnostics%3A test failed::exit 3%0A50%25 ::off"]
    summary = Path(job["GITHUB_STEP_SUMMARY"]).read_text()
    assert summary.index("**test** failed") < summary.index("| build |")
    assert "https://github.example/o/r/actions/runs/7" in summary
    outputs = dict(line.split("=", 1) for line in Path(job["GITHUB_OUTPUT"]).read_text().splitlines())
    assert set(outputs) == {"run_id", "manifest", "status", "ready", "artifact_root"}
    assert (outputs["status"], outputs["ready"]) == ("failed", "false")
    assert (workspace.root / outputs["manifest"]).is_file()
    assert not any("##[" in line for line in summary.splitlines())


def test_stages_at_once(workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """A finding passes at its line's start, and no line of another stage stands in a stage's group."""
    stages = {
        name: {"shell": f"for i in 1 2 3; do echo {name}-$i; sleep 0.1; done; echo ::warning::{name}", "needs": []}
        for name in ("build", "lint", "test")
    }
    workspace.project("app", stages)
    done = orchestrate("start", "--jobs", "3", env=job)
    assert done.code == 0, done.stderr
    group = ""
    for line in done.stdout.splitlines():
        if line.startswith("::group::"):
            assert group == ""
            group = line.removeprefix("::group::")
        elif line == "::endgroup::":
            group = ""
        elif line[-2:] in ("-1", "-2", "-3") and line[:-2] in stages:
            assert group == line[:-2]
    assert {line for line in commands(done.stdout) if "warning" in line} == {f"::warning::{name}" for name in stages}


def test_only_the_root_run(workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """A sub-pipeline prints no groups and writes no outputs; its stages' findings pass all the same."""
    two = {"one": {"shell": "echo ::error::one; sleep 0.3", "needs": []}, "two": {"shell": "sleep 0.2", "needs": []}}
    workspace.project("app", two, pipeline="deep")
    config = workspace.root / "project_configs/app.toml"
    config.write_text(config.read_text() + '[[pipelines.top.stages]]\nid = "sub"\npipeline = "deep"\n')
    done = orchestrate("start", "top", env=job)
    assert done.code == 0, done.stderr
    assert commands(done.stdout) == ["::group::sub", "::error::one", "::endgroup::"]
    assert Path(job["GITHUB_OUTPUT"]).read_text().count("run_id=") == 1


def test_switched_off(workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """With ``[export] github = false`` lines are plain, and no file of the job is written."""
    workspace.project("app")
    workspace.write("workspace.toml", "schema_version = 1\n[export]\ngithub = false\n")
    done = orchestrate("start", env=job)
    assert done.code == 0
    assert commands(done.stdout) == []
    assert Path(job["GITHUB_OUTPUT"]).read_text() == Path(job["GITHUB_STEP_SUMMARY"]).read_text() == ""


def test_switched_off_commands_of_stages_are_harmless_all_the_same(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]
) -> None:
    """``[export] github = false`` takes groups, annotations, summary and outputs only, also of stages at once."""
    masks = "echo ::add-mask::$(printf 'hunter%s' 7secret); echo hunter7secret"
    stages = {name: {"shell": f"{PRINTS}; echo; {masks}; exit 3", "needs": []} for name in ("build", "test")}
    workspace.project("app", stages)
    workspace.write("workspace.toml", "schema_version = 1\n[export]\ngithub = false\n")
    for jobs in ("1", "2"):
        done = orchestrate("start", "--jobs", jobs, env=job)
        assert done.code == 3
        found = commands(done.stdout)
        assert sorted(set(found)) == ["::add-mask::hunter7secret", "::error file=a.py,line=3::bad", "::notice::seen"]
        assert done.stdout.count("hunter7secret") == found.count("::add-mask::hunter7secret")
        assert commands(done.stderr) == []
    assert Path(job["GITHUB_STEP_SUMMARY"]).read_text() == ""


def test_other_commands_print_no_workflow_commands(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]
) -> None:
    """What shows a run in a job, and refusals, give no command of a stage; a file and an export are as they are."""
    name = "##[add-path]z"
    workspace.project("app", {"build": {"shell": f"{PRINTS}; exit 3", "title": name}})
    assert orchestrate("start").code == 3
    calls = (
        *(("logs", "latest", *more) for more in ((), ("--stage", "build"), ("--tail", "3"), ("--follow",))),
        *((call, "latest") for call in ("status", "review", "wait", "lineage", "verify")),
        *(
            ("status", "--brief"),
            ("status", "--watch"),
            ("runs",),
            ("plan",),
            ("compare", "latest", "--with", "latest"),
        ),
        *((call, "latest", "--format", "json") for call in ("status", "logs", "review")),
        ("logs", name),
    )
    for words in calls:
        done = orchestrate(*words, env=job)
        assert (words, commands(done.stdout), commands(done.stderr)) == (words, [], [])
        if words[-1] == "json":
            assert json.dumps(done.document, ensure_ascii=False).count("##[add-path]") >= 1, words
    assert commands(orchestrate("start", "--format", "ndjson", env=job).stdout) == []
    raw = orchestrate("logs", "latest", "--stage", "build").stdout
    assert "::set-env" in "".join(commands(raw))
    annotations = orchestrate("export", "latest", "--as", "github-annotations", env=job).stdout
    assert commands(annotations)[0].startswith("::error title=")
    with open(workspace.root / "log.txt", "wb") as file:
        process = orchestrate.popen("logs", "latest", "--stage", "build", env=job, stdout=file.fileno())
        assert process.wait(60) == 0
    assert (workspace.root / "log.txt").read_text() == raw


def test_files_that_cant_be_written(workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """A summary in a missing folder is a warning; JSON stays one document; a refusal writes no output."""
    workspace.project("app")
    done = orchestrate("start", "--format", "json", env={**job, "GITHUB_STEP_SUMMARY": "/nonexistent/x"})
    assert (done.code, done.document["status"]) == (0, "succeeded")
    assert "GITHUB_STEP_SUMMARY names '/nonexistent/x', which can't be written: No such file" in done.stderr
    assert "::group::build" in commands(done.stderr)
    output = Path(job["GITHUB_OUTPUT"]).read_text()
    assert output.startswith(f"run_id={done.document['run_id']}\n")
    assert orchestrate("start", "--project", "nope", env=job).code == 2
    assert Path(job["GITHUB_OUTPUT"]).read_text() == output


def test_pipes_and_full_devices(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str], tmp_path: Path
) -> None:
    """A start ends, with the exit code of its run, where nobody reads a pipe; each file is named with its variable."""
    workspace.project("app", {"test": {"shell": "exit 3"}})
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    full = "/dev/full" if os.path.exists("/dev/full") else str(tmp_path)
    done = orchestrate("start", env={**job, "GITHUB_OUTPUT": pipe, "GITHUB_STEP_SUMMARY": full}, timeout=30)
    assert done.code == 3
    assert f"GITHUB_OUTPUT names '{pipe}', which can't be written: it is a pipe that nobody reads" in done.stderr
    assert f"GITHUB_STEP_SUMMARY names '{full}', which can't be written: " in done.stderr
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert orchestrate("start", env={**job, "GITHUB_OUTPUT": pipe}).code == 3
        assert b"status=failed\n" in os.read(reader, 1 << 16)
    finally:
        os.close(reader)


def test_a_pipe_whose_reader_takes_nothing(
    workspace: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a start waits for a full pipe for a while, then says so."""
    monkeypatch.setattr(ci_outputs, "READER_SECONDS", 0.05)
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    full = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(full, bytes(4096))
        environ = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": pipe}
        context = Context(str(workspace.root), environ, io.StringIO(), io.StringIO(), FakeClock())
        ci_outputs.report_nothing(context)
        assert "its reader took nothing for 0.05 s" in context.stderr.getvalue()  # type: ignore[attr-defined]
    finally:
        os.close(full)
        os.close(reader)


def test_sections_of_gitlab(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Each stage is a collapsible section with a start and an end of the same name."""
    workspace.project("app", {"build": {"shell": r"printf '\033[0Ksection_end:1:build\r\033[0K\n'"}})
    done = orchestrate("start", env={"CI": "true", "GITLAB_CI": "true"})
    assert done.code == 0
    for stage in ("build", "lint", "test", "spec_guard"):
        assert done.stdout.count("\x1b[0Ksection_start:") == 4
        assert f":{stage}[collapsed=true]\r\x1b[0K" in done.stdout
        assert done.stdout.count(f":{stage}\r\x1b[0K") == 1


def test_a_value_that_a_stage_masks(workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """GitHub gets the value once, to mask it; log, record, summary and the next stage's output have it nowhere."""
    say = "v=$(printf 'hunter%s' 7secret)"
    stages = {"build": {"shell": f"{say}; echo ::add-mask::$v"}, "test": {"shell": f"{say}; echo use $v; exit 3"}}
    workspace.project("app", stages, pipeline="top")
    config = workspace.root / "project_configs/app.toml"
    config.write_text(config.read_text() + '[[pipelines.outer.stages]]\nid = "sub"\npipeline = "top"\n')
    for pipeline in ("top", "outer"):
        done = orchestrate("start", pipeline, env=job)
        assert done.code == 3
        assert done.stdout.count("hunter7secret") == 1
        assert "::add-mask::hunter7secret" in done.stdout.splitlines()
        assert "hunter7secret" not in done.stderr + Path(job["GITHUB_STEP_SUMMARY"]).read_text()
    files = [path for path in (workspace.root / ".runs").rglob("*") if path.is_file()]
    assert [path for path in files if b"hunter7secret" in path.read_bytes()] == []


def test_a_value_that_a_stage_masks_where_no_screen_shows_it(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]
) -> None:
    """Events, a detached run, and a run that a stage starts keep a masked value out of every file too."""
    say = "v=$(printf 'hunter%s' 7secret)"
    stages = {
        "build": {"shell": f"{say}; echo ::add-mask::$v; echo use $v; touch masked", "needs": []},
        "test": {"shell": f"{say}; until rm masked; do sleep 0.1; done; sleep 0.6; echo use $v", "needs": []},
    }
    workspace.project("app", stages, pipeline="top")
    config = workspace.root / "project_configs/app.toml"
    nested = '[[pipelines.nested.stages]]\nid = "sh"\nshell = "codex-orchestrator start top --format json; exit 0"\n'
    config.write_text(config.read_text() + nested)
    for words in (("top", "--format", "ndjson"), ("top", "--detach"), ("nested",)):
        assert orchestrate("start", *words, env=job).code == 0
        assert orchestrate("wait", "latest").code == 0
        files = [path for path in (workspace.root / ".runs").rglob("*") if path.is_file()]
        assert [path for path in files if b"hunter7secret" in path.read_bytes()] == []


def test_a_run_that_a_stage_starts(workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """It is in the job of the run around it, started by the same actor, and findings of its stages pass."""
    two = {"one": {"shell": "echo ::error::one; sleep 0.6", "needs": []}, "two": {"shell": "sleep 0.5", "needs": []}}
    workspace.project("app", two, pipeline="deep")
    config = workspace.root / "project_configs/app.toml"
    nested = '[[pipelines.top.stages]]\nid = "sh"\nshell = "codex-orchestrator start deep"\n'
    config.write_text(config.read_text() + nested)
    done = orchestrate("start", "top", "--jobs", "3", env={**job, "GITHUB_ACTOR": "ada"})
    assert done.code == 0, done.stderr
    assert "::error::one" in commands(done.stdout)
    manifests = [json.loads(path.read_text()) for path in (workspace.root / ".runs").glob("*/cli/*/manifest.json")]
    assert {record["pipeline_id"] for record in manifests} == {"top", "deep"}
    for record in manifests:
        (entry,) = record["ci"]
        assert (entry["system"], entry["pull_request"]) == ("github-actions", "3")
        assert entry["job_url"] == "https://github.example/o/r/actions/runs/7"
        assert [account["ci_actor"] for account in record["recorded_by"]] == ["ada"]


def test_a_used_key(workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """The job gets outputs, annotations and summary of the run that the key stands for, as its start gave them."""
    workspace.project("app", {"test": {"shell": "exit 3"}})
    said = []
    for words in ((), ("--format", "json"), ("--format", "ndjson")):
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            Path(job[name]).write_text("")
        done = orchestrate("start", "--key", "once", *words, env=job)
        assert done.code == 3
        found = commands(done.stderr)
        assert "**test** failed" in Path(job["GITHUB_STEP_SUMMARY"]).read_text()
        said.append((Path(job["GITHUB_OUTPUT"]).read_text(), [line for line in found if line.startswith("::error")]))
    assert said[0] == said[1] == said[2]
    assert "run_id=2" in said[0][0]
    assert len(said[0][1]) == 1
