"""What a run ends with: the document of ``start`` and ``resume``, and the closing lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import stage_skipped
from orchestrator.report.failures import failed_stages
from orchestrator.report.next_step import resuming
from orchestrator.report.run_summary import failure_digest, run_document
from tests.records import make_manifest, make_run_id
from tests.unit.report.test_status_text import failed_run, over, succeeded


def broken(detail: str = "the environment could not be made: no Python 3.99") -> Manifest:
    """Return a run whose environment could not be made."""
    manifest = stage_skipped(stage_skipped(make_manifest(), "build", detail), "spec-guard", detail)
    return over(manifest, outcome="error", detail=detail)


def document(
    manifest: Manifest,
    exit_code: int | None = 3,
    last_lines: Mapping[str, Sequence[str]] = {},
    environment_log: str | None = None,
) -> dict[str, Any]:
    """Return the run document of a record."""
    failed = failed_stages(manifest.as_json(), last_lines=last_lines, environment_log=environment_log, causes={})
    following = None if manifest.status == "succeeded" else resuming(manifest.run_id)
    return run_document(manifest.as_json(), exit_code=exit_code, failed=failed, next_argv=following)


def test_the_run_document_has_the_contracts_keys_in_order() -> None:
    """The keys of the contract, nothing else, with paths as the record has them."""
    found = document(succeeded(), exit_code=0)
    assert list(found) == [
        *("run_id", "task_id", "project", "pipeline_id", "status", "outcome", "attempt", "exit_code"),
        *("artifact_root", "manifest", "log_path", "failed", "next_command", "next_argv"),
    ]
    assert found["manifest"] == f".runs/1001-hello/cli/{make_run_id(1)}/manifest.json"
    assert (found["exit_code"], found["failed"]) == (0, [])


def test_a_failed_stage_is_listed_with_its_last_lines() -> None:
    """A failed stage has its outcome, exit code, signal, last lines, log and what to type."""
    found = document(failed_run(), last_lines={"spec-guard": ["one", "two"]})["failed"]
    assert found == [
        {
            "stage": "spec-guard",
            "outcome": "failure",
            "exit_code": 4,
            "signal": None,
            "last_lines": ["one", "two"],
            "log_path": f".runs/1001-hello/cli/{make_run_id(1)}/commands/spec-guard.log",
            "cause": None,
            "next_command": f"codex-orchestrator resume {make_run_id(1)}",
            "tests": [],
            "tests_failed": 0,
        }
    ]


def test_a_stage_without_an_error_file_has_its_summary() -> None:
    """Where no last lines are left, the record's summary of the stage stands for them."""
    assert document(failed_run())["failed"][0]["last_lines"] == ["it said no"]


def test_a_broken_environment_is_listed_as_the_stage_environment() -> None:
    """A run that ended in error without a failed stage says what could not be made, and where its log is."""
    (entry,) = document(broken(), last_lines={"environment": ["no such interpreter"]})["failed"]
    assert (entry["stage"], entry["outcome"], entry["last_lines"]) == ("environment", "error", ["no such interpreter"])
    assert entry["log_path"].endswith("/commands/00-environment.log")
    (bare,) = document(broken())["failed"]
    assert bare["log_path"] is None
    assert bare["last_lines"] == ["the environment could not be made: no Python 3.99"]
    assert document(broken(), environment_log="x.log")["failed"][0]["log_path"] == "x.log"


def test_a_forgiven_failure_is_not_listed() -> None:
    """A failure that was allowed is not among the failed stages."""
    manifest = failed_run()
    built, forgiven = manifest.commands
    manifest = manifest._replace(commands=(built, forgiven._replace(status="skipped")))
    assert document(manifest, exit_code=0)["failed"] == []


def test_a_run_that_goes_on_has_no_exit_code_yet() -> None:
    """The document of a detached start has no outcome, no exit code and no failure."""
    found = document(make_manifest(), exit_code=None)
    assert (found["status"], found["outcome"], found["exit_code"], found["failed"]) == ("in_progress", None, None, [])


def digest(
    manifest: Manifest, lines: dict[str, list[str]], width: int = 80, reasons: Sequence[Mapping[str, str]] = ()
) -> str:
    """Return the closing lines of a record, which is ready unless there are ``reasons``."""
    answer = document(manifest, last_lines=lines)
    body = {**manifest.as_json(), "ready": {"ready": not reasons, "reasons": reasons}}
    return failure_digest(answer, body, width=width, color=False)


def test_the_digest_of_a_failed_run() -> None:
    """Which stage, its last lines, its log and the next command: the end of a failed run says these."""
    text = digest(failed_run(), {"spec-guard": [f"line {number}" for number in range(20)]})
    assert "Failed: spec-guard (exit 4)" in text
    assert "  | line 19\n" in text
    assert "line 9\n" not in text
    assert "commands/spec-guard.log" in text
    assert text.endswith(f"Next       codex-orchestrator resume {make_run_id(1)}\n")


def test_the_digest_of_a_broken_environment() -> None:
    """The cause is in the digest of a run whose environment could not be made."""
    text = digest(broken(), {})
    assert "Failed: environment" in text
    assert "no Python 3.99" in text
    assert "failed (error)" in text


def test_the_closing_lines_of_success() -> None:
    """A run that succeeded says how long it took, its guardrails and where its manifest is, and nothing to do."""
    manifest = succeeded()
    manifest = manifest._replace(sla=manifest.sla._replace(active_seconds=62.0))
    text = digest(manifest, {})
    assert "succeeded after 1m 02s of 30m; slowest: build" in text
    assert "spec-guard passed" in text
    assert f"{make_run_id(1)}/manifest.json" in text
    assert "resume" not in text
    assert "Ready" not in text


def test_a_success_that_is_not_ready_says_so() -> None:
    """Whoever reads only the end of a green start sees that a reviewer will not take it, and each reason."""
    reasons = [{"code": code, "message": f"{code} it is"} for code in ("nothing-checked", "approval-missing")]
    text = digest(succeeded(), {}, reasons=reasons)
    assert "Ready      no\n" in text
    assert "- nothing-checked it is\n" in text
    assert "- approval-missing it is\n" in text


def test_a_failure_does_not_repeat_that_it_is_not_ready() -> None:
    """A failed run has its causes already."""
    assert "Ready" not in digest(failed_run(), {}, reasons=[{"code": "run-not-succeeded", "message": "it failed"}])


def test_a_narrow_digest_keeps_commands_and_paths_whole() -> None:
    """What is to be copied stands on one line, however narrow the terminal; output is cut."""
    text = digest(failed_run(), {"spec-guard": ["x" * 200]}, width=40)
    assert f"\n  codex-orchestrator resume {make_run_id(1)}\n" in text
    assert max(len(line) for line in text.splitlines() if line.startswith("  |")) == 40


def test_output_in_the_digest_cannot_steer_the_terminal() -> None:
    """Last lines are shown, not obeyed."""
    assert "\x1b" not in digest(failed_run(), {"spec-guard": ["\x1b[2J\x1b]0;x\x07"]})
