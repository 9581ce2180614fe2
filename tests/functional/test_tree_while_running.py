"""What changes in the project's tree while stages run is found, named, and kept in the record."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

LONG_AGO = 1_600_000_000
"""A time of files, in seconds since 1970, before any run of a test."""


@pytest.fixture
def code(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A committed project whose files are older than any run of it."""
    workspace.project("x")
    workspace.write("packages/x/a.py", "print(1)\n")
    workspace.write("packages/x/b.py", "print(2)\n")
    workspace.write("tasks/specs/1-x.md", "# x\n")
    # git compares whole seconds: what is written again in the second of the commit looks untouched.
    for name in ("a.py", "b.py"):
        os.utime(workspace.root / "packages/x" / name, (LONG_AGO, LONG_AGO))
    workspace.commit()
    return workspace


def run(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, test: str | dict[str, object]
) -> tuple[dict[str, Any], list[str], str]:
    """Start a run whose stage ``test`` is that; return what was found at its end, why it is not ready, and the text."""
    workspace.project("x", {"test": test})
    assert orchestrate("start", "--project", "x").code == 0
    status = orchestrate("status", "--format", "json").document
    reasons = [reason["code"] for reason in status["ready"]["reasons"]]
    return status["provenance"][-1]["at_end"], reasons, orchestrate("status").stdout


def test_a_quiet_run_moves_nothing(code: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Caches, build artifacts and ignored files of stages are no part of the tree; the run is ready."""
    line = "mkdir -p __pycache__ build; touch __pycache__/a.pyc build/x; cat a.py"
    at_end, reasons, text = run(code, orchestrate, line)
    assert (at_end["moved"], at_end["left_behind"], at_end["touched"], at_end["note"]) == ([], [], [], None)
    assert (reasons, "Note" in text) == ([], False)


@pytest.mark.parametrize("uncommitted", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        "echo 3 > a.py",
        "rm a.py",
        "mv a.py c.py",
        "echo 3 > a.py; git add a.py; git -c user.name=a -c user.email=a@b commit -qm x",
    ],
)
def test_a_moved_tree_is_not_ready(
    code: WorkspaceFolder, orchestrate: Orchestrator, line: str, uncommitted: bool
) -> None:
    """A tracked file with another content at the end is named, whether or not it was clean at the beginning."""
    if uncommitted:
        code.write("packages/x/a.py", "print(3, 3)\n")
    at_end, reasons, text = run(code, orchestrate, line)
    assert at_end["moved"] == ["a.py"]
    assert reasons == ["tree-moved-while-running"]
    assert "a.py" in text


def test_what_is_put_back_is_named(code: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A file that was changed and put back is as before, and is named: nobody can say what ran on what."""
    at_end, reasons, text = run(
        code, orchestrate, "cp a.py /tmp/kept.$$; echo pass > a.py; cat /tmp/kept.$$ > a.py; rm /tmp/kept.$$"
    )
    assert (at_end["moved"], at_end["touched"], reasons) == ([], ["a.py"], [])
    assert "touched-while-running" in text


def test_new_files_are_named(code: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A new file that git does not track is left behind, which keeps no run from being ready."""
    at_end, reasons, text = run(code, orchestrate, "echo 1 > new.py")
    assert (at_end["left_behind"], reasons) == (["new.py"], [])
    assert "left-behind" in text


def test_an_untracked_file_that_was_there_counts(code: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What git does not track and was there at the beginning is compared too."""
    code.write("packages/x/draft.py", "1\n")
    at_end, reasons, _ = run(code, orchestrate, "echo 2 > draft.py")
    assert (at_end["moved"], reasons) == (["draft.py"], ["tree-moved-while-running"])


def test_declared_outputs_may_change(code: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An output that a stage declares is its own to write."""
    at_end, reasons, _ = run(code, orchestrate, {"shell": "echo 3 > a.py", "outputs": ["a.py"]})
    assert (at_end["moved"], reasons) == ([], [])


def test_hidden_edits_and_folders_without_git_are_compared(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Without git the files themselves are compared; with it, also those that git is told not to look at."""
    workspace.project("x")
    workspace.write("packages/x/a.py", "1\n")
    assert run(workspace, orchestrate, "echo 2 > a.py; touch new.py")[0]["moved"] == ["a.py"]
    workspace.commit()
    workspace.git("update-index", "--assume-unchanged", "packages/x/a.py")
    assert run(workspace, orchestrate, "echo 3 > a.py")[0]["moved"] == ["a.py"]


def test_code_that_only_the_user_ignores_is_looked_at_twice(code: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What counted at the beginning counts at the end: no false alarm while it stays, named when it moves or is new."""
    code.write(".git/info/exclude", "mine*.py\n*.md\n")
    code.write("packages/x/mine.py", "1\n")
    at_end, reasons, _ = run(code, orchestrate, "echo > notes.md")
    assert (at_end["moved"], at_end["left_behind"], reasons) == ([], [], [])
    at_end, reasons, _ = run(code, orchestrate, "echo 2 > mine.py")
    assert (at_end["moved"], reasons) == (["mine.py"], ["tree-moved-while-running"])
    (code.root / "packages/x/mine.py").unlink()
    at_end, reasons, _ = run(code, orchestrate, "echo > mine2.py")
    assert (at_end["moved"], at_end["left_behind"], reasons) == ([], ["mine2.py"], [])


def test_a_tree_of_another_project_that_is_reached_counts(code: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A stage that is another project's pipeline passed on the files that its stages had changed: that is no pass."""
    code.project("y", {"test": "echo 2 > b.py"}, pipeline="smoke")
    code.write("packages/y/b.py", "1\n")
    os.utime(code.root / "packages/y/b.py", (LONG_AGO, LONG_AGO))
    code.commit()
    at_end, reasons, text = run(code, orchestrate, {"pipeline": "smoke", "project": "y"})
    assert (at_end["moved"], reasons) == ([], ["tree-moved-while-running"])
    assert "of 'y': files changed while stages ran: b.py" in " ".join(text.split())
    code.project("y", {"test": "true"}, pipeline="smoke")
    code.commit()
    assert run(code, orchestrate, {"pipeline": "smoke", "project": "y"})[1] == []
