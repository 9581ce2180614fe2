"""From a proposal to files: ids, texts, what is in the way, and writing all of them or none."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import ConfigError, Refused, StorageError, UsageError
from orchestrator.base.files import Seam
from orchestrator.base.files.changes import FileChange, diff_text
from orchestrator.base.files.writing import CHANGED, write_files
from orchestrator.checks.checklists.items import items_of
from orchestrator.config.loading import load_project
from orchestrator.onboarding import files
from orchestrator.onboarding.documents import checklist_paths
from orchestrator.onboarding.files import Onboarding, Wish, onboarding
from orchestrator.onboarding.task_index import index_text, task_for
from orchestrator.onboarding.toml_text import comment, toml_value
from tests.harness import WorkspaceFolder

TODAY = date(2026, 11, 22)


def bring_in(workspace: WorkspaceFolder, name: str = "a", **wish: object) -> Onboarding:
    """Onboard a codebase of the workspace, made if it is missing, and write the files."""
    (workspace.root / "packages" / name).mkdir(parents=True, exist_ok=True)
    found = onboarding(str(workspace.root), Wish(name, **wish), TODAY)  # type: ignore[arg-type]
    write_files(str(workspace.root), found.changes)
    return found


def snapshot(root: Path) -> dict[str, str]:
    """Return every file and folder below ``root``, files with their text."""
    return {str(path.relative_to(root)): path.read_text() if path.is_file() else "" for path in root.rglob("*")}


def index(workspace: WorkspaceFolder, *items: Mapping[str, object]) -> None:
    """Write the workspace's index of tasks."""
    workspace.write("tasks/index.json", json.dumps({"items": items, "kept": 1}))


def test_a_name_that_is_another_codebases_is_refused(workspace: WorkspaceFolder) -> None:
    """Both folders are named; the same folder by another way is the same codebase. Nothing is written."""
    bring_in(workspace)
    (workspace.root / "other").mkdir()
    (workspace.root / "link").symlink_to("packages/a")
    before = snapshot(workspace.root)
    with pytest.raises(UsageError, match="of the folder 'packages/a', and not of 'other'") as caught:
        bring_in(workspace, path=str(workspace.root / "other"))
    assert caught.value.code == "other-codebase"
    bring_in(workspace, path=str(workspace.root / "link"), keep=True)
    assert snapshot(workspace.root) == before


def test_a_changed_config_leads_to_refresh(workspace: WorkspaceFolder) -> None:
    """Onboarding again after the config was edited names what brings the documents up to it."""
    bring_in(workspace)
    config = workspace.root / "project_configs/a.toml"
    config.write_text(config.read_text() + "# mine\n")
    with pytest.raises(UsageError) as caught:
        bring_in(workspace)
    assert "--refresh" in caught.value.hint


def test_all_files_of_a_project(workspace: WorkspaceFolder) -> None:
    """Config, index, spec, PRD, action plan and a checklist that stands three times, with nothing ticked."""
    found = bring_in(workspace, owners=("ann", "platform"))
    root = workspace.root
    config = load_project(str(root), "a")
    assert (config.path, config.task_id, config.owners) == ("packages/a", "0001-a", ("ann", "platform"))
    assert json.loads((root / "tasks/index.json").read_text())["items"][0]["project"] == "a"
    assert (root / "tasks/specs/0001-a.md").read_text().startswith("---\nlast_review: 2026-11-22\n---\n")
    assert (root / "tasks/prd-0001-a.md").exists()
    assert (root / "tasks/action-plan-0001-a.md").exists()
    texts = {(root / path).read_text() for path in checklist_paths("0001-a")}
    assert len(texts) == 1
    items = [line.split("**")[1] for line in texts.pop().splitlines() if line.startswith("- [ ] ")]
    assert items == ["planning", "implementation", "testing", "enablement", "spec-guard", "lint", "test", "review"]
    assert found.changes[-1].path == "project_configs/a.toml"


