"""The config of the base commit decides what may be asked: what asks for less is recorded, and needs an approval."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder


def git(workspace: WorkspaceFolder, *arguments: str) -> None:
    """Run git in the workspace."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    subprocess.run(["git", *identity, *arguments], cwd=workspace.root, check=True, capture_output=True)


@pytest.fixture
def codebase(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A codebase on a branch off main, whose config is main's."""
    workspace.project("x", pipeline="work", stages={"test": "true"})
    workspace.write(".gitignore", "/.runs/\n/out/\n/.nox/\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "x"]):
        git(workspace, *command)
    git(workspace, "commit", "-q", "--allow-empty", "-m", "y")
    git(workspace, "switch", "-qc", "topic")
    return workspace


def change(workspace: WorkspaceFolder, old: str, new: str) -> None:
    """Change the config."""
    path = workspace.root / "project_configs" / "x.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def started(orchestrate: Orchestrator) -> tuple[dict[str, Any], list[str]]:
    """Start a run; return its status document and the codes that it is not ready for."""
    assert orchestrate("start", "work", "--project", "x").code == 0
    status = orchestrate("status", "--format", "json").document
    return status, [reason["code"] for reason in status["ready"]["reasons"]]


def test_an_unchanged_config_has_nothing_to_say(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """On the branch and on main itself."""
    for branch in ("topic", "main"):
        git(codebase, "switch", "-q", branch)
        status, codes = started(orchestrate)
        assert (status["policy"], codes) == ([], [])


def test_a_softened_policy_needs_an_approval(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Committed or not, what asks for less is in the record, and the run is ready once somebody else approved it."""
    change(codebase, 'shell = "true"', 'shell = "true"\nallow_failure = true')
    status, codes = started(orchestrate)
    assert "policy-softened" in codes
    assert [entry["key"] for entry in status["policy"]] == ["pipelines.work.stages[test].allow_failure"]
    git(codebase, "commit", "-qam", "soften")
    assert "policy-softened" in started(orchestrate)[1]


def test_a_command_that_changed_is_only_named(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The run is ready all the same; a config that the base doesn't have is a note."""
    change(codebase, 'shell = "true"', 'shell = "true && true"')
    status, codes = started(orchestrate)
    assert ([entry["code"] for entry in status["policy"]], codes) == (["command-changed"], [])
    codebase.project("y", pipeline="work", stages={"test": "true"})
    assert orchestrate("start", "work", "--project", "y").code == 0
    status = orchestrate("status", "--format", "json").document
    assert [entry["code"] for entry in status["policy"]] == ["policy-not-compared"]
    assert status["ready"]["ready"]


def test_a_project_that_lies_elsewhere_is_named(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Another folder than the base's is told with both, as guard, build and test looked at that one alone."""
    codebase.write("packages/z/a.py", "x = 1\n")
    change(codebase, 'path = "packages/x"', 'path = "packages/z"')
    status, codes = started(orchestrate)
    assert ([(entry["code"], entry["key"]) for entry in status["policy"]], codes) == (
        [("command-changed", "project.path")],
        [],
    )
    assert "'packages/z', and 'packages/x' at the base" in status["policy"][0]["message"]


def test_without_a_repository_nothing_is_compared(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """And nothing is said of it."""
    workspace.project("x", pipeline="work", stages={"test": "true"})
    status, codes = started(orchestrate)
    assert (status["policy"], codes) == ([], [])


def test_a_run_that_is_answered_by_the_cache_keeps_the_policy(
    codebase: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A softened config is compared although no stage of it changed, and stays so in runs that nothing runs in."""
    cached = 'shell = "true"\ninputs = ["in"]'
    change(codebase, 'shell = "true"', cached)
    codebase.write("packages/x/in", "1")
    git(codebase, "commit", "-qam", "inputs")
    git(codebase, "branch", "-f", "main")
    for _ in range(2):
        assert started(orchestrate)[1] == []
    change(codebase, "[session]", "[metrics]\nmin_coverage = 0.1\n[session]")
    for _ in range(3):
        status, codes = started(orchestrate)
        assert [entry["key"] for entry in status["policy"]] == ["metrics.min_coverage"]
        assert "policy-softened" in codes
        assert status["commands"][0]["outcome"] == "skip"


def test_the_base_that_the_base_names_counts(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``[spec_guard] base`` of the default base's config names the base; one that the change itself brings does not."""
    git(codebase, "branch", "release")
    change(codebase, "[session]", '[spec_guard]\nbase = "HEAD"\n[metrics]\nmin_coverage = 0.1\n[session]')
    git(codebase, "commit", "-qam", "another base")
    softened = [entry["key"] for entry in started(orchestrate)[0]["policy"]]
    assert softened == ["metrics.min_coverage", "spec_guard.base"]
    change(codebase, 'base = "HEAD"', 'base = "release"')
    git(codebase, "commit", "-qam", "a base that main has too")
    git(codebase, "branch", "-f", "main")
    git(codebase, "commit", "-q", "--allow-empty", "-m", "z")
    softened = [entry["key"] for entry in started(orchestrate)[0]["policy"]]
    assert softened == ["metrics.min_coverage"]
    git(codebase, "branch", "-f", "release", "main")
    assert started(orchestrate)[0]["policy"] == []


def test_a_project_that_is_reached_asks_no_less(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A stage that is another project's pipeline is as strong as that: softened there is softened here."""
    workspace.project("x", {"test": {"pipeline": "smoke", "project": "y"}}, pipeline="work")
    workspace.project("y", {"test": "true"}, pipeline="smoke")
    workspace.commit()
    workspace.commit("again")
    config = workspace.root / "project_configs" / "y.toml"
    assert started(orchestrate)[1] == []
    config.write_text(config.read_text() + "allow_failure = true\n")
    key = "y: pipelines.smoke.stages[test].allow_failure"
    status, codes = started(orchestrate)
    assert ([entry["key"] for entry in status["policy"]], codes) == ([key], ["policy-softened"])
    workspace.commit("soften")
    assert "policy-softened" in started(orchestrate)[1]
    approved = orchestrate("review", "latest", "--decision", "approve", "--reason", "r", "--actor", "bob")
    assert approved.code == 0, approved.stderr
    assert orchestrate("status", "--format", "json").document["ready"]["ready"]
    workspace.commit("later")
    assert started(orchestrate)[1] == []


def test_documents_that_need_no_proof_any_more_soften(codebase: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A later ``[docs] since`` or a wider ``ignore`` than the base's excuses ticks: on its own commit of main, too."""
    codebase.write("workspace.toml", 'schema_version = 1\n[docs]\nsince = "abcdef0"\nignore = ["docs/old/**"]\n')
    keys = ["workspace.toml: docs.since", "workspace.toml: docs.ignore"]
    status, codes = started(orchestrate)
    assert ([entry["key"] for entry in status["policy"]], codes) == (keys, ["policy-softened"])
    for command in (["add", "-A"], ["commit", "-qm", "since"], ["switch", "-q", "main"], ["merge", "-q", "topic"]):
        git(codebase, *command)
    assert [entry["key"] for entry in started(orchestrate)[0]["policy"]] == keys
