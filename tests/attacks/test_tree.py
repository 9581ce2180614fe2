"""What is ticked and attested ran on a commit's tree, from beginning to end; an honest tree raises no alarm."""

from __future__ import annotations

import pytest

from orchestrator.git.tree import status_of
from tests.cache_seals import edit_cached
from tests.harness import Orchestrator, WorkspaceFolder

CHECKLIST = "# Tasks\n- [ ] **testing**: t (needs: diagnostics/test)\n"
PLACES = ("tasks/tasks-1-p.md", ".agent/task/1-p.md", "docs/checklists/1-p.md")


@pytest.fixture
def committed(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A committed project with a checklist."""
    workspace.project("p")
    workspace.write("packages/p/a.py", "print(1)\n")
    workspace.write("tasks/specs/1-p.md", "# spec\n")
    for place in PLACES:
        workspace.write(place, CHECKLIST)
    workspace.commit()
    return workspace


def started(workspace: WorkspaceFolder, orchestrate: Orchestrator, line: str) -> None:
    """Start a run whose stage ``test`` is that line, and which succeeds."""
    workspace.project("p", {"test": line})
    workspace.commit()
    assert orchestrate("start", "--project", "p").code == 0


@pytest.mark.parametrize("line", ["echo 2 > a.py", "echo 1 > new.py", "echo 2 > a.py; git commit -qam x"])
def test_a_tree_that_moved_proves_no_commit(committed: WorkspaceFolder, orchestrate: Orchestrator, line: str) -> None:
    """A run whose stages changed the tree, left files behind or committed is neither ticked nor attested (B8, B14)."""
    started(committed, orchestrate, line.replace("git ", "git -c user.name=a -c user.email=a@b "))
    committed.git("reset", "-q", "--hard")
    for words in (("checklist", "tick", "testing", "--run", "latest"), ("export", "latest", "--as", "in-toto")):
        done = orchestrate(*words)
        assert (done.code, f"run {committed.runs('1-p')[-1].name}" in done.stderr) == (4, True)


def test_a_kept_tree_that_was_edited_is_not_believed(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A digest of another commit's tree, put into the cache, does not make two attempts ones of the same tree."""
    committed.project("p", {"test": "grep -q 2 a.py"})
    committed.commit()
    assert orchestrate("start", "--project", "p").code == 3
    (kept,) = (committed.root / ".runs" / ".cache").glob("tree-*.json")
    committed.write("packages/p/a.py", "print(2)\n")
    commit = committed.commit()
    index = status_of(str(committed.root / ".git" / "index"))
    edit_cached(kept, lambda entry: entry.update(commit=commit, index=index))
    assert orchestrate("resume", "latest").code == 0
    reasons = orchestrate("status", "latest", "--format", "json").document["ready"]["reasons"]
    assert "mixed-trees" in {reason["code"] for reason in reasons}


def test_a_config_that_asks_for_less_ticks_nothing(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run whose policy is softer than the base commit's proves no item before another account approved it."""
    waiver = '[[waivers]]\nguardrail = "spec-guard"\nreason = "r"\napproved_by = "a"\nuntil = "2099-01-01"\n'
    committed.project("p", extra=waiver)
    committed.commit()
    assert orchestrate("start", "--project", "p").code == 0
    tick = ("checklist", "tick", "testing", "--run", "latest")
    refused = orchestrate(*tick)
    assert (refused.code, "the config asks less than the base's" in refused.stderr) == (4, True)
    assert orchestrate("review", "latest", "--actor", "bob", "--decision", "approve", "--reason", "r").code == 0
    assert orchestrate(*tick).code == 0


def test_what_lies_there_now_does_not_matter(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run of a commit stays one: an edit afterwards keeps it from no tick and no attestation."""
    started(committed, orchestrate, "cat a.py")
    committed.write("packages/p/a.py", "print(3)\n")
    assert orchestrate("export", "latest", "--as", "in-toto").code == 0
    assert orchestrate("checklist", "tick", "testing", "--run", "latest").code == 0


def test_a_tree_that_can_not_be_looked_at_again_is_not_ready(
    committed: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A stage that takes git away from the second look makes no green, and the reason says why."""
    started(committed, orchestrate, "mv ../../.git ../../.gone; echo 2 > a.py")
    (reason,) = orchestrate("status", "--format", "json").document["ready"]["reasons"]
    assert reason["code"] == "tree-moved-while-running"
    assert "it is not known" in reason["message"]


def test_what_is_no_code_dirties_no_tree(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Notes that only the user's own rules ignore, and a declared output that is no code, leave the tree clean."""
    committed.write(".git/info/exclude", "notes.md\nscratch.py\n")
    committed.write("packages/p/notes.md", "mine\n")
    committed.project(
        "p",
        {"test": {"shell": "date +%N > report.md; date > data.dat", "outputs": ["report.md", "*.dat"]}},
        extra='[spec_guard]\nexclude = ["*.md", "*.dat"]\n',
    )
    committed.commit()
    committed.write("README.md", "the commit after that of the config\n")
    committed.commit()
    for _ in range(2):  # the second run finds the first one's outputs
        assert orchestrate("start", "--project", "p").code == 0
        status = orchestrate("status", "--format", "json").document
        entry = status["provenance"][-1]
        assert (entry["dirty"], entry["at_end"]["dirty"], entry["at_end"]["left_behind"]) == (False, False, [])
        assert (status["freshness"]["tree"], status["ready"]["ready"]) == ("same", True)
    committed.write("packages/p/scratch.py", "code that the user hides\n")
    assert orchestrate("status", "--format", "json").document["freshness"]["tree"] == "moved"


def test_an_unreadable_list_of_tasks_is_an_error(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A cut tasks/index.json is found by doctor, which names the file (B8 of the records)."""
    committed.write("tasks/index.json", '{"items": [{"id": "1-p", ')
    done = orchestrate("doctor", "--format", "json")
    found = [(item["code"], item["place"]) for item in done.document["findings"] if item["code"] == "broken-task-index"]
    assert (done.code, found) == (4, [("broken-task-index", "tasks/index.json")])
