"""What a fleet leaves out by the records of earlier runs, it leaves out by what they prove."""

from __future__ import annotations

import json

import pytest

from tests.harness import Orchestrator, WorkspaceFolder


@pytest.mark.parametrize("how", ["edited", "renamed", "cut"])
def test_a_failure_that_the_metrics_hide_is_still_the_last_run(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, how: str
) -> None:
    """``--failed`` selects, and ``projects`` shows, a run that failed by the chain, whatever the metrics say."""
    workspace.project("p", {"test": "test -f ok"}, pipeline="smoke")
    workspace.write("packages/p/ok", "")
    assert orchestrate("start", "smoke", "--project", "p").code == 0
    (workspace.root / "packages/p/ok").unlink()
    assert orchestrate("start", "smoke", "--project", "p").code == 3
    path = workspace.root / ".runs/1-p/metrics.json"
    kept, last = path.read_text().splitlines()
    changed = {
        "edited": last.replace('"failed"', '"succeeded"'),
        "renamed": last.replace('"smoke"', '"other"'),
        "cut": "",
    }[how]
    assert changed != last
    path.write_text("".join(f"{line}\n" for line in (kept, changed) if line))
    shown = orchestrate("projects", "--format", "json").document["projects"][0]["last_run"]
    assert (shown["status"], shown["ready"]) == ("failed", False)
    done = orchestrate("start", "smoke", "--failed", "--format", "json")
    assert (done.code, done.document["status"]) == (3, "failed")


def test_an_edited_commit_is_no_base_of_the_last_success(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A record that was made to say that today's commit succeeded leaves no project out."""
    workspace.project("p", {"test": "test -f ok"}, pipeline="smoke")
    workspace.write("packages/p/ok", "")
    before = workspace.commit()
    words = ("start", "smoke", "--affected", "--base", "last-success", "--format", "json")
    assert orchestrate("start", "smoke", "--project", "p").code == 0
    assert orchestrate(*words).document["run_id"] is None
    (workspace.root / "packages/p/ok").unlink()
    after = workspace.commit()
    [run] = workspace.runs("1-p")
    record = run / "manifest.json"
    record.write_text(json.dumps(json.loads(record.read_text().replace(before, after))))
    done = orchestrate(*words)
    assert (done.code, done.document["status"]) == (3, "failed")
