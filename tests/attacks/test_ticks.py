"""Ticks that nothing proves: in forms that a reader shows and a program may miss, by runs that nobody can repeat."""

from __future__ import annotations

import json

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

PLACES = ("tasks/tasks-1-app.md", "docs/checklists/1-app.md", ".agent/task/1-app.md")
HIDDEN = {
    "number": "1. [x] a\n",
    "bracket": "1) [x] a\n",
    "two blanks": "-  [x] a\n",
    "tab": "-\t[x] a\n",
    "quote": "> - [x] a\n",
    "nested in numbers": "1. b\n   - [x] a\n",
    "list in list": "- - [x] a\n",
    "byte order mark": "\ufeff- [x] a\n",
    "indented fence": "x\n\n    ```\n\n- [x] a\n",
    "inline fence": "```code``` is inline\n\n- [x] a\n",
    "fence in a comment": "<!--\n```\n-->\n- [x] a\n",
    "tildes with tildes": "~~~~ x ~~~~\n~~~~\n- [x] a\n",
    "longer fence": "````\n```\n````\n- [x] a\n",
    "fence with info": "```\n``` x\n```\n- [x] a\n",
}


@pytest.mark.parametrize("form", HIDDEN)
def test_a_tick_hides_in_no_form(workspace: WorkspaceFolder, orchestrate: Orchestrator, form: str) -> None:
    """What GitHub shows as a ticked box and cites no run turns verify red, in every place."""
    workspace.project("app")
    for place in PLACES:
        workspace.write(place, HIDDEN[form])
    workspace.write("docs/page.MD", f"# Task `1-app`\n\n{HIDDEN[form].removeprefix(chr(0xFEFF))}")
    done = orchestrate("verify", "--docs", "--format", "json")
    assert done.code == 4
    found = {finding["path"] for finding in done.document["findings"] if finding["code"] == "tick-without-run"}
    assert found == {*PLACES, "docs/page.MD"}


def test_evidence_that_says_so_itself_proves_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """In a clone without records, evidence without a chain's line and reviews that were typed in are found."""
    from orchestrator.checks.checklists.evidence import evidence_of, render_evidence
    from orchestrator.model.manifest.manifest import manifest_digest

    workspace.project("app", {"test": "false"})
    workspace.commit()
    assert orchestrate("start").code == 3
    run = workspace.runs("1-app")[0]
    record = workspace.manifest(run)
    record.update(status="succeeded", outcome="success")
    for command in record["commands"]:
        command.update(status="succeeded", outcome="success", exit_code=0, error_file=None)
    path = f"evidence/1-app/{run.name}.json"
    kept = workspace.write(f"tasks/{path}", render_evidence(evidence_of(record, None)))
    line = f"- [x] **t**: x (needs: diagnostics) — [run {run.name}]({path}), digest `{manifest_digest(record)}`\n"
    workspace.write(PLACES[0], line)
    orchestrate("checklist", "sync", "--yes")
    workspace.git("clean", "-fdxq", ".runs", "out")
    done = orchestrate("verify", "--docs", "--format", "json")
    assert {finding["code"] for finding in done.document["findings"]} == {"evidence-unproven"}
    document = json.loads(kept.read_text())
    document["approvals"] = [{"actor": "boss", "decision": "approve", "attempt": 1}]
    kept.write_text(json.dumps(document))
    done = orchestrate("verify", "--docs", "--format", "json")
    assert {finding["code"] for finding in done.document["findings"]} == {"evidence-damaged"}


def test_a_run_of_a_dirty_tree_ticks_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A green run with uncommitted files, taken back before the tick, can never be repeated."""
    workspace.project("app")
    workspace.write(PLACES[0], "- [ ] **t**: x\n")
    workspace.commit()
    page = workspace.write("packages/app/extra.py", "x = 1\n")
    assert orchestrate("start").code == 0
    page.unlink()
    refused = orchestrate("checklist", "tick", "t", "--run", "latest", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "dirty-tree")
