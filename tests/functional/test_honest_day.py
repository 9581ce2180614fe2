"""A day without an attack: nothing that an honest user, a crash or an older version leaves is reported as altered."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from tests.harness import Done, Orchestrator, WorkspaceFolder

TASK = "1-x"
LIST = "- [ ] **built**: it builds (needs: diagnostics/build)\n"


def clean(*answers: Done) -> None:
    """Assert that each command found nothing."""
    assert [(done.code, done.stdout, done.stderr) for done in answers if done.code != 0] == []


def judged(orchestrate: Orchestrator) -> tuple[Done, ...]:
    """Return the answers of what judges records."""
    return orchestrate("verify", "--all", "--docs", "--state"), orchestrate("doctor")


def test_a_day_of_work_has_no_false_alarm(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Start, fix, resume, start, approve, export, tick, a kill, a new tick, a line that was lost: all stay green."""
    folder = workspace.project("x", {"test": "test -f ok && if test -f slow; then sleep 60; fi"})
    for place in ("tasks/tasks-1-x.md", "docs/checklists/1-x.md", ".agent/task/1-x.md"):
        workspace.write(place, LIST)
    workspace.write(".gitignore", "/.runs/\n/out/\n/.nox/\n")
    commit = ("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "work")

    def committed() -> None:
        for words in (("add", "-A"), commit):
            subprocess.run(["git", "-C", str(workspace.root), *words], check=True, capture_output=True)

    subprocess.run(["git", "-C", str(workspace.root), "init", "-q", "-b", "main"], check=True)
    committed()
    assert orchestrate("start", "--project", "x").code == 3
    (folder / "ok").touch()
    committed()
    assert orchestrate("resume", "latest").code == 0
    assert orchestrate("start", "--project", "x").code == 0
    clean(orchestrate("review", "latest", "--decision", "approve", "--reason", "fine", "--actor", "bob"))
    run = workspace.runs(TASK)[-1]
    clean(*judged(orchestrate), orchestrate("metrics", "--gate"), orchestrate("export", run.name, "--as", "in-toto"))
    clean(orchestrate("checklist", "tick", "built", "--task", TASK, "--run", run.name))
    killed(workspace, orchestrate, folder)
    clean(orchestrate("start", "--project", "x"), *judged(orchestrate))
    clean(orchestrate("checklist", "tick", "built", "--task", TASK, "--run", "latest"), *judged(orchestrate))
    clean(orchestrate("start", "--project", "x"))
    chain = workspace.root / ".runs" / TASK / "chain.jsonl"
    chain.write_text("".join(chain.read_text().splitlines(keepends=True)[:-1]))
    clean(orchestrate("review", "latest", "--decision", "comment", "--reason", "x", "--actor", "bob"))
    clean(*judged(orchestrate))
    status = json.loads(orchestrate("status", "latest", "--format", "json").stdout)
    assert status["ready"] == {"ready": True, "reasons": []}


def killed(workspace: WorkspaceFolder, orchestrate: Orchestrator, folder: Path) -> None:
    """Start a run and end its process by SIGKILL while a stage runs."""
    (folder / "slow").touch()
    before = len(workspace.runs(TASK))
    process = orchestrate.popen("start", "--project", "x")
    until = time.monotonic() + 60
    while len(workspace.runs(TASK)) == before or not list(workspace.runs(TASK)[-1].glob("commands/03-*")):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.kill()
    process.communicate()
    (folder / "slow").unlink()
