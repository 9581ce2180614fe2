"""``start --key``: a start that is repeated finds its run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.functional.test_start import wait_for
from tests.functional.test_wait import blocked, handles, release
from tests.harness import Orchestrator, WorkspaceFolder

JSON = ("--format", "json")


def run_count(orchestrate: Orchestrator) -> int:
    """Return how many runs there are."""
    return len(orchestrate("runs", *JSON).document["runs"])


def manifests(workspace: WorkspaceFolder) -> list[Path]:
    """Return the records of all runs."""
    return sorted((workspace.root / ".runs").glob("*/cli/*/manifest.json"))


def test_the_same_key_is_the_same_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A used key answers with the run, its exit code and `deduplicated`; jobs, actor and cache are no part of it."""
    workspace.project("x", {"build": "exit 4"})
    first = orchestrate("start", "--project", "x", "--key", "k1", *JSON)
    again = orchestrate("start", "--project", "x", "--key", "k1", "--jobs", "1", "--actor", "bob", "--no-cache", *JSON)
    by_environment = orchestrate("start", *JSON, env={"CODEX_ORCHESTRATOR_KEY": "k1"})
    assert (first.code, again.code, by_environment.code) == (3, 3, 3)
    assert "deduplicated" not in first.document
    assert again.document["deduplicated"] is True
    for key in ("run_id", "status", "exit_code", "failed", "next_argv"):
        assert again.document[key] == first.document[key] == by_environment.document[key], key
    assert again.document["next_argv"][1] == "resume"
    other = orchestrate("start", "--project", "x", "--key", "k2", *JSON)
    assert other.document["run_id"] != first.document["run_id"]
    assert run_count(orchestrate) == 2
    record = (workspace.root / first.document["manifest"]).read_text()
    assert len(json.loads(record)["dedup_key"]) == 64
    line = orchestrate("start", "--project", "x", "--key", "k1", "--format", "ndjson")
    assert (line.code, line.document["type"], line.document["run_id"]) == (
        3,
        "run:deduplicated",
        first.document["run_id"],
    )


def test_a_live_run_is_waited_for(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A used key of a live run waits for its end; a signal ends the waiting alone, and --detach returns at once."""
    workspace.project("x", {"build": f"until test -e {workspace.root}/go; do sleep 0.05; done"})
    words = ("start", "--project", "x", "--key", "k", *JSON)
    first = orchestrate(*words, "--detach")
    run_id = first.document["run_id"]
    at_once = orchestrate(*words, "--detach")
    assert (at_once.code, at_once.document["run_id"], at_once.document["status"]) == (0, run_id, "in_progress")
    waiting, stopped = orchestrate.popen(*words), orchestrate.popen(*words)
    wait_for(lambda: handles(stopped.pid, signal.SIGTERM))
    assert waiting.poll() is None
    stopped.send_signal(signal.SIGTERM)
    out, _ = stopped.communicate(timeout=60)
    assert (stopped.returncode, json.loads(out)["run_id"], json.loads(out)["status"]) == (143, run_id, "in_progress")
    release(workspace)
    out, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, json.loads(out)["run_id"], json.loads(out)["status"]) == (0, run_id, "succeeded")
    assert run_count(orchestrate) == 1


def test_25_starts_at_once_are_one_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """However many starts with one key come at once, one of them runs and all answer with its end."""
    workspace.project("x", {"build": "echo x >> count"})
    with ThreadPoolExecutor(25) as pool:
        all_done = list(pool.map(lambda _: orchestrate("start", "--key", "k", *JSON, timeout=300), range(25)))
    assert {done.code for done in all_done} == {0}
    assert len({done.document["run_id"] for done in all_done}) == 1
    assert sum("deduplicated" not in done.document for done in all_done) == 1
    assert (workspace.root / "packages/x/count").read_text() == "x\n"


def test_another_request_under_a_used_key(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Another plan, task or override is refused with the run and what differs; nothing is written."""
    workspace.project("x", {"build": "true"})
    run_id = orchestrate("start", "--key", "k", *JSON).document["run_id"]
    override = ("--override", "a=b", "--override-reason", "why")
    refused = [(orchestrate("start", "--key", "k", *override, *JSON), "override 'a'")]
    workspace.project("x", {"build": "echo other"})
    refused.append((orchestrate("start", "--key", "k", *JSON), "stage 'build'"))
    for done, difference in refused:
        assert done.code == 5, done.stdout
        error = done.document["error"]
        assert error["code"] == "key-conflict"
        assert run_id in error["message"]
        assert difference in error["message"]
    assert run_count(orchestrate) == 1


def test_the_tree_is_no_part_of_the_request(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The answer names the commit that ran, and whether the tree here is another one."""
    folder = workspace.project("x", {"build": "true"})
    (folder / "a.txt").write_text("1")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(workspace.root))
    for words in (("init", "-q"), ("add", "packages"), ("commit", "-qm", "one")):
        subprocess.run([*git, *words], check=True)
    orchestrate("start", "--key", "k", *JSON)
    same = orchestrate("start", "--key", "k", *JSON).document
    assert (same["same_tree"], len(same["commit"])) == (True, 40)
    (folder / "a.txt").write_text("2")
    other = orchestrate("start", "--key", "k", *JSON).document
    assert (other["same_tree"], other["commit"], other["run_id"]) == (False, same["commit"], same["run_id"])


@pytest.mark.parametrize("key", ["", "x" * 257, "ä" * 129, "a\nb", "a\x1bb", "a\x85b", "\udcff"])
def test_what_is_no_key(workspace: WorkspaceFolder, orchestrate: Orchestrator, key: str) -> None:
    """A key that is empty, too long, with control characters or no text is a usage error; nothing is written."""
    workspace.project("x")
    done = orchestrate("start", "--key", key, *JSON)
    assert (done.code, done.document["error"]["code"]) == (2, "bad-key")
    assert not (workspace.root / ".runs").exists()
    assert orchestrate("resume", "latest", "--key", "k").code == 2


def test_the_run_that_encloses_the_call(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Inside a stage, a key of the run around it is refused, and a sub-pipeline does not inherit the key."""
    words = " ".join(orchestrate.command("start", "--project", "x", "--key", "k", *JSON))
    workspace.project("y", {"build": "true"})
    workspace.project("x", {"build": f"{words} > answer; true"})
    with (workspace.root / "project_configs/x.toml").open("a") as config:
        config.write("[[pipelines.diagnostics.stages]]\nid = 'below'\npipeline = 'diagnostics'\nproject = 'y'\n")
    done = orchestrate("start", "--project", "x", *JSON, env={"CODEX_ORCHESTRATOR_KEY": "k"})
    assert done.code == 0, done.stderr
    answer = json.loads((workspace.root / "packages/x/answer").read_text())
    assert answer["error"]["code"] == "waits-for-itself"
    keys = {path.parent.parent.parent.name: json.loads(path.read_text())["dedup_key"] for path in manifests(workspace)}
    assert keys["1-y"] is None
    assert keys["1-x"] is not None


def test_a_run_that_died_is_found(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that died under its key is found, not started anew, and exits 3."""
    run_id = blocked(workspace, orchestrate)
    assert orchestrate("cancel", run_id).code == 0
    started = orchestrate.popen("start", "--key", "k", *JSON)
    deadline = time.monotonic() + 30
    while not (found := orchestrate("runs", "--status", "in_progress", *JSON).document["runs"]):
        assert time.monotonic() < deadline
    started.kill()
    started.communicate()
    again = orchestrate("start", "--key", "k", *JSON)
    assert (again.code, again.document["run_id"]) == (3, found[0]["run_id"])