def test_a_codebase_that_nothing_is_known_of_proves_nothing(workspace: WorkspaceFolder) -> None:
    """Where every stage is skipped, no milestone of the code can be ticked by a run of nothing but the guardrail."""
    bring_in(workspace, template="generic")
    path = "tasks/tasks-0001-a.md"
    items = {item.id: item for item in items_of(path, (workspace.root / path).read_text())}
    assert items["implementation"].needs == ("diagnostics/build",)
    assert items["testing"].needs == items["test"].needs == ("diagnostics/test",)
    assert "it is skipped so far" in items["lint"].claim


def test_a_second_time_changes_nothing_also_another_day(workspace: WorkspaceFolder) -> None:
    """The same call finds every file as it would write it; the review date of the spec stays."""
    bring_in(workspace)
    before = snapshot(workspace.root)
    again = onboarding(str(workspace.root), Wish("a"), date(2027, 1, 1))
    assert {change.action for change in again.changes} == {"unchanged"}
    assert snapshot(workspace.root) == before


def test_what_somebody_changed_is_named_and_kept(workspace: WorkspaceFolder) -> None:
    """Changed files refuse, all of them named; with keep they stay, and missing mirrors are copies of the list."""
    bring_in(workspace)
    root = workspace.root
    spec, tasks = root / "tasks/specs/0001-a.md", root / "tasks/tasks-0001-a.md"
    spec.write_text(spec.read_text() + "More.\n")
    tasks.write_text(tasks.read_text().replace("- [ ] **planning**", "- [x] **planning**"))
    (root / ".agent/task/0001-a.md").unlink()
    before = snapshot(root)
    with pytest.raises(UsageError) as refusal:
        bring_in(workspace)
    assert "tasks/specs/0001-a.md" in refusal.value.message
    assert "tasks/tasks-0001-a.md" in refusal.value.message
    assert snapshot(root) == before
    kept = bring_in(workspace, keep=True)
    assert {"tasks/specs/0001-a.md", "docs/checklists/0001-a.md", "project_configs/a.toml"} <= set(kept.kept)
    assert (root / ".agent/task/0001-a.md").read_text() == tasks.read_text()
    assert {**snapshot(root), ".agent/task/0001-a.md": ""} == {**before, ".agent/task/0001-a.md": ""}


def test_documents_beside_a_config_that_is_there_tell_what_it_says(workspace: WorkspaceFolder) -> None:
    """With keep, a config written by hand gives path, task, owners and commands to the missing documents."""
    folder = workspace.project("a", {"lint": {"skip": "later"}, "extra": "x | y"}, task_id="7-a", path="lib/a")
    (folder / "package.json").write_text("{}")
    before = (workspace.root / "project_configs/a.toml").read_text()
    found = bring_in(workspace, keep=True)
    assert (found.task, found.path, found.kept) == ("7-a", "lib/a", ("project_configs/a.toml",))
    assert (workspace.root / "project_configs/a.toml").read_text() == before
    spec = (workspace.root / "tasks/specs/7-a.md").read_text()
    assert "- extra: `x ¦ y` succeeds" in spec
    assert "- lint: later" in spec
    plan = (workspace.root / "tasks/action-plan-7-a.md").read_text()
    assert "diagnostics/build, diagnostics/extra |" in plan


@pytest.mark.parametrize("kind", ["link", "folder", "binary"])
def test_what_is_no_text_file_is_in_the_way(workspace: WorkspaceFolder, kind: str, tmp_path: Path) -> None:
    """A link, a folder or bytes in a file's place are named, with keep too, and nothing is written."""
    place = workspace.root / "tasks" / "prd-0001-a.md"
    place.parent.mkdir()
    if kind == "link":
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        place.mkdir()
    else:
        place.write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"tasks/prd-0001-a\.md"):
        bring_in(workspace, keep=True, task="0001-a")
    assert not (tmp_path / "elsewhere").exists()
    assert list((workspace.root / "project_configs").iterdir()) == []


