"""``[queue]``: limits of runs at once, and who waits for whom."""

from __future__ import annotations

import json
import os
import signal
import time
from itertools import pairwise
from typing import Any

from tests.functional.test_start import wait_for
from tests.functional.test_wait import release
from tests.harness import Orchestrator, WorkspaceFolder

JSON = ("--format", "json")
START = ("start", "--project", "x", *JSON)


def limited(workspace: WorkspaceFolder, limits: str = "running = 1", *, stage: str | None = None) -> None:
    """Onboard a project whose build goes on until ``release``, with limits of its own."""
    until = f"until test -e {workspace.root}/go; do sleep 0.05; done"
    workspace.project("x", {"build": stage or until}, extra=f"[queue]\n{limits}")


def document(orchestrate: Orchestrator, run_id: str) -> dict[str, object]:
    """Return the status document of a run."""
    found: dict[str, object] = orchestrate("status", run_id, *JSON).document
    return found


def test_a_run_waits_in_line_and_then_runs(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It is queued, known by its id, and its time begins when its place is free; the order is that of arrival."""
    limited(workspace)
    first = orchestrate(*START, "--detach").document["run_id"]
    second = orchestrate(*START, "--detach").document
    third = orchestrate(*START, "--detach", "--priority", "5").document
    assert (second["status"], third["status"]) == ("queued", "queued")
    wait_for(lambda: "2nd" in str(document(orchestrate, second["run_id"])["status_detail"]))
    waiting = document(orchestrate, third["run_id"])
    assert waiting["status_detail"] == "waits for 1 run of x; 1st in line"
    assert (waiting["alive"], waiting["began_at"]) == (True, None)
    listed = orchestrate("runs", "--status", "queued", *JSON).document["runs"]
    assert {row["run_id"] for row in listed} == {second["run_id"], third["run_id"]}
    busy = orchestrate(*START, "--no-wait")
    assert (busy.code, busy.document["error"]["code"]) == (5, "busy")
    assert first in busy.document["error"]["message"]
    release(workspace)
    for run_id in (second["run_id"], third["run_id"]):
        assert orchestrate("wait", run_id).code == 0
    ended = [document(orchestrate, run_id) for run_id in (first, third["run_id"], second["run_id"])]
    begins = [str(one["began_at"]) for one in ended]
    assert begins == sorted(begins)
    for before, after in pairwise(ended):
        assert str(after["began_at"]) >= str(before["completed_at"])
        assert after["queued_seconds"] > 0  # type: ignore[operator]


def test_refusals_write_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A full line, and options that can't be, are refused before there is a run."""
    limited(workspace, "running = 1\nwaiting = 1")
    for _ in range(2):
        assert orchestrate(*START, "--detach").code == 0
    full = orchestrate(*START)
    assert (full.code, full.document["error"]["code"]) == (5, "queue-full")
    for words, code in (
        (("--priority", "10"), "bad-priority"),
        (("--wait", "1m", "--no-wait"), "option-conflict"),
        (("--wait", "soon"), "bad-period"),
    ):
        refused = orchestrate(*START, *words)
        assert (refused.code, refused.document["error"]["code"]) == (2, code), words
    assert len(orchestrate("runs", *JSON).document["runs"]) == 2
    release(workspace)
    assert orchestrate("wait", "latest").code == 0
    workspace.write("workspace.toml", "schema_version = 1\n[queue]\nrunning = 0\nwalking = 1\n")
    broken = orchestrate(*START)
    assert broken.code == 2
    assert "queue.running" in broken.stdout
    assert "queue.walking" in broken.stdout


def test_the_longest_wait_a_cancel_and_a_signal_end_the_waiting(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Such a run never began: it is cancelled, counts in no figure, frees its key, and may be resumed."""
    limited(workspace)
    first = orchestrate(*START, "--detach").document["run_id"]
    late = orchestrate(*START, "--wait", "300ms", "--key", "k")
    assert (late.code, late.document["status"]) == (3, "cancelled")
    assert document(orchestrate, late.document["run_id"])["status_detail"] == "waited 0.3s"
    asked = orchestrate(*START, "--detach").document["run_id"]
    assert orchestrate("cancel", asked, "--actor", "ada").code == 0
    assert document(orchestrate, asked)["status_detail"] == "cancelled by ada"
    waiting = orchestrate.popen(*START)
    wait_for(lambda: len(orchestrate("runs", "--status", "queued", *JSON).document["runs"]) == 1)
    waiting.send_signal(signal.SIGTERM)
    out, _ = waiting.communicate(timeout=30)
    assert (waiting.returncode, json.loads(out)["status"]) == (143, "cancelled")
    release(workspace)
    assert orchestrate("wait", first).code == 0
    assert orchestrate("metrics", *JSON).document["projects"][0]["runs"] == 1
    assert orchestrate(*START, "--key", "k").document.get("deduplicated") is None
    assert orchestrate("resume", asked, *JSON).document["status"] == "succeeded"
    assert orchestrate("verify", "--all", "--state").code == 0


def test_who_is_killed_gives_its_place_up_at_once(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A killed waiter and a killed holder keep nobody waiting, and their records are closed."""
    limited(workspace)
    holder = orchestrate.popen(*START)
    wait_for(lambda: orchestrate("runs", *JSON).document["runs"])
    waiter = orchestrate.popen(*START)
    wait_for(lambda: orchestrate("runs", "--status", "queued", *JSON).document["runs"])
    last = orchestrate(*START, "--detach").document["run_id"]
    os.kill(waiter.pid, signal.SIGKILL)
    os.kill(holder.pid, signal.SIGKILL)
    wait_for(lambda: document(orchestrate, last)["status"] == "in_progress")
    release(workspace)
    assert orchestrate("wait", last).code == 0
    for process in (holder, waiter):
        process.communicate(timeout=30)
    ended = orchestrate("runs", "--outcome", "error", *JSON).document["runs"]
    assert len(ended) == 2


def test_a_resume_takes_a_place_as_a_start_does(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It waits for who holds it, keeps its turn though its process is stopped, and waiting is none of its time."""
    limited(workspace, stage="test -e ../../go || { test -e ../../hold && sleep 60; }")
    failed = orchestrate(*START).document["run_id"]
    workspace.write("hold", "")
    holder = orchestrate(*START, "--detach").document["run_id"]
    resumed = orchestrate.popen("resume", failed, *JSON)
    wait_for(lambda: document(orchestrate, failed)["status"] == "queued")
    last: dict[str, Any] = {"error": {"code": "busy"}}
    for _ in range(20):
        if last.get("error", {}).get("code") != "busy":  # else it was stopped with a lock in its hand
            break
        os.kill(resumed.pid, signal.SIGCONT)
        time.sleep(0.1)
        os.kill(resumed.pid, signal.SIGSTOP)
        last = orchestrate(*START, "--detach").document
    assert last["status"] == "queued", last
    workspace.write("go", "")
    assert orchestrate("cancel", holder).code == 0
    assert orchestrate(*START, "--no-wait").document["error"]["code"] == "busy"
    assert document(orchestrate, last["run_id"])["status"] == "queued"
    os.kill(resumed.pid, signal.SIGCONT)
    out, _ = resumed.communicate(timeout=60)
    assert (resumed.returncode, json.loads(out)["status"]) == (0, "succeeded")
    assert orchestrate("wait", last["run_id"]).code == 0
    ended = document(orchestrate, failed)
    assert ended["attempt"] == 2
    assert ended["queued_seconds"] > 0  # type: ignore[operator]
    assert ended["sla"]["active_seconds"] < 60  # type: ignore[index]
    assert orchestrate("resume", failed, "--no-wait").code == 2


def test_what_runs_inside_a_run_takes_no_place(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that a stage starts, and one that it is not to wait for, never wait for the run around them."""
    limited(workspace, stage="codex-orchestrator start smoke --project y")
    workspace.project("y", pipeline="smoke", extra="[queue]\nrunning = 1")
    workspace.write("workspace.toml", "schema_version = 1\n[queue]\nrunning = 1\n")
    began = time.monotonic()
    done = orchestrate(*START, timeout=60)
    assert (done.code, time.monotonic() - began < 60) == (0, True), done.stderr
    assert {row["queued_seconds"] for row in (document(orchestrate, row["run_id"]) for row in _rows(orchestrate))} == {
        0
    }


def test_projects_of_a_fleet_wait_without_holding_a_slot(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """With one slot, a project that has to wait for its place lets the next one run; limits of both kinds hold."""
    limited(workspace)
    for name in ("y", "z"):
        workspace.project(name)
    first = orchestrate(*START, "--detach").document["run_id"]
    fleet = orchestrate.popen("start", "--all", "--jobs", "1", *JSON)
    wait_for(lambda: all(_status(orchestrate, name) == "succeeded" for name in ("y", "z")))
    assert _status(orchestrate, "x") == "queued"
    release(workspace)
    out, errors = fleet.communicate(timeout=60)
    assert (fleet.returncode, json.loads(out)["fleet"]["totals"]["succeeded"]) == (0, 3), errors
    assert orchestrate("wait", first).code == 0
    workspace.write("workspace.toml", "schema_version = 1\n[queue]\nrunning = 1\n")
    again = orchestrate("start", "--all", "--jobs", "3", *JSON)
    assert again.code == 0, again.stderr
    ended = [document(orchestrate, entry["run_id"]) for entry in _fleet(orchestrate, again.document["run_id"])]
    in_order = sorted(ended, key=lambda one: str(one["began_at"]))
    for before, after in pairwise(in_order):
        assert str(after["began_at"]) >= str(before["completed_at"])


def _fleet(orchestrate: Orchestrator, run_id: str) -> list[dict[str, str]]:
    projects: list[dict[str, str]] = orchestrate("status", run_id, *JSON).document["fleet"]["projects"]
    return projects


def _status(orchestrate: Orchestrator, project: str) -> str | None:
    rows = orchestrate("runs", "--project", project, *JSON).document["runs"]
    return rows[0]["status"] if rows else None


def _rows(orchestrate: Orchestrator) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = orchestrate("runs", *JSON).document["runs"]
    return rows


def test_events_of_a_run_that_never_began(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Where ``--wait`` runs out, or a signal ends the waiting, the last event says what comes next."""
    limited(workspace)
    first = orchestrate(*START, "--detach").document["run_id"]
    words = ("start", "--project", "x", "--format", "ndjson")
    done = orchestrate(*words, "--wait", "1s")
    stopped = orchestrate.popen(*words)
    assert stopped.stdout is not None
    first_event = stopped.stdout.readline()
    stopped.send_signal(signal.SIGINT)
    said = first_event + stopped.communicate()[0]
    for code, expected, text in ((done.code, 3, done.stdout), (stopped.returncode, 130, said)):
        events = [json.loads(line) for line in text.splitlines()]
        assert (code, events[0]["type"], events[-1]["type"]) == (expected, "run:queued", "run:end")
        assert events[-1]["next_argv"] == ["codex-orchestrator", "resume", events[-1]["run_id"]]
    release(workspace)
    assert orchestrate("wait", first).code == 0
