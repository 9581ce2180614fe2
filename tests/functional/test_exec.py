"""``exec``: one command, recorded as a run."""

from __future__ import annotations

from tests.functional.test_schema import check
from tests.harness import Orchestrator, WorkspaceFolder

JSON = ("--format", "json")


def test_one_command_is_a_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It runs where stages do, with the words as they are; it is recorded, never latest, and in no coverage."""
    folder = workspace.project("x")
    usual = orchestrate("start", *JSON).document["run_id"]
    words = ("sh", "-c", 'echo "$CODEX_ORCHESTRATOR_STAGE_ID:$1"; pwd; test -e go', "-", "--format json;$HOME")
    done = orchestrate("exec", "--project", "x", *JSON, "--", *words)
    assert done.code == 3, done.stderr
    check(orchestrate, "run", done.document)
    run = done.document["run_id"]
    assert (done.document["pipeline_id"], done.document["failed"][0]["stage"]) == ("exec", "command")
    lines = orchestrate("logs", run, *JSON).document["stages"][-1]["lines"]
    assert lines == ["command:--format json;$HOME", str(folder)]
    status = orchestrate("status", run, *JSON).document
    assert (status["guardrails"], status["task_id"]) == ([], orchestrate("status", *JSON).document["task_id"])
    assert orchestrate("status", *JSON).document["run_id"] == usual
    assert [each["pipeline_id"] for each in orchestrate("runs", *JSON).document["runs"]] == ["exec", "diagnostics"]
    (figures,) = orchestrate("metrics", *JSON).document["projects"]
    assert (figures["runs"], figures["guardrails"]["runs"]) == (2, 1)

    packet = orchestrate("review", run, *JSON).document
    assert (packet["plan_changes"], packet["plan_note"]) == ([], None)
    (folder / "go").touch()
    again = orchestrate(*done.document["next_argv"][1:], *JSON)
    assert (again.code, again.document["run_id"], again.document["attempt"]) == (0, run, 2)
    reasons = orchestrate("review", run, *JSON).document["ready"]["reasons"]
    assert "plan-not-of-config" not in [reason["code"] for reason in reasons]
    assert orchestrate("verify", *JSON).document["findings"] == []


def test_a_secret_of_the_command_is_masked(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """No record holds it, so that the run can't be resumed by its record; the caller's key is not this run's."""
    workspace.project("x")
    env = {"DEPLOY_TOKEN": "hunter7secret", "CODEX_ORCHESTRATOR_KEY": "k"}
    for _ in range(2):
        done = orchestrate("exec", *JSON, "--", "sh", "-c", "echo hunter7secret; false", env=env)
        assert done.code == 3, done.stderr
    records = [path for path in (workspace.root / ".runs").rglob("*") if path.is_file()]
    assert len([path for path in records if path.name == "manifest.json" and "cli" in path.parts]) == 2
    assert [path for path in records if b"hunter7secret" in path.read_bytes()] == []
    refused = orchestrate("resume", done.document["run_id"], *JSON, env=env)
    assert (refused.code, refused.document["error"]["code"]) == (5, "masked-command")


def test_what_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """No command, one that no record can hold, an unknown project, the reserved name elsewhere: nothing is written."""
    workspace.project("x")
    for words, code in (
        (("exec", *JSON), "missing-option"),
        (("exec", *JSON, "--", ""), "no-command"),
        (("exec", *JSON, "--project", "x", "--", "echo", "b\udcf6"), "bad-command"),
        (("exec", *JSON, "--project", "y", "--", "true"), "unknown-project"),
        (("start", "exec", *JSON), "reserved-pipeline"),
        (("start", "exec", "--all", *JSON), "reserved-pipeline"),
        (("plan", "exec", *JSON), "reserved-pipeline"),
    ):
        done = orchestrate(*words)
        assert (words, done.code, done.document["error"]["code"]) == (words, 2, code)
    text = orchestrate("exec", "--project", "y", "--", "true", *JSON)
    assert (text.code, text.document) == (2, None)
    workspace.project("x", {"a": "true"}, pipeline="exec")
    assert "choose another one" in orchestrate("plan", *JSON).document["error"]["message"]
    assert not (workspace.root / ".runs").exists()
