"""No run is greener than a run that it started."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

NIGHTLY = '[[pipelines.nightly.stages]]\nid = "below"\npipeline = "diagnostics"\nproject = "q"\n'
SKIPPED = {name: {"skip": "later"} for name in ("build", "lint", "test")}


def reasons(orchestrate: Orchestrator, run: str = "latest") -> list[str]:
    """Return the codes of why a run is not ready."""
    return [reason["code"] for reason in orchestrate("status", run, "--format", "json").document["ready"]["reasons"]]


@pytest.mark.parametrize("is_honest", [True, False])
def test_a_child_that_proves_nothing_keeps_the_runs_above_from_ready(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, is_honest: bool
) -> None:
    """A guard of another project that was replaced, and a pipeline that checks nothing: also two runs further up."""
    workspace.project("top", {"far": {"pipeline": "nightly", "project": "p"}}, pipeline="all")
    workspace.project("p", pipeline="smoke", extra=NIGHTLY)
    workspace.project("q", {} if is_honest else SKIPPED, guard=None if is_honest else "true")
    workspace.write("tasks/specs/1-q.md", f"---\nlast_review: {datetime.now(UTC).date()}\n---\n# q\n")
    workspace.commit()
    started = orchestrate("start", "all", "--project", "top", "--format", "json")
    assert started.code == 0, started.stderr
    assert (started.document["next_command"] is None) == is_honest
    expected = set() if is_honest else {"guardrail-advisory", "guardrail-replaced", "nothing-checked"}
    assert set(reasons(orchestrate)) == expected
    assert orchestrate("review", "latest", "--decision", "approve", "--actor", "bob").code == (0 if is_honest else 4)


def test_a_child_whose_record_was_edited_keeps_the_run_above_from_ready(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A failed child that is made a success by hand, under a stage that took no notice, makes no green above it."""
    workspace.project("p", {"test": "codex-orchestrator start smoke --project q || true"}, pipeline="smoke")
    workspace.project("q", {"test": "false"}, pipeline="smoke")
    workspace.commit()
    assert orchestrate("start", "smoke", "--project", "p").code == 0
    assert reasons(orchestrate) == ["child-not-succeeded"]
    (run,) = workspace.runs("1-q")
    record = json.loads((run / "manifest.json").read_text())
    record.update(status="succeeded", outcome="success")
    (run / "manifest.json").write_text(json.dumps(record))
    assert reasons(orchestrate) == ["record-altered"]
