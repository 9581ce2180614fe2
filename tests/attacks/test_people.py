"""Approvals that nobody gave: the run's own account under other names, and two names of one account."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.manifest.manifest import manifest_digest
from tests.harness import Done, Orchestrator, WorkspaceFolder, clean_environ

ALONE = {"GIT_AUTHOR_EMAIL": "tester@example.org"}


@pytest.fixture
def local(workspace: WorkspaceFolder, home: Path) -> Orchestrator:
    """Call the program outside of CI, as one account of this machine."""
    environ = clean_environ(home)
    return Orchestrator(workspace.root, {k: v for k, v in environ.items() if not k.startswith("CIRCLE")} | ALONE)


def approve(call: Orchestrator, actor: str | None = None, env: Mapping[str, str] | None = None) -> Done:
    """Approve the latest run as ``actor``, from the account that ``call`` and ``env`` have."""
    named = () if actor is None else ("--actor", actor)
    # Not as a job of CI, which the harness would make of a reviewer.
    own = {"CIRCLECI": "", "CIRCLE_USERNAME": ""}
    return call("review", "latest", "--decision", "approve", "--format", "json", *named, env={**own, **(env or {})})


@pytest.mark.parametrize("actor", [None, "boss", "tester\u200b", "tеster", "tester.", "tester@example.com"])
@pytest.mark.parametrize("starter", ["ci-bot", "tester"])
def test_the_own_account_approves_under_no_name(
    workspace: WorkspaceFolder, local: Orchestrator, starter: str, actor: str | None
) -> None:
    """Who typed the start is recorded, so that another name, at the start or at the approval, helps nobody."""
    workspace.project("app")
    workspace.commit()
    assert local("start", "--actor", starter).code == 0
    done = approve(local, actor)
    assert done.code == (2 if actor == "tester\u200b" else 5)
    assert done.document["error"]["code"] == ("bad-actor" if actor == "tester\u200b" else "own-run")
    assert workspace.manifest(workspace.runs("1-app")[0])["approvals"] == []


def test_a_ci_actor_of_the_start_is_no_disguise(workspace: WorkspaceFolder, local: Orchestrator) -> None:
    """A start that claims to be somebody's job is still of this machine's user."""
    workspace.project("app")
    workspace.commit()
    assert local("start", env={"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "zed"}).code == 0
    assert approve(local).code == 5
    assert approve(local, "zed").code == 5


def test_two_names_of_one_account_are_one_approval(workspace: WorkspaceFolder, local: Orchestrator) -> None:
    """Of two approvals that the project asks for, two from one account are one."""
    workspace.project("app", extra="[review]\napprovals = 2\n")
    workspace.commit()
    job = {"GITHUB_ACTIONS": "true"}
    assert local("start", env={**job, "GITHUB_ACTOR": "zed"}).code == 0
    ann = {**job, "GITHUB_ACTOR": "ann"}
    assert approve(local, "ann", ann).code == 0
    assert approve(local, "security-team", ann).code == 0
    ready = local("status", "--format", "json").document["ready"]
    assert [reason["code"] for reason in ready["reasons"]] == ["approval-missing"]
    assert approve(local, "bob", {**job, "GITHUB_ACTOR": "bob"}).code == 0
    assert local("status", "--format", "json").document["ready"]["ready"]


def test_an_honest_reviewer_is_not_stopped(workspace: WorkspaceFolder, local: Orchestrator) -> None:
    """Two jobs of one runner machine, whose login and git e-mail are the same, are two people."""
    workspace.project("app", extra="[review]\napprovals = 1\n")
    workspace.commit()
    job = {"GITHUB_ACTIONS": "true", "GIT_AUTHOR_EMAIL": "runner@ci.example", "LOGNAME": "runner"}
    assert local("start", env={**job, "GITHUB_ACTOR": "ann"}).code == 0
    assert approve(local, None, {**job, "GITHUB_ACTOR": "bob"}).code == 0
    assert local("status", "--format", "json").document["ready"]["ready"]


def reviewed(workspace: WorkspaceFolder, orchestrate: Orchestrator, decision: str) -> Path:
    """Return the manifest of a green run that bob decided about."""
    workspace.project("app")
    workspace.write("tasks/tasks-1-app.md", "- [ ] **approved**: x (needs: approval)\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    words = ("review", "latest", "--decision", decision, "--actor", "bob", "--reason", "no tests")
    assert orchestrate(*words).code == 0
    return workspace.runs("1-app")[0] / "manifest.json"


def change(path: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Edit the reviews in a manifest by hand."""
    document = json.loads(path.read_text())
    edit(document["approvals"])
    path.write_text(json.dumps(document))


def found(orchestrate: Orchestrator) -> set[str]:
    """Return the codes that ``verify`` finds."""
    document = orchestrate("verify", "--all", "--state", "--format", "json").document
    return {finding["code"] for finding in document["findings"]}


@pytest.mark.parametrize(
    "edit",
    [
        lambda entries: entries.append({**entries[0], "actor": "boss", "role": "security"}),
        lambda entries: entries[0].update(actor="boss"),
        lambda entries: entries[0].update(decision="request-changes"),
        lambda entries: entries.insert(0, {**entries[0], "actor": "boss"}),
    ],
)
def test_a_decision_that_was_typed_in_is_found(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, edit: Callable[[list[dict[str, Any]]], object]
) -> None:
    """An approval without its line in the chain, and one that says something else, proves nothing anywhere."""
    path = reviewed(workspace, orchestrate, "approve")
    assert found(orchestrate) == set()
    change(path, edit)
    assert found(orchestrate) == {"review-altered"}
    ready = orchestrate("status", "--format", "json").document["ready"]
    assert ready["reasons"][0]["code"] == "record-altered"
    words = ("review", "latest", "--decision", "comment", "--actor", "carl", "--reason", "x", "--format", "json")
    refused = orchestrate(*words)
    assert (refused.code, refused.document["error"]["code"]) == (7, "record-altered")
    assert orchestrate("checklist", "tick", "approved", "--run", "latest").code in (4, 7)


