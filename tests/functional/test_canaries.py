"""Canaries: `prove` shows by a recorded run that a guardrail can fail, and what that proof is worth."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.commands.run.canary_copies import copies
from tests.harness import Orchestrator, WorkspaceFolder

ITEMS = """\
- [ ] **any**: x
- [ ] **proved**: y (needs: canary)
- [ ] **one**: y (needs: canary/licences)
- [ ] **other**: y (needs: canary/licence)
"""
LICENCES = "! grep -rL --include=*.py SPDX . | grep ."


def make(
    workspace: WorkspaceFolder,
    command: str = LICENCES,
    *,
    plant: str = '{ "src/bad.py" = "x = 1" }',
    policy: str = "",
    **more: object,
) -> None:
    """Onboard `app` with the required guardrail `licences` and its canary, and commit all."""
    guard: Mapping[str, object] = {"shell": command, "guardrail": True, "needs": [], **more}
    extra = (
        f'[guardrails]\nrequired = ["spec-guard", "licences"]\n{policy}\n'
        f'[[guardrails.canary]]\nguardrail = "licences"\nplant = {plant}\n'
    )
    workspace.project("app", {"licences": guard}, extra=extra)
    workspace.write("packages/app/good.py", "# SPDX\n")
    workspace.commit()


def entry_of(orchestrate: Orchestrator, run: str = "latest") -> dict[str, Any]:
    """Return the entry of `licences` in a run's status."""
    document = orchestrate("status", run, "--format", "json").document
    return next(entry for entry in document["guardrails"] if entry["id"] == "licences")


def notes_of(orchestrate: Orchestrator) -> list[str]:
    """Return the codes of the notes of the latest run."""
    return [note["code"] for note in orchestrate("status", "--format", "json").document["notes"]]


def test_what_goes_wrong_in_the_run_is_no_fault_of_the_copies(workspace: WorkspaceFolder) -> None:
    """An error of what is done with the copies is reported as what it is; the copies are removed."""
    make(workspace)
    made: list[str] = []

    def failing() -> None:
        folder = str(workspace.root / "packages/app")
        with copies(folder, os.environ, {"licences": {}}, "app.toml: guardrails.canary") as folders:
            made.extend(folders.values())
            raise OSError(errno.EIO, "of the run")

    with pytest.raises(OSError, match="of the run"):
        failing()
    assert [os.path.exists(folder) for folder in made] == [False]


def test_a_proof_is_a_recorded_run_bound_to_the_command(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Without a proof a run is ready and unproven; with one it cites the canary run; another command has none."""
    make(workspace)
    assert orchestrate("start").code == 0
    assert notes_of(orchestrate) == ["unproven"]
    assert orchestrate("status", "--format", "json").document["ready"]["ready"] is True
    assert orchestrate("plan", "--format", "json").document["unproven"] == ["licences"]
    first = orchestrate("status", "--format", "json").document["run_id"]

    done = orchestrate("prove", "--format", "json")
    assert (done.code, done.document["canaries"][0]["planted"]) == (0, ["failure"]), done.stderr
    proof_run = done.document["run_id"]
    latest = orchestrate("status", "--format", "json").document
    assert latest["run_id"] == first, "a canary run is never the latest"
    assert orchestrate("plan", "--format", "json").document["unproven"] == []

    assert orchestrate("start").code == 0
    assert entry_of(orchestrate)["proof"]["run_id"] == proof_run
    assert notes_of(orchestrate) == []
    assert orchestrate("verify", "--all", "--state").code == 0
    figures = orchestrate("metrics", "--format", "json").document["projects"][0]["guardrails"]
    assert figures["runs"] == 2, "a canary run is in no coverage"

    text = (workspace.root / "project_configs/app.toml").read_text()
    workspace.config("app", text.replace(LICENCES, f"{LICENCES} && :"))
    assert orchestrate("start").code == 0
    assert entry_of(orchestrate)["proof"] is None


def test_a_proof_that_was_edited_is_none(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A canary run whose record says more than its line in the chain proves nothing."""
    make(workspace, "true # sees nothing")
    done = orchestrate("prove", "--format", "json")
    assert done.code == 4
    manifest = workspace.root / done.document["manifest"]
    record = json.loads(manifest.read_text())
    assert record["commands"][1]["outcome"] == "success"
    record["commands"][1].update(outcome="failure", status="skipped", exit_code=1)
    manifest.write_text(json.dumps(record))
    notes = workspace.write(".runs/.proofs/licences@app.json", "")
    notes.write_text(f'{{"task_id": "1-app", "run_id": "{done.document["run_id"]}"}}')
    assert orchestrate("plan", "--format", "json").document["unproven"] == ["licences"]


def test_required_proofs_are_advisory_until_proved(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """With `proof = "required"` an unproven guardrail is advisory, and the run is not ready; `prove` settles it."""
    make(workspace, policy='proof = "required"')
    assert orchestrate("start").code == 0
    entry = entry_of(orchestrate)
    assert (entry["outcome"], entry["reason"].partition(":")[0]) == ("advisory", "unproven")
    assert orchestrate("status", "--format", "json").document["ready"]["reasons"][0]["code"] == "guardrail-advisory"
    assert orchestrate("prove").code == 0
    assert orchestrate("start").code == 0
    assert entry_of(orchestrate)["outcome"] == "passed"
    assert orchestrate("status", "--format", "json").document["ready"]["ready"] is True


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        pytest.param("test -d .", 4, "it passed", id="passes"),
        pytest.param("! test -e good.py", 3, "must succeed on the tracked tree", id="fails-on-the-clean-tree"),
        pytest.param("test ! -e src/bad.py || nosuch-program", 4, "not found", id="not-found"),
        pytest.param("test ! -e src/bad.py || kill -9 $$", 4, "signal", id="signal"),
        pytest.param("test ! -e src/bad.py || sleep 30", 4, "timeout", id="timeout"),
        pytest.param("test ! -e other/bad.py", 4, "it passed", id="never-reached"),
    ],
)
def test_what_is_no_proof(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, command: str, code: int, said: str
) -> None:
    """A guard that passes, fails on the clean tree, is not found, is killed or times out proves nothing."""
    make(workspace, command, timeout="2s")
    done = orchestrate("prove", "--format", "json")
    assert done.code == code, done.stdout
    assert done.document["canaries"][0]["proved"] is False
    assert said in done.document["canaries"][0]["reason"]
    assert orchestrate("plan", "--format", "json").document["unproven"] == ["licences"]


