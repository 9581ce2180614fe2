"""`needs: diagnostics` asks for the whole of it: what was skipped or forgiven shows nothing."""

from __future__ import annotations

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

ITEM = "- [ ] **all**: x (needs: diagnostics)\n"


def tick(orchestrate: Orchestrator) -> tuple[int, str]:
    """Return the exit code of the tick, and why it was refused."""
    done = orchestrate("checklist", "tick", "all", "--run", "latest", "--format", "json")
    error = done.document.get("error") or {}
    return done.code, str(error.get("code", ""))


@pytest.mark.parametrize(
    "stage",
    [{"skip": "later"}, {"run": "false", "allow_failure": True}],
    ids=["skipped", "forgiven"],
)
def test_a_stage_that_shows_nothing_is_no_part_of_the_whole(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, stage: dict[str, object]
) -> None:
    """A skip that is new, and a failure that is forgiven, keep an item that needs the whole from being ticked."""
    workspace.project("app")
    workspace.write("tasks/tasks-1-app.md", ITEM)
    workspace.commit()
    workspace.project("app", {"lint": stage})
    workspace.commit()
    assert orchestrate("start").code == 0
    code, why = tick(orchestrate)
    assert (code, why) in {(4, "not-covered"), (4, "policy-softened"), (4, "not-ready")}


def test_a_skip_that_is_waived_is_allowed_once_approved(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A dated waiver of the stage lets the whole be shown, by another account's word; one that has ended does not."""
    waiver = '[[waivers]]\nstage = "lint"\nreason = "no linter"\napproved_by = "ann"\nuntil = {}\n'
    workspace.project("app")
    workspace.write("tasks/tasks-1-app.md", ITEM)
    workspace.commit()
    for until, expected in (("2026-01-01", (4, "not-covered")), ("2999-01-01", (0, ""))):
        workspace.project("app", {"lint": {"skip": "later"}}, extra=waiver.format(until))
        workspace.commit()
        assert orchestrate("start").code == 0
        assert tick(orchestrate) != (0, "")
        words = ("--decision", "approve", "--actor", "bob", "--role", "lead", "--reason", "for a while")
        orchestrate("review", "latest", *words)
        assert tick(orchestrate) == expected
    manifest = workspace.manifest(workspace.runs("1-app")[-1])
    assert [entry["stage"] for entry in manifest["plan"]["waivers"]] == ["lint"]


def test_a_skip_that_the_base_has_too_is_allowed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """On a first commit nothing shows that a skip is not new; on the next one its base does."""
    workspace.project("app", {"lint": {"skip": "no linter yet"}})
    workspace.write("tasks/tasks-1-app.md", ITEM)
    workspace.commit()
    assert orchestrate("start").code == 0
    assert tick(orchestrate) == (4, "not-covered")
    workspace.write("packages/app/a.py", "x = 1\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    assert tick(orchestrate) == (0, "")
