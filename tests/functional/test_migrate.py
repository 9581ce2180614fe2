"""``migrate`` by the real command, on what the early version left behind."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder

SAMPLES = REPOSITORY / "tests" / "samples" / "version-1"
TASK = "0101-billing"
SESSION_NAME = "2025-10-16T01-23-45Z"
KILLED = "2026-11-22T10-06-32-641Z-478d5061"


@pytest.fixture
def early(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """The workspace of the early version, onboarded as the project ``billing``, with a session in it."""
    shutil.copytree(SAMPLES / "runs", workspace.root / ".runs", symlinks=True)
    shutil.copytree(SAMPLES / "out", workspace.root / "out")
    shutil.copytree(SAMPLES / "tasks", workspace.root / "tasks")
    workspace.project("billing", task_id=TASK)
    shutil.rmtree(workspace.root / ".runs" / TASK / "mcp")
    session = {"mode": "mcp", "started_at": SESSION_NAME, "repo": str(workspace.root), "command": "codex mcp-server"}
    workspace.write(f".runs/local-mcp/{SESSION_NAME}/manifest.json", json.dumps(session))
    return workspace


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below ``root`` with its bytes, locks apart."""
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_dry_run_then_the_real_one_then_nothing(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A dry run tells what would be made and writes nothing; the real one makes just that; then nothing is to do."""
    before = tree(early.root)
    dry = orchestrate("migrate", "--dry-run", "--format", "json")
    assert dry.code == 0
    assert dry.document["dry_run"] is True
    assert tree(early.root) == before
    real = orchestrate("migrate", "--format", "json")
    assert real.code == 0
    told = [[(entry["kind"], entry["place"]) for entry in task["made"]] for task in dry.document["tasks"]]
    made = [[(entry["kind"], entry["place"]) for entry in task["made"]] for task in real.document["tasks"]]
    assert made == told
    # Five pointers; the session's record with both of its own; the state.
    assert dry.document["made"] == 5 + 3 + 1
    after = tree(early.root)
    changed = {Path(path).name for path in before if after[path] != before[path]}
    assert changed == {"state.json"}
    kept = early.root / "out" / TASK / "state.v1.json"
    assert kept.read_bytes() == (SAMPLES / "out" / TASK / "state.json").read_bytes()
    again = orchestrate("migrate")
    assert again.code == 0
    assert "nothing to do" in again.stdout
    assert tree(early.root) == after
    assert orchestrate("doctor").code == 0


def test_the_log_is_what_was_printed(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The log under the task's migrations/ holds what --format json printed."""
    done = orchestrate("migrate", "--format", "json").document["tasks"][0]
    logs = list((early.root / ".runs" / TASK / "migrations").iterdir())
    assert [str(path.relative_to(early.root)) for path in logs] == [done["log"]]
    log = json.loads(logs[0].read_text())
    assert {key: log[key] for key in ("task_id", "found", "made", "left_alone")} == {
        key: done[key] for key in ("task_id", "found", "made", "left_alone")
    }


def test_old_runs_by_their_ids(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Status knows version-1 runs before and after a migration, early ones by their folder's name after it."""
    assert orchestrate("status", KILLED, "--format", "json").document["status_detail"] == "interrupted"
    assert orchestrate("status", SESSION_NAME).code == 6
    orchestrate("migrate")
    killed = orchestrate("status", KILLED, "--format", "json").document
    assert (killed["status"], killed["status_detail"]) == ("failed", "interrupted")
    session = orchestrate("status", SESSION_NAME, "--format", "json").document
    assert (session["version"], session["task_id"], session["pipeline_id"]) == (1, TASK, "local-mcp")
    assert orchestrate("resume", KILLED).code == 5


def test_runs_go_on_in_the_migrated_task(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run after the migration joins the new state and the old metrics lines."""
    lines = len(early.metrics(TASK))
    orchestrate("migrate")
    assert orchestrate("start", "--project", "billing").code == 0
    assert early.state(TASK)["totals"]["runs"] == 1
    assert len(early.metrics(TASK)) == lines + 1


def test_one_run_only(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """--run makes what that run lacks, by its id or its early name, and nothing else; another one is not found."""
    done = orchestrate("migrate", "--run", KILLED, "--format", "json").document
    assert [entry["place"] for entry in done["tasks"][0]["made"]] == [f".runs/{TASK}/mcp/{KILLED}/manifest.json"]
    done = orchestrate("migrate", SESSION_NAME, "--format", "json").document
    assert [entry["kind"] for entry in done["tasks"][0]["made"]] == ["record", "pointer", "older-pointer"]
    missing = orchestrate("migrate", "--run", "2025-01-01T00-00-00Z", "--format", "json")
    assert (missing.code, missing.document["error"]["code"]) == (6, "not-found")


def test_a_session_of_no_project_waits_for_a_task(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """With several projects a session that no folder places is left alone until $MCP_RUNNER_TASK_ID names its task."""
    early.project("other")
    first = orchestrate("migrate", "--format", "json").document
    assert [task["task_id"] for task in first["tasks"]] == [TASK, "local-mcp"]
    left = first["tasks"][1]["left_alone"]
    assert [entry["place"] for entry in left] == [f".runs/local-mcp/{SESSION_NAME}"]
    assert "$MCP_RUNNER_TASK_ID" in left[0]["reason"]
    assert first["tasks"][1]["log"].startswith(".runs/local-mcp/migrations/")
    wrong = orchestrate("migrate", env={"MCP_RUNNER_TASK_ID": "0101-biling"})
    assert (wrong.code, "0101-billing" in wrong.stderr) == (2, True)
    second = orchestrate("migrate", "--format", "json", env={"MCP_RUNNER_TASK_ID": "1-other"}).document
    made = {task["task_id"]: [entry["kind"] for entry in task["made"]] for task in second["tasks"]}
    assert made["1-other"] == ["record", "pointer", "older-pointer"]
    assert orchestrate("status", SESSION_NAME, "--format", "json").document["task_id"] == "1-other"


def test_beside_a_live_run(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A migration beside a run of the same task disturbs neither."""
    early.project("billing", {"build": "while [ ! -e go ]; do sleep 0.05; done"}, task_id=TASK)
    run = orchestrate.popen("start", "--project", "billing")
    try:
        until = time.monotonic() + 20
        while len(early.runs(TASK)) < 6:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert orchestrate("migrate").code == 0
    finally:
        early.write("packages/billing/go", "")
        run.communicate(timeout=60)
    assert run.returncode == 0
    assert early.state(TASK)["totals"]["succeeded"] == 1
    assert orchestrate("doctor").code == 0


def test_two_migrations_at_once(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Two migrations at the same time make each thing once."""
    both = [orchestrate.popen("migrate", "--format", "json") for _ in range(2)]
    documents = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(document["made"] for document in documents) == 9


def test_doctor_keeps_early_records(early: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A record of the older layout is no dangling pointer: doctor names it, and --repair keeps it."""
    run_id = "2025-10-18T18-26-01-631Z-01234567"
    for name in (run_id, "2025-10-18T18-26-01-631Z-39463"):
        early.write(f".runs/{TASK}/mcp/{name}/manifest.json", json.dumps({"status": "failed", "commands": []}))
    early.write(f".runs/{TASK}/mcp/2025-10-18T18-26-01-631Z-89abcdef/manifest.json", '{"redirect_to": "gone"}')
    before = tree(early.root / ".runs" / TASK / "mcp")
    orchestrate("doctor", "--repair")
    after = tree(early.root / ".runs" / TASK / "mcp")
    assert [path for path in before if path not in after] == [path for path in before if "89abcdef" in path]
    codes = {item["code"]: item["place"] for item in orchestrate("doctor", "--format", "json").document["findings"]}
    assert codes.get("early-record") == f".runs/{TASK}/mcp/{run_id}"
    orchestrate("migrate")
    assert "early-record" not in orchestrate("doctor").stdout


def test_an_empty_workspace(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Where the early version never was, nothing is found and nothing is made."""
    done = orchestrate("migrate")
    assert (done.code, done.stdout) == (0, "Nothing of the early version is here.\n")
    assert not (workspace.root / ".runs").exists()