@pytest.mark.parametrize(
    "path", ["../bad.py", "/tmp/bad.py", "a/../../bad.py", ".git/hooks/x", "a//b", "", "dir/", "x\\u0000y"]
)
def test_files_are_planted_in_the_project_only(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, path: str
) -> None:
    """A path that leads out of the project is refused at load, by every command that reads the config."""
    make(workspace, plant=f'{{ "{path}" = "x" }}')
    done = orchestrate("plan")
    assert done.code == 2
    assert "guardrails.canary" in done.stderr


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('guardrail = "licences"', 'guardrail = "license"', "no pipeline has a stage"),
        ('guardrail = "licences"', 'guardrail = "spec-guard"', "built-in guard needs no canary"),
        ('plant = { "src/bad.py" = "x = 1" }', "plant = {}", "must name a file"),
        ('plant = { "src/bad.py" = "x = 1" }', 'plant = { "a" = "", "a/b" = "" }', "as a folder of another one"),
        ("[[guardrails.canary]]", '[[pipelines.canary.stages]]\nid="x"\nrun="true"\n[[guardrails.canary]]', "'prove'"),
    ],
)
def test_faults_of_a_canary_are_refused_at_load(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, before: str, after: str, said: str
) -> None:
    """A canary of no stage, of the built-in guard, without a file, and a pipeline of the reserved name are faults."""
    make(workspace)
    text = (workspace.root / "project_configs/app.toml").read_text()
    assert before in text
    workspace.config("app", text.replace(before, after))
    done = orchestrate("start")
    assert done.code == 2
    assert said in done.stderr


def test_no_file_is_planted_through_a_link(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A tracked link to a folder elsewhere takes no planted file along."""
    make(workspace)
    outside = workspace.root / "outside"
    outside.mkdir()
    (workspace.root / "packages/app/src").symlink_to(outside)
    workspace.commit()
    done = orchestrate("prove")
    assert done.code == 2
    assert "can't be planted" in done.stderr
    assert list(outside.iterdir()) == []


def test_what_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """No canary and no repository are 2; a canary run is neither started nor resumed by name."""
    workspace.project("app")
    assert orchestrate("prove").code == 2
    make(workspace, "test -e nothing")
    assert orchestrate("start", "canary").code == 2
    failed = orchestrate("prove", "--format", "json")
    assert failed.code == 3
    assert orchestrate("resume", failed.document["run_id"]).code == 5
    (workspace.root / ".git").rename(workspace.root / "git-away")
    done = orchestrate("prove")
    assert (done.code, "repository" in done.stderr) == (2, True)


def test_a_canary_run_ticks_only_what_asks_for_it(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It shows that a guardrail can fail, and nothing of the project: an item without needs is not proved by it."""
    workspace.write("tasks/tasks-1-app.md", ITEMS)
    make(workspace)
    done = orchestrate("prove", "--format", "json")
    assert done.code == 0, done.stderr
    run = done.document["run_id"]
    refused = orchestrate("checklist", "tick", "any", "--run", run, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "not-covered")
    assert orchestrate("checklist", "tick", "proved", "one", "--run", run).code == 0
    assert orchestrate("checklist", "tick", "other", "--run", run).code == 4
    text = (workspace.root / "tasks/tasks-1-app.md").read_text()
    proof = text[text.index(" \u2014 [run") : text.index("\n", text.index(" \u2014 [run"))]
    for place in ("tasks/tasks-1-app.md", "docs/checklists/1-app.md", ".agent/task/1-app.md"):
        path = workspace.root / place
        forged = path.read_text().replace("- [ ] **any**: x", f"- [x] **any**: x{proof}")
        workspace.write(place, forged)
    found = orchestrate("verify", "--docs", "--format", "json").document["findings"]
    assert "not-covered" in {finding["code"] for finding in found}


def test_a_proof_that_failed_is_made_again(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Its copies are gone, so that no resume brings it on: what comes next is ``prove``."""
    make(workspace, "false")
    failed = orchestrate("prove", "--project", "app", "--format", "json").document
    found = orchestrate("status", failed["run_id"], "--format", "json").document
    assert found["next_argv"] == ["codex-orchestrator", "prove", "--project", "app"]
    assert {entry["next_command"] for entry in found["failed"]} == {"codex-orchestrator prove --project app"}
    assert orchestrate("resume", failed["run_id"]).code == 5
    assert orchestrate(*found["next_argv"][1:]).code == 3
