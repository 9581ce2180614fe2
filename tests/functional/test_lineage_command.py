"""``lineage`` on real runs: across projects and tasks, from any run of the tree, with links cut by hand."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.errors import DamagedRecord, NotFound
from orchestrator.commands.context import Context
from orchestrator.commands.look.lineage import lineage
from tests.functional.test_status import files_of
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder
from tests.records import FakeClock, make_run_id, make_workspace

SAMPLES = REPOSITORY / "tests" / "samples" / "version-1" / "runs"


def tree_of(root: Path, run: str, **asked: Any) -> dict[str, Any]:
    """Return the document of ``lineage``."""
    answer = lineage(Context(str(root), {}, io.StringIO(), io.StringIO(), FakeClock()), run=run, **asked)
    assert answer.exit_code == 0
    assert answer.document is not None
    return dict(answer.document)


def broken(document: dict[str, Any]) -> list[str]:
    """Return the codes of what is broken."""
    return [fault["code"] for fault in document["broken"]]


def change(run: Path, **values: Any) -> None:
    """Change keys of a run's record by hand."""
    path = run / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def family(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> tuple[Path, Path, Path]:
    """A run, its child in another project and task, and the child's child; return their folders."""
    workspace.project("third", {"test": "true"}, pipeline="smoke", task_id="3-third")
    calls = {"inner": ("test", "start smoke --project third"), "outer": ("lint", "start --project inner")}
    for task, (name, (stage, words)) in zip(("2-inner", "1-outer"), calls.items(), strict=True):
        line = f"codex-orchestrator {words}"
        workspace.project(name, {stage: line}, task_id=task, extra='pass_env = ["PYTHONPATH"]')
    assert orchestrate("start", "--project", "outer").code == 0
    (outer,), (inner,), (third,) = (workspace.runs(task) for task in ("1-outer", "2-inner", "3-third"))
    return outer, inner, third


def test_the_whole_tree_from_any_of_its_runs(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, family: tuple[Path, Path, Path]
) -> None:
    """From each run the same tree, the asked one marked, with statuses and the stages that started them."""
    for run in family:
        document = orchestrate("lineage", run.name, "--format", "json").document
        assert [row["run_id"] for row in document["runs"]] == [one.name for one in family]
        assert [row["asked"] for row in document["runs"]] == [one is run for one in family]
    assert [(row["project"], row["level"], row["stage_id"]) for row in document["runs"]] == [
        ("outer", 0, None),
        ("inner", 1, "lint"),
        ("third", 2, "test"),
    ]
    assert [row["status"] for row in document["runs"]] == ["succeeded"] * 3
    assert (document["broken"], document["top_run_id"]) == ([], family[0].name)
    text = orchestrate("lineage", "--run", family[1].name).stdout
    assert "└─ " in text
    assert "asked for" in text
    mermaid = orchestrate("lineage", family[1].name, "--format", "mermaid")
    assert (mermaid.code, mermaid.stdout.splitlines()[0]) == (0, "flowchart TD")
    assert 'r0 -->|"lint"| r1' in mermaid.stdout
    _links_cut_by_hand(workspace.root, family)


def _links_cut_by_hand(root: Path, family: tuple[Path, Path, Path]) -> None:
    """What is changed by hand at one end is named, and ``lineage`` itself changes nothing."""
    outer, inner, third = family
    shutil.rmtree(inner / "children")
    change(inner, child_runs=[])
    before = files_of(root)
    assert broken(tree_of(root, third.name)) == ["not-listed"]
    assert [row["run_id"] for row in tree_of(root, outer.name)["runs"]] == [outer.name, inner.name]
    assert broken(tree_of(root, outer.name, all=True)) == ["not-listed"]
    assert files_of(root) == before
    shutil.rmtree(third)
    shutil.rmtree(outer)
    assert broken(tree_of(root, inner.name)) == ["parent-missing"]
    with pytest.raises(NotFound):
        tree_of(root, third.name)


def test_circles_and_damage(workspace: WorkspaceFolder, family: tuple[Path, Path, Path]) -> None:
    """A circle made by hand ends, a damaged child is shown with its reason, a damaged run itself is refused."""
    outer, inner, third = family
    whole = (outer / "manifest.json").read_text()
    document = json.loads(whole)
    above = {**document["lineage"], "parentRunId": third.name, "parent_task_id": "3-third"}
    change(outer, parent_run_id=third.name, lineage=above)
    found = tree_of(workspace.root, inner.name)
    assert len(found["runs"]) == 3
    assert "cycle" in broken(found)
    (outer / "manifest.json").write_text(whole)
    for damage in ("{", (third / "manifest.json").read_text().replace('"attempt": 1', '"attempt": "x"')):
        (third / "manifest.json").write_text(damage)
        found = tree_of(workspace.root, outer.name)
        assert (broken(found), found["runs"][2]["status"]) == (["damaged"], "damaged")
        with pytest.raises(DamagedRecord):
            tree_of(workspace.root, third.name)


def test_version_1(tmp_path: Path) -> None:
    """Runs of the early version form their tree within their task."""
    make_workspace(tmp_path)
    shutil.copytree(SAMPLES, tmp_path / ".runs", symlinks=True)
    document = tree_of(tmp_path, "2026-11-22T10-05-48-004Z-d0349b9f")
    assert [row["pipeline_id"] for row in document["runs"]] == ["nightly", "diagnostics"]
    assert document["broken"] == []
    with pytest.raises(NotFound):
        tree_of(tmp_path, make_run_id(1))
