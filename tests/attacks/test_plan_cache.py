"""The plan cache is believed by nobody who decides (trust.md A5): what it holds is compared with the config."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

GUARD = {"shell": "test -e good", "guardrail": True}


@pytest.fixture
def codebase(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A codebase under git with a guardrail of its own, which fails; its plan is in the cache after a first run."""
    workspace.project("x", {"licences": GUARD}, extra='[guardrails]\nrequired = ["licences"]\n')
    workspace.write(".gitignore", "/.runs/\n/out/\n/.nox/\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], cwd=workspace.root, check=True)
    return workspace


def poison(workspace: WorkspaceFolder, stage: str, **keys: Any) -> None:
    """Change a stage of the plan in the cache."""
    (entry,) = (workspace.root / ".runs" / ".cache").glob("plan-*.json")
    document = json.loads(entry.read_text())
    for planned in document["plan"]["stages"]:
        if planned["id"] == stage:
            planned.update(keys)
    entry.write_text(json.dumps(document))


def codes(answer: Any) -> set[str]:
    """Return the codes of the reasons that a run is not ready for, or of findings."""
    document = answer.document
    return {entry["code"] for entry in document.get("findings") or document["ready"]["reasons"]}


def test_an_honest_plan_is_of_its_config(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """From the compiler and from the cache, today and after the config went on; nothing is found."""
    codebase.write("packages/x/good", "")
    for _ in range(2):
        assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("verify", "--all").code == 0
    assert "plan-not-of-config" not in codes(orchestrate("review", "latest", "--format", "json"))
    config: Path = codebase.root / "project_configs" / "x.toml"
    config.write_text(config.read_text().replace("test -e good", "test -e better"))
    verified = orchestrate("verify", "--all", "--format", "json")
    assert verified.code == 0, verified.stdout
    # The bytes that the run names are in git.
    assert not [note for note in verified.document["records"]["notes"] if note["code"] == "plan-not-comparable"]


def test_a_config_that_is_nowhere_any_more_is_a_note(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It was never committed: then nothing can be compared, which is said and is no finding."""
    codebase.write("packages/x/good", "")
    config: Path = codebase.root / "project_configs" / "x.toml"
    config.write_text(config.read_text() + "# draft\n")
    assert orchestrate("start", "--project", "x").code == 0
    config.write_text(config.read_text() + "# draft 2\n")
    verified = orchestrate("verify", "--all", "--format", "json")
    assert verified.code == 0, verified.stdout
    assert [note["code"] for note in verified.document["records"]["notes"]] == ["plan-not-comparable"]


@pytest.mark.parametrize("line", ["test -d .", "true"])
def test_a_poisoned_cache_makes_no_green(codebase: WorkspaceFolder, orchestrate: Orchestrator, line: str) -> None:
    """The guardrail's command is replaced in the cache: review, tick, export and verify say so; a form too."""
    assert orchestrate("start", "--project", "x").code == 3
    poison(codebase, "licences", shell=line)
    assert orchestrate("start", "--project", "x").code == 0
    planned = codebase.manifest(codebase.runs("1-x")[-1])["plan"]
    flagged = "guardrail-cannot-fail" in {flag["code"] for flag in planned["flags"]}
    assert flagged == (line == "true")
    reviewed = orchestrate("review", "latest", "--format", "json")
    assert reviewed.code == 4
    assert "plan-not-of-config" in codes(reviewed)
    approved = orchestrate("review", "latest", "--decision", "approve", "--actor", "zoe", "--format", "json")
    assert approved.code != 0
    verified = orchestrate("verify", "--all", "--format", "json")
    assert verified.code == 4
    assert "plan-not-of-config" in codes(verified)
    exported = orchestrate("export", "latest", "--format", "json")
    assert exported.code != 0


def test_a_poisoned_sub_pipeline_is_found_too(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A pipeline that is reached refuses to be another one than the record of the run above says; verify says why."""
    codebase.project("top", {"far": {"pipeline": "diagnostics", "project": "x"}}, pipeline="all")
    codebase.write("packages/x/good", "")
    assert orchestrate("start", "all", "--project", "top").code == 0
    entry = next(
        path
        for path in (codebase.root / ".runs" / ".cache").glob("plan-*.json")
        if json.loads(path.read_text())["plan"]["project"] == "top"
    )
    document = json.loads(entry.read_text())
    document["plan"]["subplans"][0]["stages"] = document["plan"]["subplans"][0]["stages"][:1]
    entry.write_text(json.dumps(document))
    started = orchestrate("start", "all", "--project", "top")
    assert (started.code, "the plan has changed since its parent run began" in started.stdout) == (3, True)
    verified = orchestrate("verify", "latest", "--format", "json")
    assert verified.code == 4
    assert "plan-not-of-config" in codes(verified)


def test_what_is_required_is_not_the_caches_word(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A failing guardrail that the entry no longer requires, or waives, is required all the same, and `status` red."""
    config: Path = codebase.root / "project_configs" / "x.toml"
    config.write_text(config.read_text().replace("guardrail = true", "guardrail = true\nallow_failure = false"))
    assert orchestrate("start", "--project", "x").code == 3
    (entry,) = (codebase.root / ".runs" / ".cache").glob("plan-*.json")
    document = json.loads(entry.read_text())
    waiver = {"guardrail": "licences", "reason": "r", "approved_by": "me", "until": "2099-01-01"}
    document["plan"].update(required_guardrails=[], waivers=[waiver])
    for stage in document["plan"]["stages"]:
        stage["allow_failure"] |= stage["id"] == "licences"
    entry.write_text(json.dumps(document))
    assert orchestrate("start", "--project", "x").code == 3
    verdict = {each["id"]: each for each in codebase.manifest(codebase.runs("1-x")[-1])["guardrails"]}["licences"]
    assert (verdict["required"], verdict["outcome"]) == (True, "failed")
    assert not orchestrate("status", "--format", "json").document["ready"]["ready"]
