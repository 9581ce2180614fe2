"""Attacks on metrics, clocks and the order of runs: each fails visibly, and an honest day has no false alarm."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.clock import stamp
from orchestrator.store.claim_order import note_claim
from orchestrator.store.find import find_run
from tests.harness import Orchestrator, WorkspaceFolder
from tests.records import make_run_id, make_store

TASK = "1-x"


def gate(orchestrate: Orchestrator) -> tuple[int, set[str]]:
    """Return the exit code of the gate, and the codes of its findings."""
    done = orchestrate("metrics", "--gate", "--format", "json")
    return done.code, {finding["code"] for finding in done.document["gate"]["findings"]}


def ran(workspace: WorkspaceFolder, orchestrate: Orchestrator, count: int = 1) -> list[Path]:
    """Return the folders of so many runs that succeeded."""
    workspace.project("x")
    for _ in range(count):
        assert orchestrate("start", "--project", "x").code == 0
    return workspace.runs(TASK)


def metrics_of(workspace: WorkspaceFolder) -> Path:
    """Return the path of the task's metrics."""
    return workspace.root / ".runs" / TASK / "metrics.json"


def test_the_gate_of_honest_runs_is_met(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Runs that nobody touched prove their lines, a resumed one too."""
    ran(workspace, orchestrate, 2)
    workspace.project("x", {"test": "test -f ../ok"})
    assert orchestrate("start", "--project", "x").code == 3
    (workspace.root / "packages" / "ok").touch()
    assert orchestrate("resume", "latest").code == 0
    assert gate(orchestrate) == (0, set())


def invented(line: dict[str, Any]) -> dict[str, Any]:
    """Return the line of a run that never was."""
    name = make_run_id(7)
    return {**line, "run_id": name, "event_id": hashlib.sha256(f"{name}#1".encode()).hexdigest()[:32]}


def as_version_1(line: dict[str, Any]) -> dict[str, Any]:
    """Return the line of a run that never was, in version 1's shape."""
    kept = ("task_id", "pipeline_id", "status", "started_at", "completed_at", "duration_seconds", "recorded_at")
    return {**{key: line[key] for key in kept}, "run_id": make_run_id(8), "guardrails_present": True}


@pytest.mark.parametrize("make", [invented, as_version_1])
def test_an_invented_line_of_metrics_is_not_counted_as_proof(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, make: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """B10: a line that neither the chain nor a record of version 1 proves keeps the gate from being met."""
    ran(workspace, orchestrate)
    path = metrics_of(workspace)
    with path.open("a") as file:
        file.write(json.dumps(make(json.loads(path.read_text()))) + "\n")
    assert gate(orchestrate) == (4, {"metrics-unproven"})


def test_an_edited_line_of_metrics_proves_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """B10: a line that was edited is not the one that the chain has the digest of."""
    ran(workspace, orchestrate)
    path = metrics_of(workspace)
    path.write_text(json.dumps({**json.loads(path.read_text()), "sla_seconds": 5.0}) + "\n")
    assert gate(orchestrate) == (4, {"metrics-unproven"})


def test_a_line_that_was_cut_from_the_metrics_is_missed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """B10: bad lines can't be cut: the chain knows of their ends."""
    ran(workspace, orchestrate, 2)
    path = metrics_of(workspace)
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert gate(orchestrate) == (4, {"metrics-cut"})


def test_the_gate_looks_at_the_records(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A record that was altered keeps the gate of its line from being met."""
    run = ran(workspace, orchestrate)[0]
    path = run / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "summary": "perfect"}))
    assert gate(orchestrate) == (4, {"record-altered"})
    plain = orchestrate("metrics", "--format", "json")
    assert plain.document["gate"]["met"] is None, "who looked at no record says nothing of the gate"
    assert "\ncodex_orchestrator_gate_met " not in orchestrate("metrics", "--format", "openmetrics").stdout


def test_lines_of_open_runs_are_left_out_and_named(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What is not fully published counts from then on only."""
    runs = ran(workspace, orchestrate, 2)
    (workspace.root / ".runs" / TASK / ".open" / runs[0].name).touch()
    done = orchestrate("metrics", "--gate", "--format", "json")
    assert done.code == 0
    assert done.document["notes"]["open_runs"] == [runs[0].name]
    assert done.document["projects"][0]["runs"] == 1


def moved(workspace: WorkspaceFolder, run: Path, by: timedelta) -> str:
    """Give a run another time, consistently, as a wrong clock would have; return its new id."""
    ahead = datetime.now(UTC) + by
    name = f"{stamp(ahead)[:-1].replace(':', '-').replace('.', '-')}Z-0badc10c"
    old, task = run.name, workspace.root / ".runs" / TASK
    day = stamp(ahead)[:10]
    for path in (task / "metrics.json", task / "chain.jsonl", run / "manifest.json"):
        text = path.read_text().replace(old, name)
        path.write_text(text)
    document = json.loads((run / "manifest.json").read_text())
    document["started_at"] = day + document["started_at"][10:]
    document["completed_at"] = day + document["completed_at"][10:]
    (run / "manifest.json").write_text(json.dumps(document))
    run.rename(run.with_name(name))
    shutil.rmtree(task / "mcp" / old)
    shutil.rmtree(workspace.root / ".runs" / "local-mcp" / old)
    claims = workspace.root / ".runs" / ".claims"
    claims.write_text(claims.read_text().replace(old, name))
    return name


def test_latest_is_the_run_that_was_claimed_last(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """B11: a run of a clock in the future stays latest until the next start only, and is named by three commands."""
    (run,) = ran(workspace, orchestrate)
    name = moved(workspace, run, timedelta(days=400))
    last = next(folder for folder in ran(workspace, orchestrate) if folder.name != name)
    done = orchestrate("status", "--format", "json")
    assert done.document["run_id"] == last.name
    assert done.document["notes"] == []
    document = orchestrate("status", name, "--format", "json").document
    assert [note["code"] for note in document["notes"]] == ["record-in-future"]
    rows = orchestrate("runs", "--format", "json").document["runs"]
    assert [(row["run_id"], row["in_future"]) for row in rows] == [(name, True), (last.name, False)]
    codes = {finding["code"] for finding in orchestrate("doctor", "--format", "json").document["findings"]}
    assert "record-in-future" in codes


def test_runs_that_nobody_noted_come_before_those_that_are(tmp_path: Path) -> None:
    """Without the file of claims, or a line of it, the ids tell; torn and foreign lines are nobody's."""
    store = make_store(tmp_path)
    for number in (1, 2, 3):
        folder = tmp_path / ".runs" / TASK / "cli" / make_run_id(number)
        folder.mkdir(parents=True)
        document = {"version": 2, "run_id": folder.name, "task_id": TASK, "status": "failed"}
        (folder / "manifest.json").write_text(json.dumps(document))
    assert find_run(store).run_id == make_run_id(3)
    note_claim(store, make_run_id(2))
    assert find_run(store).run_id == make_run_id(2)
    with (tmp_path / ".runs" / ".claims").open("a") as file:
        file.write("\0\0torn")
    note_claim(store, make_run_id(1))
    note_claim(store, make_run_id(9))
    assert find_run(store).run_id == make_run_id(1)
    assert (tmp_path / ".runs" / ".claims").read_text().split()[-1] == make_run_id(9)


def with_clock_back(path: Path, *, host: str | None = None) -> None:
    """Append a line to a chain whose clock lies 30 days before that of the line before."""
    last = path.read_bytes().splitlines()[-1]
    document = json.loads(last)
    name = make_run_id(5)
    document.update(
        previous={key: document[key] for key in ("run_id", "attempt", "manifest_digest")},
        previous_line=hashlib.sha256(last).hexdigest(),
        run_id=name,
        event_id=hashlib.sha256(f"{name}#1".encode()).hexdigest()[:32],
        recorded_at=stamp(datetime.now(UTC) - timedelta(days=30)),
        host=host or document["host"],
    )
    with path.open("a") as file:
        file.write(json.dumps(document) + "\n")


def test_a_clock_that_went_back_is_found(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """B11: the times of one host's lines never go back by more than five minutes; another host has its own clock."""
    ran(workspace, orchestrate)
    path = workspace.root / ".runs" / TASK / "chain.jsonl"
    honest = path.read_text()
    with_clock_back(path)
    found = orchestrate("verify", "--all", "--format", "json").document["findings"]
    assert "clock-went-back" in {finding["code"] for finding in found}
    path.write_text(honest)
    with_clock_back(path, host="elsewhere")
    found = orchestrate("verify", "--all", "--format", "json").document["findings"]
    assert "clock-went-back" not in {finding["code"] for finding in found}


def test_a_line_of_an_unknown_kind_is_kept_and_noted(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A line that a later version wrote breaks nothing: the next end rests on it, and names the end before."""
    ran(workspace, orchestrate)
    path = workspace.root / ".runs" / TASK / "chain.jsonl"
    last = path.read_bytes().splitlines()[-1]
    end = json.loads(last)
    line = {
        "kind": "omen",
        "previous": {key: end[key] for key in ("run_id", "attempt", "manifest_digest")},
        "previous_line": hashlib.sha256(last).hexdigest(),
    }
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    ran(workspace, orchestrate)
    done = orchestrate("verify", "--all", "--format", "json")
    assert (done.code, done.document["findings"]) == (0, [])
    assert [note["code"] for note in done.document["records"]["notes"]] == ["unknown-kind"]
    assert gate(orchestrate) == (0, set())


def test_a_run_that_was_removed_stops_no_start(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The record of a run is gone: verify says so, and the built-in guardrail of later runs goes on."""
    run = ran(workspace, orchestrate)[0]
    shutil.rmtree(run)
    found = orchestrate("verify", "--all", "--format", "json").document["findings"]
    assert {finding["code"] for finding in found} == {"run-missing"}
    guard = orchestrate("spec-guard", "--project", "x", "--format", "json").document
    assert "run-missing" not in {finding["rule"] for finding in guard["findings"]}