def test_a_refusal_that_vanishes_still_counts(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A request for changes that was deleted from the manifest stands, is found, and comes back with the next write."""
    path = reviewed(workspace, orchestrate, "request-changes")
    change(path, list.clear)
    ready = orchestrate("status", "--format", "json").document["ready"]
    assert [reason["code"] for reason in ready["reasons"]] == ["changes-requested"]
    assert found(orchestrate) == {"decision-missing"}
    assert orchestrate("checklist", "tick", "approved", "--run", "latest").code == 4
    assert orchestrate("review", "latest", "--decision", "comment", "--actor", "carl", "--reason", "x").code == 0
    assert [entry["decision"] for entry in json.loads(path.read_text())["approvals"]] == ["request-changes", "comment"]
    assert found(orchestrate) == set()


def test_a_decision_moves_nowhere(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An approval that is copied to another run, bound to it, or whose line names it, makes that run no readier."""
    one = reviewed(workspace, orchestrate, "request-changes")
    assert orchestrate("review", "latest", "--decision", "approve", "--actor", "carl", "--reason", "x").code == 0
    assert orchestrate("start").code == 0
    other = workspace.runs("1-app")[1] / "manifest.json"
    chain = one.parents[2] / "chain.jsonl"
    honest = {path: path.read_text() for path in (one, other, chain)}
    approval = json.loads(one.read_text())["approvals"][1]
    document = json.loads(other.read_text())
    last = document["provenance"][0]
    bound = {**approval, "manifest_digest": manifest_digest(document), "commit": last["commit"]}
    lines = chain.read_text().splitlines()
    first, second = (number for number, line in enumerate(lines) if '"kind": "review"' in line)
    swapped = [*lines]
    swapped[first], swapped[second] = lines[second], lines[first]
    renamed = [*lines]
    renamed[second] = lines[second].replace(one.parent.name, other.parent.name)
    for path, content, altered in (
        (other, json.dumps({**document, "approvals": [approval]}), other),
        (other, json.dumps({**document, "approvals": [{**bound, "tree_digest": last["tree_digest"]}]}), other),
        (chain, "\n".join(swapped) + "\n", one),
        (chain, "\n".join(renamed) + "\n", one),
    ):
        path.write_text(content)
        assert "review-altered" in found(orchestrate)
        ready = orchestrate("status", altered.parent.name, "--format", "json").document["ready"]
        assert "record-altered" in {reason["code"] for reason in ready["reasons"]}
        path.write_text(honest[path])
    assert found(orchestrate) == set()


def test_a_line_of_a_decision_that_is_taken_out_breaks_the_chain(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Neither the line of a decision nor one before it can be removed."""
    path = reviewed(workspace, orchestrate, "approve")
    assert orchestrate("start").code == 0
    chain = path.parents[2] / "chain.jsonl"
    lines = chain.read_text().splitlines(keepends=True)
    assert [json.loads(line).get("kind") for line in lines] == [None, "review", None]
    chain.write_text(lines[0] + lines[2])
    assert {"chain-broken", "review-altered"} <= found(orchestrate)


@pytest.mark.parametrize("name", ["ann\u200b", "ann\u202eb", "a\x1bb", "ann\U000e0041", "ann\u00ad", "a\u2028b"])
def test_no_invisible_name_starts_or_resumes(workspace: WorkspaceFolder, local: Orchestrator, name: str) -> None:
    """A name with control or format characters is refused by `start`, `resume` and `cancel`, and nothing is written."""
    workspace.project("app", {"test": "false"})
    workspace.commit()
    done = local("start", "--actor", name, "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (2, "bad-actor")
    assert not (workspace.root / ".runs").exists()
    assert local("resume", "latest", "--actor", name).code == 2


def test_an_invisible_name_of_the_environment_is_shown(workspace: WorkspaceFolder, local: Orchestrator) -> None:
    """What CI says is escaped, and the run goes on; joiners of scripts are part of a name."""
    workspace.project("app")
    workspace.commit()
    job = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann\u202eb"}
    assert local("start", env=job).code == 0
    assert local("status", "--format", "json").document["mode"]["actor"] == "ann\\u202eb"
    assert local("start", "--actor", "\u0646\u0645\u06cc\u200c\u062e").code == 0


def test_a_resume_takes_over_a_decision_of_the_chain(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A decision whose record did not follow is in it again after any command that writes, a resume too."""
    workspace.project("app", {"test": "test -e ok"})
    workspace.commit()
    assert orchestrate("start").code == 3
    words = ("review", "latest", "--decision", "request-changes", "--actor", "bob", "--reason", "no tests")
    assert orchestrate(*words).code == 0
    path = workspace.runs("1-app")[0] / "manifest.json"
    change(path, list.clear)
    workspace.write("packages/app/ok", "")
    assert orchestrate("resume", "latest").code == 0
    assert [entry["decision"] for entry in json.loads(path.read_text())["approvals"]] == ["request-changes"]
    assert found(orchestrate) == set()
