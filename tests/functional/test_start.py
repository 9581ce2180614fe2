"""``start``: what runs, and the record that it leaves."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import manifest_digest
from tests.harness import Done, Orchestrator, WorkspaceFolder

TASK = "1-x"


def run_of(done: Done, workspace: WorkspaceFolder) -> dict[str, Any]:
    """Return the manifest of the run that a ``start --format json`` answered with, after the full check."""
    assert done.document is not None, done.stderr
    path = workspace.root / done.document["manifest"]
    document: dict[str, Any] = json.loads(path.read_text())
    load(document, str(path)).check()
    return document


def stage(document: dict[str, Any], stage_id: str) -> dict[str, Any]:
    """Return a stage's entry of a manifest."""
    found: dict[str, Any] = next(item for item in document["commands"] if item["id"] == stage_id)
    return found


def test_a_run_leaves_every_file_of_the_contract(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Manifest, events, logs, heartbeat, token, both pointers, metrics line and state agree with each other."""
    workspace.project("x", {"build": "echo built"})
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    run_id = manifest["run_id"]
    folder = workspace.root / ".runs" / TASK / "cli" / run_id
    assert manifest["status"] == "succeeded"
    assert (folder / "commands" / "01-build.log").read_text() == "built\n"
    assert stat.S_IMODE((folder / ".resume-token").stat().st_mode) == 0o600
    token = (folder / ".resume-token").read_text().strip()
    assert manifest["resume_token"] == hashlib.sha256(token.encode()).hexdigest()
    assert (folder / ".heartbeat").exists()
    events = [json.loads(line) for line in (folder / "runner.ndjson").read_text().splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["type"], events[-1]["type"]) == ("run:start", "run:end")
    pointer = workspace.pointer(TASK, run_id)
    assert pointer["redirect_to"] == f".runs/{TASK}/cli/{run_id}"
    assert (pointer["status"], pointer["completed_at"]) == ("succeeded", manifest["completed_at"])
    older = workspace.root / ".runs" / "local-mcp" / run_id / "manifest.json"
    assert os.readlink(older) == f"../../{TASK}/cli/{run_id}/manifest.json"
    (line,) = workspace.metrics(TASK)
    assert (line["run_id"], line["status"], line["commands_passed"]) == (run_id, "succeeded", 4)
    assert line["guardrails_present"] is True
    assert line["duration_seconds"] == manifest["sla"]["active_seconds"] > 0
    (entry,) = workspace.state(TASK)["runs"]
    assert entry["manifestDigest"] == manifest_digest(manifest)
    assert workspace.state(TASK)["totals"] == {"runs": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert not list((workspace.root / ".runs" / TASK / ".open").iterdir())


def test_three_entry_points_leave_the_same_record(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``codex-orchestrator``, ``invoke`` and a bare ``nox -s`` differ in nothing that a reviewer reads."""
    workspace.project("x", guard=None)
    workspace.write("tasks.py", "from orchestrator.cli import namespace  # noqa: F401\n")
    workspace.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    import subprocess
    import sys

    below = workspace.root / "packages" / "x"
    assert orchestrate("start", "diagnostics", "--project", "x", cwd=below).code == 0
    for command, folder in (
        ([sys.executable, "-m", "invoke", "start", "--project", "x"], below),
        ([sys.executable, "-m", "nox", "-s", "diagnostics-x"], workspace.root),
    ):
        finished = subprocess.run(command, cwd=folder, env=dict(orchestrate.environ), capture_output=True, check=False)
        assert finished.returncode == 0, finished.stderr.decode()
    manifests = [workspace.manifest(run) for run in workspace.runs(TASK)]
    assert len(manifests) == 3
    told = {
        "plan",
        "project",
        "pipeline_id",
        "task_id",
        "status",
        "outcome",
        "session",
        "guardrails",
        "lineage",
        "mode",
    }
    without_ids = [{key: _without_ids(item[key]) for key in told} for item in manifests]
    assert without_ids[0] == without_ids[1] == without_ids[2]
    assert len(workspace.metrics(TASK)) == 3


def _without_ids(value: Any) -> Any:
    """Leave out the root run's id, and the trace that follows from it."""
    ids = ("rootRunId", "trace_id")
    return {key: item for key, item in value.items() if key not in ids} if isinstance(value, dict) else value


def test_a_failed_stage_skips_what_needs_it_and_nothing_else(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Exit code 3; dependents are skipped with the reason, the rest runs, the digest names the stage."""
    workspace.project(
        "x",
        {
            "lint": "echo 'bad line' >&2; exit 7",
            "after-lint": {"shell": "true", "needs": ["lint"]},
            "after-that": {"shell": "true", "needs": ["after-lint"]},
            "free": {"shell": "true", "needs": []},
        },
    )
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 3
    manifest = run_of(done, workspace)
    status = {item["id"]: item["status"] for item in manifest["commands"]}
    assert status["lint"] == "failed"
    assert status["after-lint"] == status["after-that"] == "skipped"
    assert status["test"] == status["free"] == "succeeded"
    assert "'lint'" in stage(manifest, "after-lint")["summary"]
    (failed,) = done.document["failed"]
    assert (failed["stage"], failed["outcome"], failed["exit_code"]) == ("lint", "failure", 7)
    assert failed["last_lines"] == ["bad line"]
    assert manifest["run_id"] in failed["next_command"]
    error = json.loads((workspace.root / stage(manifest, "lint")["error_file"]).read_text())
    assert (error["exit_code"], error["last_lines"]) == (7, ["bad line"])
    text = orchestrate("start", "--project", "x")
    assert text.code == 3
    for part in ("lint", "bad line", "02-lint.log", "codex-orchestrator"):
        assert part in text.stdout


def test_an_allowed_failure_does_not_fail_the_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Status skipped, outcome failure, what needs it runs, and the run succeeds."""
    workspace.project("x", {"extra": {"shell": "exit 1", "allow_failure": True}, "last": {"shell": "true"}})
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 0, done.stderr
    extra = stage(run_of(done, workspace), "extra")
    assert (extra["status"], extra["outcome"]) == ("skipped", "failure")


def test_every_attempt_of_a_retried_stage_is_kept(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A stage that fails once and then passes has two attempts with a log each, and the run succeeds."""
    workspace.project("x", {"test": {"shell": "echo try; test -e seen || { touch seen; exit 4; }", "retries": 2}})
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 0, done.stderr
    attempts = stage(run_of(done, workspace), "test")["attempts"]
    assert [attempt["exit_code"] for attempt in attempts] == [4, 0]
    assert [Path(attempt["log_path"]).name for attempt in attempts] == ["03-test.log", "03-test.2.log"]


def test_a_timeout_ends_the_stage_and_all_that_it_started(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Outcome timeout, exit code 3, and neither the stage nor its background process is left."""
    workspace.project("x", {"test": {"shell": "sleep 987.125 & sleep 987.125", "timeout": "1s"}})
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 3
    test = stage(run_of(done, workspace), "test")
    assert (test["status"], test["outcome"], test["signal"]) == ("failed", "timeout", "SIGTERM")
    assert not processes_with(workspace, "987.125")


def test_a_signal_is_recorded_as_a_signal(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A stage that was killed has a signal and no exit code, and has failed."""
    workspace.project("x", {"test": "kill -KILL $$"})
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 3
    test = stage(run_of(done, workspace), "test")
    assert (test["status"], test["outcome"], test["signal"], test["exit_code"]) == (
        "failed",
        "failure",
        "SIGKILL",
        None,
    )


def test_a_daemon_is_gone_when_its_stage_ends(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A process that left its session and keeps the output open is swept, and the manifest says so."""
    workspace.project("x", {"build": "setsid sleep 986.25 & echo started"})
    began = time.monotonic()
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 0, done.stderr
    assert time.monotonic() - began < 20
    assert stage(run_of(done, workspace), "build")["attempts"][0]["swept"] >= 1
    assert not processes_with(workspace, "986.25")


def test_stages_that_do_not_need_each_other_run_at_the_same_time(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Two stages that wait for each other's file both pass with two jobs, and can't with one."""
    wait = "touch {mine}; i=0; while ! test -e {other}; do i=$((i+1)); test $i -lt 40 || exit 1; sleep 0.05; done"
    stages = {"lint": wait.format(mine="a", other="b"), "test": wait.format(mine="b", other="a")}
    folder = workspace.project("x", stages)
    assert orchestrate("start", "--project", "x", "--jobs", "3").code == 0
    (folder / "a").unlink()
    (folder / "b").unlink()
    assert orchestrate("start", "--project", "x", "--jobs", "1").code == 3


def test_a_command_that_is_not_there_fails_its_stage(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Exit code 127 in the record and 3 from the program, with the command's name in the summary."""
    workspace.project("x", {"lint": {"run": "no-such-command-here --flag"}})
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 3
    lint = stage(run_of(done, workspace), "lint")
    assert (lint["status"], lint["exit_code"]) == ("failed", 127)
    assert "no-such-command-here" in lint["summary"]


def test_a_stage_whose_folder_is_missing_fails(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The record names the folder that does not exist."""
    workspace.project("x", {"lint": {"shell": "true", "cwd": "not/here"}})
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 3
    assert "not/here" in stage(run_of(done, workspace), "lint")["summary"]


def test_a_stage_sees_the_allow_list_and_the_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Of the user's variables only those of the list and the config pass; the run's own are all there."""
    workspace.project("x", {"build": "env"}, extra='pass_env = ["EXTRA_*"]\nset_env = { FIXED = "1" }\n')
    shell = {
        "EXTRA_ONE": "yes",
        "UNLISTED": "no",
        "NOXSESSION": "other",
        "MCP_RUNNER_TASK_ID": TASK,
        "PYTHONPATH": orchestrate.environ.get("PYTHONPATH", ""),
    }
    done = orchestrate("start", "--project", "x", "--format", "json", env=shell)
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    log = (workspace.root / stage(manifest, "build")["log_path"]).read_text()
    seen = dict(line.partition("=")[::2] for line in log.splitlines())
    assert seen["EXTRA_ONE"] == "yes"
    assert seen["FIXED"] == "1"
    assert not {"UNLISTED", "NOXSESSION", "MCP_RUNNER_TASK_ID", "PYTHONPATH"} & set(seen)
    expected = {
        "ROOT": str(workspace.root),
        "RUN_ID": manifest["run_id"],
        "ROOT_RUN_ID": manifest["run_id"],
        "TASK_ID": TASK,
        "PROJECT": "x",
        "RUN_DIR": str(workspace.root / manifest["artifact_root"]),
        "MANIFEST_PATH": str(workspace.root / manifest["artifact_root"] / "manifest.json"),
        "STAGE_ID": "build",
    }
    for name, value in expected.items():
        assert seen[f"CODEX_ORCHESTRATOR_{name}"] == value
    assert seen["TRACEPARENT"].startswith("00-")


def test_a_secret_reaches_no_file(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A secret that stages print, plain, in two pieces or as base64, is masked, and so is one in a reason."""
    secret = "hunter2-correct-horse"
    workspace.project(
        "x",
        {
            "build": "echo $DEPLOY_KEY; printf %s $DEPLOY_KEY | base64",
            "test": "printf hunter2-; sleep 0.2; echo correct-horse; exit 1",
        },
        extra='secret_env = ["DEPLOY_KEY"]\n',
    )
    done = orchestrate(
        *("start", "--project", "x", "--approval-policy", f"because {secret}", "--format", "json"),
        env={"DEPLOY_KEY": secret},
    )
    assert done.code == 3
    import base64

    for needle in (secret.encode(), base64.b64encode(secret.encode())):
        assert needle not in done.stdout.encode()
        assert needle not in done.stderr.encode()
        for path in [*(workspace.root / ".runs").rglob("*"), *(workspace.root / "out").rglob("*")]:
            if path.is_file():
                assert needle not in path.read_bytes(), path


def test_what_the_caller_said_is_recorded(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Mode, overrides with their reason, actor and approval policy stand in the manifest."""
    workspace.project("x")
    done = orchestrate(
        *("start", "--project", "x", "--actor", "ada", "--approval-policy", "on-request", "--mode", "local"),
        *("--override", "K=V", "--override", "L=W=1", "--override-reason", "trying it", "--format", "json"),
    )
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    assert manifest["mode"] == {
        "name": "local",
        "overrides": {"K": "V", "L": "W=1"},
        "reason": "trying it",
        "actor": "ada",
    }
    assert manifest["approval_policy"] == "on-request"


@pytest.mark.parametrize("is_configured", [False, True])
def test_cloud_mode_without_an_engine_is_refused(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, is_configured: bool
) -> None:
    """Without ``[cloud]``, and where nobody listens: exit code 2 and the reason; nothing is written."""
    workspace.project("x")
    if is_configured:
        (workspace.root / "workspace.toml").write_text(
            'schema_version = 1\n[cloud]\nscheduler = "tcp://127.0.0.1:1"\ninsecure = true\n'
        )
    done = orchestrate("start", "--project", "x", "--mode", "cloud", "--format", "json")
    expected = "engine-unreachable" if is_configured else "no-engine"
    assert (done.code, done.document["error"]["code"]) == (2, expected)
    assert not (workspace.root / ".runs").exists()


def test_a_detached_run_is_on_disk_when_it_is_printed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``--detach`` prints the id at once; the run goes on and ends by itself."""
    workspace.project("x", {"test": f"until test -e {workspace.root}/go; do sleep 0.05; done"})
    done = orchestrate("start", "--project", "x", "--detach")
    assert done.code == 0, done.stderr
    run_id = done.stdout.strip()
    folder = workspace.root / ".runs" / TASK / "cli" / run_id
    assert (folder / "manifest.json").exists()
    assert orchestrate("status", run_id, "--format", "json").document["alive"] is True
    workspace.write("go", "")
    watched = orchestrate("status", run_id, "--watch", "--interval", "0.2", "--format", "json")
    assert watched.document["status"] == "succeeded"


def test_a_breach_is_recorded_while_the_run_goes_on(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The manifest says so before the run ends; the run still succeeds and the slowest stage is named."""
    workspace.project(
        "x",
        {"test": "until grep -q '\"breached\": true' $CODEX_ORCHESTRATOR_MANIFEST_PATH; do sleep 0.1; done"},
        extra='[pipelines.diagnostics]\nsla = "1s"\n',
    )
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 0, done.stderr
    sla = run_of(done, workspace)["sla"]
    assert (sla["breached"], sla["slowest_stage"], sla["limit_seconds"]) == (True, "test", 1.0)
    assert workspace.metrics(TASK)[0]["sla_breached"] is True


def test_a_closed_stdout_does_not_stop_a_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The reader of the output goes away at once, and the run succeeds all the same."""
    workspace.project("x", {"build": "seq 1 20000", "test": "sleep 0.5"})
    process = orchestrate.popen("start", "--project", "x")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    assert process.wait(60) == 0, errors
    assert "Traceback" not in errors
    assert workspace.manifest(workspace.runs(TASK)[0])["status"] == "succeeded"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stop_signal_closes_the_record(workspace: WorkspaceFolder, orchestrate: Orchestrator, name: str) -> None:
    """The run is cancelled, published, exits with 128 + the signal, and leaves no process."""
    import signal

    workspace.project("x", {"build": "sleep 985.5", "test": "true"})
    process = orchestrate.popen("start", "--project", "x")
    wait_for(lambda: processes_with(workspace, "985.5"))
    process.send_signal(signal.Signals[name])
    assert process.wait(30) == 128 + signal.Signals[name]
    assert not processes_with(workspace, "985.5")
    manifest = workspace.manifest(workspace.runs(TASK)[0])
    assert (manifest["status"], manifest["outcome"]) == ("cancelled", "cancellation")
    assert name in manifest["status_detail"]
    assert stage(manifest, "build")["outcome"] == "cancellation"
    assert stage(manifest, "test")["status"] == "skipped"
    (line,) = workspace.metrics(TASK)
    assert line["status"] == "cancelled"


def test_a_killed_run_is_shown_as_died_and_closed_by_the_next(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """After ``kill -9`` nothing is left running, status tells at once and writes nothing, the next start closes it."""
    workspace.project("x", {"build": "test -e fast || sleep 984.75"})
    process = orchestrate.popen("start", "--project", "x")
    wait_for(lambda: processes_with(workspace, "984.75"))
    process.kill()
    process.wait()
    wait_for(lambda: not processes_with(workspace, "984.75"))
    (run,) = workspace.runs(TASK)
    before = (run / "manifest.json").read_bytes()
    shown = orchestrate("status", "--format", "json").document
    assert (shown["status"], shown["outcome"], shown["status_detail"]) == ("failed", "error", "interrupted")
    assert shown["alive"] is False
    assert (run / "manifest.json").read_bytes() == before
    (workspace.root / "packages" / "x" / "fast").touch()
    assert orchestrate("start", "--project", "x").code == 0
    closed = workspace.manifest(run)
    assert (closed["status"], closed["outcome"], closed["status_detail"]) == ("failed", "error", "interrupted")
    assert sorted(line["status"] for line in workspace.metrics(TASK)) == ["failed", "succeeded"]
    assert workspace.state(TASK)["totals"]["runs"] == 2
    assert workspace.pointer(TASK, run.name)["status"] == "failed"


def test_a_read_only_workspace_ends_in_exit_code_8(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A file where the runs folder belongs can't be written below: exit code 8 and one clear message."""
    workspace.project("x")
    (workspace.root / ".runs").write_text("not a folder")
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 8
    assert ".runs" in done.document["error"]["message"]


def test_nothing_is_written_through_a_planted_link(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A symbolic link in the place of the runs folder is refused, and its target stays empty."""
    workspace.project("x")
    target = workspace.root / "elsewhere"
    target.mkdir()
    (workspace.root / ".runs").symlink_to(target)
    assert orchestrate("start", "--project", "x").code == 8
    assert not list(target.iterdir())


def processes_with(workspace: WorkspaceFolder, argument: str) -> list[int]:
    """Return the processes that work in the workspace and have ``argument`` among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
                folder = Path(os.readlink(entry / "cwd"))
            except OSError:
                continue
            if argument.encode() in arguments and folder.is_relative_to(workspace.root.resolve()):
                found.append(int(entry.name))
    return found


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    """Wait until ``condition`` holds; fail after ``seconds``."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_provenance_of_each_attempt_names_the_config_that_it_ran_with(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Every attempt's provenance holds the sha256 of the project's config as it was then."""
    workspace.project("x", {"test": "test -e fixed"})
    config = workspace.root / "project_configs" / "x.toml"
    digests = [hashlib.sha256(config.read_bytes()).hexdigest()]
    assert orchestrate("start", "--project", "x").code == 3
    (workspace.root / "packages" / "x" / "fixed").touch()
    config.write_text(config.read_text() + "# looked at\n")
    digests.append(hashlib.sha256(config.read_bytes()).hexdigest())
    done = orchestrate("resume", "latest", "--format", "json")
    assert done.code == 0, done.stderr
    entries = run_of(done, workspace)["provenance"]
    assert [entry["attempt"] for entry in entries] == [1, 2]
    assert [entry["config_digest"] for entry in entries] == digests


def test_columns_are_heeded_everywhere(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """$COLUMNS narrows what start, status, plan and runs print: below 64 columns labels stand on their own lines."""
    workspace.project("x")
    narrow = {"COLUMNS": "40"}
    started = orchestrate("start", "--project", "x", env=narrow)
    assert started.code == 0
    for done in (started, orchestrate("status", env=narrow)):
        assert "\nManifest\n  .runs/" in done.stdout
    assert "\nManifest   .runs/" in orchestrate("status").stdout
    for words in (("plan", "--project", "x"), ("runs",), ("--help",)):
        wide, told = (orchestrate(*words, env={"COLUMNS": columns}).stdout for columns in ("100", "40"))
        assert len(told.splitlines()) > len(wide.splitlines())