def test_what_else_is_broken_hinders_only_where_it_must(workspace: WorkspaceFolder, tmp_path: Path) -> None:
    """A config that is a pipe hinders nobody; an index that is a link or broken is named, and nothing is written."""
    os.mkfifo(workspace.root / "project_configs/pipe.toml")
    bring_in(workspace)
    index_file = workspace.root / "tasks/index.json"
    index_file.rename(tmp_path / "index.json")
    index_file.symlink_to(tmp_path / "index.json")
    with pytest.raises(UsageError, match=r"tasks/index\.json: it is no regular file"):
        bring_in(workspace, "b")
    index_file.unlink()
    index_file.write_text("{")
    with pytest.raises(UsageError, match=r"tasks/index\.json: is not JSON"):
        bring_in(workspace, "b")
    assert not (workspace.root / "project_configs/b.toml").exists()


def test_which_task(workspace: WorkspaceFolder) -> None:
    """The given one, the project's own, one of the early version's that is called so, else the next free number."""
    root = str(workspace.root)
    assert task_for(root, "b", None) == "0001-b"
    index(workspace, {"id": "0101-billing", "slug": "billing"}, {"id": "0007-x", "project": "x"})
    workspace.project("y", task_id="0200-y")
    workspace.write("tasks/specs/0300-z.md", "")
    assert task_for(root, "billing", None) == "0101-billing"
    assert task_for(root, "x", None) == "0007-x"
    assert task_for(root, "y", None) == "0200-y"
    assert task_for(root, "b", None) == "0301-b"
    assert task_for(root, "b", "9-b") == "9-b"
    for taken in ("0007-x", "0200-y"):
        with pytest.raises(UsageError, match="belongs to project"):
            task_for(root, "b", taken)
    for bad in ("", "A", "../x", "local-mcp"):
        with pytest.raises(UsageError):
            task_for(root, "b", bad)
    with pytest.raises(UsageError, match="too long"):
        task_for(root, "n" * 62, None)


