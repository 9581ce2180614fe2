"""No command loads more than the table of ``tests/import_budget.py`` allows it."""

from __future__ import annotations

import subprocess

import pytest

from tests.harness import Orchestrator, WorkspaceFolder
from tests.import_budget import BUDGET, Row, imported

PLANNED = ("plan", "--affected", "--base", "HEAD")


def put_in_state(state: str, workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Bring a workspace into the state that a row asks for."""
    if state == "empty":
        return
    if state in ("started", "keyed", "planned"):
        workspace.project("x")
    else:
        stage = {"run": "test -d src", "inputs": ["src/**"]}
        stages = dict.fromkeys(("build", "lint", "test", "spec-guard"), stage)
        workspace.project("x", stages, extra="[guardrails]\nreuse = true")
        workspace.write("packages/x/src/a.txt", "a")
        git = ("git", "-C", str(workspace.root), "-c", "user.name=t", "-c", "user.email=t@localhost")
        for words in (("init", "-q"), ("add", "project_configs", "packages"), ("commit", "-q", "-m", "all")):
            subprocess.run([*git, *words], check=True)
    if state == "planned":
        workspace.commit()
        workspace.write("packages/x/new.txt", "")
        (workspace.root / ".runs").mkdir(exist_ok=True)
        assert len(orchestrate(*PLANNED, "--format", "json").document["selection"]["projects"]) == 1
        return
    key = ("--key", "a") if state == "keyed" else ()
    assert orchestrate("start", "--project", "x", *key).code == 0


@pytest.mark.parametrize("row", BUDGET, ids=lambda row: row.name)
def test_a_command_loads_what_it_may(row: Row, workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Nothing that the row excludes is loaded, everything that it names is."""
    put_in_state(row.after, workspace, orchestrate)
    loaded = imported(orchestrate, *row.words)
    assert sorted(loaded & row.without) == []
    assert sorted(row.with_ - loaded) == []
    if row.exactly is not None:
        assert {name for name in loaded if name.startswith("orchestrator")} == row.exactly
    if row.after == "cached":
        last = workspace.manifest(workspace.runs("1-x")[-1])
        assert {command["status"] for command in last["commands"]} == {"skipped"}
