"""``wait``, and what signals do to who waits."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.functional.test_start import wait_for
from tests.harness import Orchestrator, WorkspaceFolder


def blocked(workspace: WorkspaceFolder, orchestrate: Orchestrator, how: str = "true") -> str:
    """Start a run that goes on until ``go`` is there, and return its id."""
    workspace.project("x", {"build": f"until test -e {workspace.root}/go; do sleep 0.05; done; {how}"})
    done = orchestrate("start", "--project", "x", "--detach", "--format", "json")
    assert done.code == 0, done.stderr
    run_id: str = done.document["run_id"]
    return run_id


def release(workspace: WorkspaceFolder) -> None:
    """Let the blocked run go on."""
    workspace.write("go", "")


@pytest.mark.parametrize(("how", "code", "status"), [("true", 0, "succeeded"), ("exit 4", 3, "failed")])
def test_the_end_is_waited_for(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, how: str, code: int, status: str
) -> None:
    """Wait returns when the run has ended, with its document and the exit code that its start would have had."""
    run_id = blocked(workspace, orchestrate, how)
    waiting = orchestrate.popen("wait", run_id, "--format", "json")
    time.sleep(0.5)
    assert waiting.poll() is None
    release(workspace)
    out, _ = waiting.communicate(timeout=60)
    document = json.loads(out)
    assert (waiting.returncode, document["exit_code"]) == (code, code)
    assert (document["run_id"], document["status"], document["timed_out"]) == (run_id, status, False)
    again = orchestrate("wait", run_id, "--format", "json")
    assert (again.code, again.document) == (code, document)


def test_a_timeout_leaves_the_run_alone(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """At the timeout the document is that of the run as it is, the exit code 124, and the run goes on."""
    run_id = blocked(workspace, orchestrate)
    began = time.monotonic()
    done = orchestrate("wait", run_id, "--timeout", "500ms", "--format", "json")
    assert time.monotonic() - began < 20
    assert (done.code, done.document["timed_out"], done.document["exit_code"]) == (124, True, None)
    assert (done.document["status"], done.document["outcome"]) == ("in_progress", None)
    assert done.document["next_argv"][1:3] == ["status", run_id]
    release(workspace)
    assert orchestrate("wait", run_id, "--timeout", "60s").code == 0


def handles(pid: int, number: int) -> bool:
    """Tell whether a process has a handler of its own for a signal; ``wait`` sets those of all stop signals at once."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")]
    return bool(int(line.split()[1], 16) & 1 << number - 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("words", [("wait",), ("status", "--watch")])
def test_a_signal_ends_only_the_waiting(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...], number: int
) -> None:
    """Who waits prints a whole document when a signal ends it, and exits by the signal; the run goes on."""
    run_id = blocked(workspace, orchestrate)
    command, *options = words
    waiting = subprocess.Popen(
        orchestrate.command(command, run_id, *options, "--format", "json"),
        cwd=orchestrate.cwd,
        env=dict(orchestrate.environ),
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(lambda: handles(waiting.pid, signal.SIGTERM))
    waiting.send_signal(number)
    out, _ = waiting.communicate(timeout=60)
    document = json.loads(out)
    assert (waiting.returncode, document["run_id"], document["status"]) == (128 + number, run_id, "in_progress")
    release(workspace)
    assert orchestrate("wait", run_id).code == 0


def test_a_cancelled_and_a_killed_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that was cancelled is waited for with exit code 3, and one whose process died at once as well."""
    run_id = blocked(workspace, orchestrate)
    assert orchestrate("cancel", run_id).code == 0
    done = orchestrate("wait", run_id, "--format", "json")
    assert (done.code, done.document["status"]) == (3, "cancelled")
    starting = orchestrate.popen("start", "--project", "x")
    until = time.monotonic() + 60
    while len(workspace.runs("1-x")) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    starting.kill()
    starting.communicate()
    killed = workspace.runs("1-x")[-1].name
    done = orchestrate("wait", killed, "--timeout", "30s", "--format", "json")
    assert (done.code, done.document["status"], done.document["outcome"]) == (3, "failed", "error")


def test_a_run_can_not_wait_for_itself(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Inside a stage, waiting for the run around it is refused with exit code 5, at once."""
    wait = 'codex-orchestrator wait "$CODEX_ORCHESTRATOR_RUN_ID" --format json > ../own; echo $? > ../code'
    watch = 'codex-orchestrator status "$CODEX_ORCHESTRATOR_RUN_ID" --watch --format json > ../watched'
    follow = 'codex-orchestrator logs "$CODEX_ORCHESTRATOR_RUN_ID" --follow'
    others = f"{follow} 2> ../followed; {follow} --stage test 2>> ../followed; {follow} --stage lint > ../linted"
    workspace.project("x", {"build": "true", "lint": "echo clean", "test": f"sleep 1; {wait}; {watch}; {others}; true"})
    assert orchestrate("start", "--project", "x", timeout=60).code == 0
    packages = workspace.root / "packages"
    assert (packages / "code").read_text() == "5\n"
    assert (packages / "followed").read_text().count("can't be waited for") == 2
    assert (packages / "linted").read_text() == "clean\n"
    for answer in ("own", "watched"):
        assert json.loads((packages / answer).read_text())["error"]["code"] == "waits-for-itself"


def test_what_else_a_stage_can_not_wait_for(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The run around the run around it, and a queued run, which may be behind one of them."""
    until = f"until test -e {workspace.root}/go; do sleep 0.05; done"
    workspace.project("y", {"build": until}, extra="[queue]\nrunning = 1")
    wait = "codex-orchestrator wait --format json"
    workspace.project("z", {"build": f'{wait} "$CODEX_ORCHESTRATOR_ROOT_RUN_ID" > ../ancestor; true'}, pipeline="smoke")
    workspace.project(
        "x", {"build": f'codex-orchestrator start smoke --project z; {wait} "$(cat ../id)" > ../queued; true'}
    )
    first = orchestrate("start", "--project", "y", "--detach", "--format", "json").document["run_id"]
    queued = orchestrate("start", "--project", "y", "--detach", "--format", "json").document
    assert queued["status"] == "queued"
    workspace.write("packages/id", queued["run_id"])
    assert orchestrate("start", "--project", "x", timeout=60).code == 0
    release(workspace)
    for answer in ("ancestor", "queued"):
        error = json.loads((workspace.root / "packages" / answer).read_text())["error"]
        assert (error["code"], "can't be waited for" in error["message"]) == ("waits-for-itself", True)
    for run_id in (first, queued["run_id"]):
        assert orchestrate("wait", run_id).code == 0


@pytest.mark.parametrize(("words", "code"), [(("wait", "latest"), 6), (("wait", "nope"), 2), (("wait",), 2)])
def test_no_run_to_wait_for(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...], code: int
) -> None:
    """A run that is not there is not waited for."""
    workspace.project("x")
    assert orchestrate(*words, "--format", "json").code == code


def test_a_bad_span(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A timeout that is no span is refused, with how one is written."""
    workspace.project("x")
    assert orchestrate("start", "--project", "x").code == 0
    done = orchestrate("wait", "latest", "--timeout", "soon", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (2, "bad-period")
