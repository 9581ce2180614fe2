"""Every answer about a run says what to type next, and causes come from the stage that failed, however deep."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

START = ["codex-orchestrator", "start", "--pipeline", "diagnostics", "--project", "x", "--task", "1-x"]


def events(stdout: str) -> list[dict[str, Any]]:
    """Return the events of ``--format ndjson``."""
    return [json.loads(line) for line in stdout.splitlines()]


def test_a_ready_run_leaves_nothing_to_do(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The next command of a succeeded run that is ready is null, in each answer."""
    workspace.project("x")
    for document in (
        orchestrate("start", "--project", "x", "--format", "json").document,
        orchestrate("status", "--format", "json").document,
        events(orchestrate("start", "--project", "x", "--format", "ndjson").stdout)[-1],
    ):
        assert (document["next_command"], document["next_argv"]) == (None, None)


def test_a_failed_run_is_resumed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """start, resume, run:end and status name the resume of a run that failed, and the command is the same as a list."""
    workspace.project("x", {"test": "echo no; exit 3"})
    started = orchestrate("start", "--project", "x", "--format", "json").document
    run_id = started["run_id"]
    resumed = orchestrate("resume", run_id, "--format", "ndjson")
    shown = orchestrate("status", "--format", "json").document
    for document in (started, events(resumed.stdout)[-1], shown):
        assert document["next_argv"] == ["codex-orchestrator", "resume", run_id]
        assert document["next_command"] == " ".join(document["next_argv"])
    # As version 1 had them: its readers refuse an empty reason.
    assert (shown["status_detail"], shown["resume_events"][0]["reason"]) == ("stage:test:failed", "manual-resume")


