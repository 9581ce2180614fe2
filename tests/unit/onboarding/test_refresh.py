"""Documents after a change of the config: what follows from it is made anew, the rest is its authors'."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.base.files.writing import write_files
from orchestrator.onboarding.refresh import STALE, refreshed, remarks, stale_documents
from tests.harness import WorkspaceFolder
from tests.unit.onboarding.test_files import bring_in

TASKS = "tasks/tasks-0001-a.md"


@pytest.fixture
def root(workspace: WorkspaceFolder) -> Path:
    """A workspace with a project whose test was another command when its documents were written."""
    (workspace.root / "packages/a").mkdir(parents=True)
    (workspace.root / "packages/a/package.json").write_text('{"scripts": {"test": "x", "lint": "y"}}')
    bring_in(workspace)
    config = workspace.root / "project_configs/a.toml"
    config.write_text(config.read_text().replace("npm test", "make check").replace("npm run lint", "make lint"))
    return workspace.root


def test_the_difference_is_found_and_written(root: Path) -> None:
    """Spec, plan and open items name the new commands afterwards, their authors' words stay, and nothing is found."""
    spec = root / "tasks/specs/0001-a.md"
    spec.write_text(spec.read_text().replace("(To be written:", "It adds numbers. (To be written:"))
    found = list(stale_documents(str(root)))
    assert {finding.code for finding in found} == {STALE}
    assert {finding.place for finding in found} == {
        *("tasks/specs/0001-a.md", "tasks/action-plan-0001-a.md", TASKS),
        *("docs/checklists/0001-a.md", ".agent/task/0001-a.md"),
    }
    write_files(str(root), refreshed(str(root), "a").changes)
    assert list(stale_documents(str(root))) == []
    assert "- test: `make check` succeeds" in spec.read_text()
    assert "It adds numbers." in spec.read_text()
    assert "| test | `make check` |" in (root / "tasks/action-plan-0001-a.md").read_text()
    assert "- [ ] **test**: `make check` passed (needs: diagnostics/test)" in (root / TASKS).read_text()


def test_ticked_items_stay(root: Path) -> None:
    """What a run proved is not rewritten, and that is said."""
    tasks = root / TASKS
    tasks.write_text(tasks.read_text().replace("- [ ] **lint**", "- [x] **lint**"))
    found = refreshed(str(root), "a")
    after = next(change.after for change in found.changes if change.path == TASKS)
    assert "- [x] **lint**: `npm run lint` passed" in after
    assert any("ticked items stay" in text for text in remarks(found))


def test_documents_of_other_forms_stay(root: Path) -> None:
    """Hand-written documents without these parts are left alone; one that is no text is named."""
    (root / "tasks/specs/0001-a.md").write_text("---\nlast_review: 2026-11-22\n---\n# Mine\n")
    (root / "tasks/action-plan-0001-a.md").unlink()
    paths = {change.path for change in refreshed(str(root), "a").changes if change.action != "unchanged"}
    assert paths == {TASKS, "docs/checklists/0001-a.md", ".agent/task/0001-a.md"}
    (root / TASKS).write_bytes(b"\xff")
    with pytest.raises(UsageError):
        refreshed(str(root), "a")


def test_items_in_their_authors_words_stay(root: Path) -> None:
    """An item by one of our names that somebody wrote is nobody's old text: it stays, and is no finding."""
    ours = "# Tasks\n- [ ] **test**: `npm test` passed (needs: diagnostics/test)\n"
    theirs = ours.replace("`npm test` passed", "the tests of the parser are run by `npm test` twice")
    more = "- [ ] **testing**: t (needs: diagnostics/test)\n- [ ] **lint**: (needs: diagnostics/lint)\n"
    for place in (TASKS, "docs/checklists/0001-a.md", ".agent/task/0001-a.md"):
        (root / place).write_text(theirs + more)
    (root / "tasks/specs/0001-a.md").unlink()
    (root / "tasks/action-plan-0001-a.md").unlink()
    assert list(stale_documents(str(root))) == []
    (root / TASKS).write_text(ours + more)
    [change] = [change for change in refreshed(str(root), "a").changes if change.action != "unchanged"]
    assert change.after == ours.replace("npm test", "make check") + more
