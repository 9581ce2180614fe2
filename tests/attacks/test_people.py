"""Approvals that nobody gave: the run's own account under other names, and two names of one account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

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
