"""The plan cache is believed by nobody who decides: an edited one is not read, one that is sealed again is compared."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cache_seals import edit_cached, state_of
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


def poison(workspace: WorkspaceFolder, state: Path | None, stage: str, **keys: Any) -> None:
    """Change a stage of the plan in the cache; with ``state`` as the account itself can, which has the seal's key."""
    (entry,) = (workspace.root / ".runs" / ".cache").glob("plan-*.json")

    def change(document: dict[str, Any]) -> None:
        for planned in document["plan"]["stages"]:
            if planned["id"] == stage:
                planned.update(keys)

    edit_cached(entry, change, state)


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


def test_an_edited_plan_is_compiled_anew(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A command that was changed in the cache, by hand or by a stage, is not run: run and `status` stay red."""
    assert orchestrate("start", "--project", "x").code == 3
    poison(codebase, None, "licences", shell="test -d .")
    assert orchestrate("start", "--project", "x").code == 3
    planned = {stage["id"]: stage for stage in codebase.manifest(codebase.runs("1-x")[-1])["plan"]["stages"]}
    assert planned["licences"]["shell"] == GUARD["shell"]
    assert "run-not-succeeded" in codes(orchestrate("status", "--format", "json"))
    assert orchestrate("verify", "--all", "--state").code == 0


def test_no_home_and_a_moved_folder_are_no_alarm(
    codebase: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """Without a key, and in a copy of the folder under another one: the plan is compiled, and all is well."""
    codebase.write("packages/x/good", "")
    assert orchestrate("start", "--project", "x").code == 0
    copy = tmp_path / "copy"
    shutil.copytree(codebase.root, copy, symlinks=True)
    for cwd, home in ((codebase.root, ""), (copy, str(tmp_path))):
        assert orchestrate("start", "--project", "x", cwd=cwd, env={"HOME": home}).code == 0
        verified = orchestrate("verify", "--all", "--state", cwd=cwd, env={"HOME": home})
        assert verified.code == 0, verified.stdout


@pytest.mark.parametrize("line", ["test -d .", "true"])
def test_a_poisoned_cache_makes_no_green(codebase: WorkspaceFolder, orchestrate: Orchestrator, line: str) -> None:
    """The account itself replaces the guardrail's command, and seals it: review, tick, export and verify say so."""
    assert orchestrate("start", "--project", "x").code == 3
    poison(codebase, state_of(orchestrate.environ), "licences", shell=line)
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
    """An edited one is compiled anew; a sealed one is refused by the pipeline that is reached, and verify says why."""
    codebase.project("top", {"far": {"pipeline": "diagnostics", "project": "x"}}, pipeline="all")
    codebase.write("packages/x/good", "")
    assert orchestrate("start", "all", "--project", "top").code == 0
    entry = next(
        path
        for path in (codebase.root / ".runs" / ".cache").glob("plan-*.json")
        if json.loads(path.read_text())["plan"]["project"] == "top"
    )

    def change(document: dict[str, Any]) -> None:
        document["plan"]["subplans"][0]["stages"] = document["plan"]["subplans"][0]["stages"][:1]

    edit_cached(entry, change, None)
    assert orchestrate("start", "all", "--project", "top").code == 0
    edit_cached(entry, change, state_of(orchestrate.environ))
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
    waiver = {"guardrail": "licences", "reason": "r", "approved_by": "me", "until": "2099-01-01"}

    def change(document: dict[str, Any]) -> None:
        document["plan"].update(required_guardrails=[], waivers=[waiver])
        for stage in document["plan"]["stages"]:
            stage["allow_failure"] |= stage["id"] == "licences"

    edit_cached(entry, change, state_of(orchestrate.environ))
    assert orchestrate("start", "--project", "x").code == 3
    verdict = {each["id"]: each for each in codebase.manifest(codebase.runs("1-x")[-1])["guardrails"]}["licences"]
    assert (verdict["required"], verdict["outcome"]) == (True, "failed")
    assert not orchestrate("status", "--format", "json").document["ready"]["ready"]
