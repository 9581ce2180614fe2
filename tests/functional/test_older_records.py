"""A day's work over the records of an earlier version of this program: nothing that they are is a false alarm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.harness import Done, Orchestrator, WorkspaceFolder

SAMPLE = Path(__file__).parents[1] / "samples" / "form-1"
FAILED, GREEN, NIGHTLY, REUSING = sorted(path.name for path in (SAMPLE / "runs/1-app/cli").iterdir())
(CHILD,) = (path.name for path in (SAMPLE / "runs/2-lib/cli").iterdir())
WHO = ("--actor", "carl", "--reason", "looked at")


@pytest.fixture
def older(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """The workspace that the earlier version left: code with its history, records and snapshots."""
    workspace.git("init", "-q", "-b", "main")
    workspace.git("fetch", "-q", str(SAMPLE / "code.bundle"), "main")
    workspace.git("reset", "-q", "--hard", "FETCH_HEAD")
    for source, target in (("runs", ".runs"), ("out", "out")):
        shutil.copytree(SAMPLE / source, workspace.root / target, symlinks=True)
    for token in workspace.root.glob(".runs/*/cli/*/.resume-token"):
        token.chmod(0o600)  # git keeps no such mode
    return workspace


def clean(*answers: Done) -> None:
    """Assert that each command found nothing."""
    assert [(done.code, done.stdout, done.stderr) for done in answers if done.code != 0] == []


def judged(orchestrate: Orchestrator) -> tuple[Done, ...]:
    """Return the answers of what judges records and documents."""
    return orchestrate("verify", "--all", "--docs", "--state"), orchestrate("doctor")


def test_a_day_over_older_records(older: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """They are ready, approved, ticked and attested as they were, and resumed once the unknown drift is accepted."""
    clean(*judged(orchestrate))
    ready = json.loads(orchestrate("status", GREEN, "--format", "json").stdout)
    assert (ready["ready"], ready["approvals"][0]["validity"]["state"]) == ({"ready": True, "reasons": []}, "valid")
    clean(orchestrate("review", GREEN, "--decision", "approve", *WHO))
    clean(orchestrate("checklist", "tick", "approved", "--task", "1-app", "--run", GREEN))
    clean(orchestrate("export", GREEN, "--as", "in-toto"), orchestrate("review", REUSING))
    assert orchestrate("resume", FAILED).code == 0  # by a built-in pipeline of the version that it began with
    older.write("packages/lib/good", "")
    refused = orchestrate("resume", NIGHTLY, "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (5, "drifted")  # its plan holds no sub-pipelines
    clean(orchestrate("resume", NIGHTLY, "--accept-drift"), *judged(orchestrate))
    child = json.loads(orchestrate("status", CHILD, "--format", "json").stdout)
    assert (child["attempt"], child["status"]) == (2, "succeeded")
    assert [reason["code"] for reason in child["ready"]["reasons"]] == ["mixed-trees"]


@pytest.mark.parametrize("what", ["record", "events", "log"])
def test_an_older_record_that_was_edited_is_found(older: WorkspaceFolder, orchestrate: Orchestrator, what: str) -> None:
    """A failed run of the earlier version that is made green by hand is neither ready, resumed, ticked nor verified."""
    folder = older.root / ".runs/1-app/cli" / FAILED
    name = {"record": "manifest.json", "events": "runner.ndjson", "log": "commands/02-lint.log"}[what]
    path = folder / name
    path.write_text(path.read_text().replace('"failure"', '"success"').replace('"failed"', '"succeeded"') + "\n")
    assert not json.loads(orchestrate("status", FAILED, "--format", "json").stdout)["ready"]["ready"]
    assert orchestrate("verify", FAILED).code == 4
    assert orchestrate("checklist", "tick", "whole", "--task", "1-app", "--run", FAILED).code == 4
    assert orchestrate("resume", FAILED).code == 7