def test_a_number_that_somebody_takes_meanwhile(workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two onboardings at once the later one finds the index changed, however early it looked: no number is twice."""
    workspace.write("packages/a/Makefile", "test:\n")

    def looks_and_is_late(*asked: Any) -> str:
        found = task_for(*asked)
        workspace.write("tasks/index.json", '{"items": [{"id": "0001-b", "project": "b"}]}')
        return found

    monkeypatch.setattr(files, "task_for", looks_and_is_late)
    late = onboarding(str(workspace.root), Wish("a"), TODAY)
    assert late.task == "0001-a"
    with pytest.raises(Refused) as refused:
        write_files(str(workspace.root), late.changes)
    assert refused.value.code == CHANGED


def test_an_early_checklist_of_the_task_is_the_checklist(workspace: WorkspaceFolder) -> None:
    """A task of the index whose checklist is called by id and slug gets no second one beside it."""
    index(workspace, {"id": "0202", "slug": "hardening"})
    workspace.write("tasks/tasks-0202-hardening.md", "- [ ] x\n")
    found = bring_in(workspace, task="0202")
    assert not any((workspace.root / path).exists() for path in checklist_paths("0202"))
    assert any("tasks/tasks-0202-hardening.md" in text for text in found.proposal.warnings)
    assert (workspace.root / "tasks/specs/0202.md").exists()


def test_the_index_keeps_what_it_says(workspace: WorkspaceFolder) -> None:
    """An entry is added or gets its project; other entries and keys stay, in their order."""
    before = '{"kept": 1, "items": [{"id": "1-a", "slug": "s", "title": "é"}, {"id": "2-b", "project": "b"}]}'
    after = json.loads(index_text(before, "1-a", "a", "t"))
    assert after == {
        "kept": 1,
        "items": [{"id": "1-a", "slug": "s", "title": "é", "project": "a"}, {"id": "2-b", "project": "b"}],
    }
    assert index_text(before, "2-b", "b", "t") == before
    added = json.loads(index_text(before, "3-c", "c", "t"))
    assert added["items"][2] == {"id": "3-c", "slug": "c", "title": "t", "project": "c"}


def test_sessions_that_would_collide_are_refused(workspace: WorkspaceFolder) -> None:
    """A name whose session would stand in another project's place is refused; other broken configs hinder nobody."""
    workspace.config("broken", "x = 1\n")
    bring_in(workspace, "my.lib")
    before = snapshot(workspace.root)
    (workspace.root / "packages/my-lib").mkdir()
    with pytest.raises(ConfigError, match="share one environment folder"):
        bring_in(workspace, "my-lib")
    assert snapshot(workspace.root).keys() - before.keys() == {"packages/my-lib"}


def test_a_codebase_outside(workspace: WorkspaceFolder, tmp_path: Path) -> None:
    """A path outside of the workspace is written as it leads there; a missing folder is refused."""
    (tmp_path / "else where").mkdir()
    bring_in(workspace, path=str(tmp_path / "else where"))
    assert load_project(str(workspace.root), "a").path == "../else where"
    with pytest.raises(UsageError, match="there is no folder 'packages/missing'"):
        onboarding(str(workspace.root), Wish("missing"), TODAY)


class FailingSeam(Seam):
    """Fails at the n-th call that changes a name."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(28, "no space")

    def replace(self, source: str, target: str, folder: int, target_folder: int) -> None:
        self._count()
        super().replace(source, target, folder, target_folder)

    def mkdir(self, name: str, mode: int, folder: int) -> None:
        self._count()
        super().mkdir(name, mode, folder)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._count()
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self._count()
        super().fsync(fd)


def test_a_failure_anywhere_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Whichever call fails, all files and folders are as they were; without a failure all are written."""
    (tmp_path / "old").write_text("old\n")
    changes = (
        FileChange("a/b/new", None, "new\n"),
        FileChange("old", "old\n", "changed\n"),
        FileChange("a/same", None, "same\n"),
        FileChange("kept", "x", "x"),
    )
    before = snapshot(tmp_path)
    for at in range(1, 100):
        try:
            write_files(str(tmp_path), changes, FailingSeam(at))
        except StorageError:
            assert snapshot(tmp_path) == before, at
        else:
            break
    assert at > 10
    assert {name: text for name, text in snapshot(tmp_path).items() if text} == {
        "a/b/new": "new\n",
        "old": "changed\n",
        "a/same": "same\n",
    }


def test_what_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """A file that somebody wrote after the difference was shown refuses, with nothing written."""
    (tmp_path / "b").write_text("theirs\n")
    for before in (None, "old\n"):
        with pytest.raises(Refused, match="in the meantime"):
            write_files(str(tmp_path), (FileChange("a", None, "x"), FileChange("b", before, "mine\n")))
        assert snapshot(tmp_path) == {"b": "theirs\n"}


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A linked folder on the way is refused, and what it leads to stays as it is."""
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "docs").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError):
        write_files(str(root), (FileChange("x", None, "x"), FileChange("docs/a", None, "x")))
    assert os.listdir(tmp_path / "outside") == []
    assert os.listdir(root) == ["docs"]


def test_the_difference() -> None:
    """It names new and changed files as git does, and leaves out those that stay."""
    text = diff_text((FileChange("n", None, "1\n"), FileChange("c", "1\n", "2"), FileChange("s", "1", "1")))
    assert text == (
        "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+1\n"
        "--- a/c\n+++ b/c\n@@ -1 +1 @@\n-1\n+2\n\\ No newline at end of file\n"
    )


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(_TEXT, _TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.lists(_TEXT)), _TEXT)
def test_toml_says_what_was_meant(value: dict[str, object], remark: str) -> None:
    """Whatever a codebase's files hold, the written TOML reads back as the same values, and remarks stay remarks."""
    import tomllib

    assert tomllib.loads(f"{comment(remark)}\nx = {toml_value(value)}\n") == {"x": value}