def test_a_detached_run_is_watched(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The answer of --detach names what follows the run, and with ndjson it is the run:start event."""
    workspace.project("x")
    document = orchestrate("start", "--project", "x", "--detach", "--format", "json").document
    assert document["next_argv"] == ["codex-orchestrator", "status", document["run_id"], "--watch"]
    assert orchestrate(*document["next_argv"][1:]).code == 0
    (event,) = events(orchestrate("start", "--project", "x", "--detach", "--format", "ndjson").stdout)
    assert (event["type"], event["project"]) == ("run:start", "x")
    watched = orchestrate("status", event["run_id"], "--watch", "--format", "json").document
    assert (watched["run_id"], watched["status"]) == (event["run_id"], "succeeded")


@pytest.mark.parametrize("approvals", [1, 2])
def test_a_run_that_waits_for_a_reviewer(workspace: WorkspaceFolder, orchestrate: Orchestrator, approvals: int) -> None:
    """A succeeded run that only lacks approvals leads to its review, in the answer of start, too."""
    workspace.project("x", extra=f"[review]\napprovals = {approvals}")
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.document["next_argv"] == ["codex-orchestrator", "review", done.document["run_id"]]
    assert done.code == 0


def test_a_run_that_no_resume_makes_ready(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A succeeded run whose guardrail can't fail is started anew, once the config is right."""
    workspace.project("x", guard="true")
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.document["next_argv"] == START
    brief = orchestrate("status", "--brief")
    assert "First" in brief.stdout
    assert "is not the built-in guard" in brief.stdout


def test_the_cause_of_a_sub_pipeline(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Two levels below, the stage that failed is the cause: in the document, the digest, the summary and status."""
    workspace.project("x", {"deep": {"pipeline": "middle"}}, pipeline="outer")
    text = (workspace.root / "project_configs/x.toml").read_text()
    for pipeline, stage in (("middle", '"inner"'), ("inner", None)):
        text += f'[[pipelines.{pipeline}.stages]]\nid = "go"\n'
        text += f"pipeline = {stage}\n" if stage else 'shell = "echo the reason; exit 7"\n'
    workspace.config("x", text)
    done = orchestrate("start", "outer", "--project", "x", "--format", "json")
    assert done.code == 3
    (failed,) = done.document["failed"]
    cause = failed["cause"]
    assert (failed["stage"], cause["pipeline_id"], cause["stage"], cause["exit_code"]) == ("deep", "inner", "go", 7)
    assert (cause["last_lines"], cause["line"]) == (["the reason"], "go failed (exit 7)")
    assert (workspace.root / cause["log_path"]).read_text() == "the reason\n"
    assert "Failed: deep (go failed (exit 7))" in done.stderr
    assert "  | the reason\n" in done.stderr
    shown = orchestrate("status", done.document["run_id"], "--format", "json").document
    assert [command["summary"] for command in shown["commands"] if command["id"] == "deep"] == ["go failed (exit 7)"]


def test_brief_is_short_and_names_the_deepest_cause(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Status --brief has the contract's keys in at most 2 KiB, and each failed stage with its cause."""
    workspace.project("x", {"lint": "exit 1", "test": "echo the reason; exit 7"})
    assert orchestrate("start", "--project", "x").code == 3
    done = orchestrate("status", "--brief", "--format", "json")
    assert done.code == 0
    assert len(done.stdout) <= 2048
    brief = done.document
    assert set(brief) >= {"run_id", "project", "task_id", "status", "outcome", "attempt", "alive", "ready", "failed"}
    assert [(entry["stage"], entry["cause"]) for entry in brief["failed"]] == [
        ("lint", "exit 1"),
        ("test", "exit 7: the reason"),
    ]
    assert brief["next_argv"] == ["codex-orchestrator", "resume", brief["run_id"]]
    assert brief["ready"]["ready"] is False
    assert orchestrate("status", "--brief").stdout.splitlines()[1] == "Status     failed, not ready"


def test_an_environment_that_could_not_be_made_is_listed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Its last lines and its log stand in ``failed`` of start, status, the brief form and the review packet."""
    workspace.project("x")
    config = workspace.root / "project_configs/x.toml"
    config.write_text(config.read_text().replace('backend = "none"', 'backend = "virtualenv"\npython = "3.99"'))
    started = orchestrate("start", "--project", "x", "--format", "json").document
    shown = orchestrate("status", "--format", "json").document
    packet = orchestrate("review", "--format", "json").document
    for document in (started, shown, packet):
        (entry,) = document["failed"]
        assert (entry["stage"], entry["outcome"]) == ("environment", "error")
        assert "3.99" in " ".join(entry["last_lines"])
    (entry,) = orchestrate("status", "--brief", "--format", "json").document["failed"]
    assert (entry["stage"], "3.99" in entry["cause"]) == ("environment", True)
    (failure,) = packet["failures"]
    assert {key: failure[key] for key in ("stage", "last_lines", "log_path")} == {
        key: shown["failed"][0][key] for key in ("stage", "last_lines", "log_path")
    }
    for text in (orchestrate("status").stdout, orchestrate("review").stdout):
        assert re.search(r"^  environment +failed", text, re.M)
        assert f"Log        {failure['log_path']}" in text
    workspace.project("y", {"deep": {"pipeline": "diagnostics", "project": "x"}}, pipeline="outer")
    (outer,) = orchestrate("start", "outer", "--project", "y", "--format", "json").document["failed"]
    assert (outer["cause"]["stage"], "3.99" in outer["cause"]["line"]) == ("environment", True)
    assert "3.99" in (workspace.root / outer["cause"]["log_path"]).read_text()


def test_one_command_is_no_pipeline_to_start(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run of ``exec`` that no resume brings on has no next command: nothing leads to what is refused."""
    workspace.project("app")
    workspace.write("packages/app/a.py", "x = 1\n")
    workspace.commit()
    moved = orchestrate("exec", "--project", "app", "--format", "json", "--", "sh", "-c", "echo y = 2 >> a.py")
    assert (moved.code, moved.document["next_argv"]) == (0, None)
    words = ("exec", "--project", "app", "--format", "json", "--", "sh", "-c", "echo hunter7secret; exit 3")
    failed = orchestrate(*words, env={"MY_TOKEN": "hunter7secret"}).document
    assert failed["next_argv"] is None
    assert failed["failed"][0]["next_command"] == f"codex-orchestrator logs {failed['run_id']}"
    plain = orchestrate("exec", "--project", "app", "--format", "json", "--", "false").document
    assert plain["next_argv"] == ["codex-orchestrator", "resume", plain["run_id"]]
