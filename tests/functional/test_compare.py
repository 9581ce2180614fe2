"""``compare`` and ``artifacts``."""

from __future__ import annotations

import json
import os
import subprocess

from tests.functional.test_schema import check
from tests.harness import Orchestrator, WorkspaceFolder

JSON = ("--format", "json")


def test_what_differs_from_the_last_success(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Files, plan, outcome and stages that differ from the last success are named; two pipelines can't be compared."""
    folder = workspace.project("x", {"build": "test ! -e bad"})
    (folder / "a.txt").write_text("1")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(workspace.root))
    for words in (("init", "-q"), ("add", "packages"), ("commit", "-qm", "one")):
        subprocess.run([*git, *words], check=True)
    first = orchestrate("start", *JSON).document["run_id"]
    none = orchestrate("compare", first, *JSON)
    assert (none.code, "--with" in none.document["error"]["hint"]) == (6, True)
    (folder / "bad").write_text("")
    (folder / "a.txt").write_text("2")
    for words in (("add", "packages"), ("commit", "-qm", "two")):
        subprocess.run([*git, *words], check=True)
    workspace.project("x", {"build": "test ! -e bad", "lint": "echo other"})
    second = orchestrate("start", *JSON)
    assert second.code == 3
    found = orchestrate("compare", second.document["run_id"], *JSON)
    assert found.code == 0
    document = found.document
    check(orchestrate, "compare", document)
    assert (document["before"], document["outcome"]) == (first, {"before": "success", "run": "failure"})
    assert document["files"] == [{"path": "a.txt", "change": "changed"}, {"path": "bad", "change": "added"}]
    assert [line for line in document["plan"] if "lint" in line]
    outcomes = {stage["stage"]: stage["outcome"] for stage in document["stages"]}
    assert outcomes["build"] == {"before": "success", "run": "failure"}
    assert "build: success → failure" in orchestrate("compare", "latest").stdout
    same = orchestrate("compare", first, "--with", first, *JSON).document
    assert (same["files"], same["plan"], same["host"]) == ([], [], [])
    workspace.project("y")
    other = orchestrate("start", "--project", "y", *JSON).document["run_id"]
    refused = orchestrate("compare", other, "--with", first, *JSON)
    assert (refused.code, refused.document["error"]["code"]) == (2, "not-comparable")


def test_an_edited_record_is_compared_with_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A failed run whose record was made green is no last success, and is shown in no comparison."""
    folder = workspace.project("x", {"build": "test ! -e bad"})
    good = orchestrate("start", *JSON).document["run_id"]
    (folder / "bad").touch()
    bad = orchestrate("start", *JSON).document["run_id"]
    (folder / "bad").unlink()
    last = orchestrate("start", *JSON).document["run_id"]
    path = workspace.runs("1-x")[1] / "manifest.json"
    path.write_text(path.read_text().replace('"status": "failed"', '"status": "succeeded"'))
    assert orchestrate("compare", last, *JSON).document["before"] == good
    refused = orchestrate("compare", last, "--with", bad, *JSON)
    assert (refused.code, refused.document["error"]["code"]) == (7, "record-altered")


def test_what_may_leave_the_machine(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """All files of a run are listed with their sizes, but its token, its locks, and what is no regular file."""
    workspace.project("x")
    started = orchestrate("start", *JSON).document
    folder = workspace.root / started["artifact_root"]
    os.symlink("/etc/passwd", folder / "commands" / "link")
    document = orchestrate("artifacts", "latest", *JSON).document
    names = {entry["path"].removeprefix(started["artifact_root"] + "/"): entry["bytes"] for entry in document["files"]}
    assert names["manifest.json"] == len((folder / "manifest.json").read_bytes())
    assert {"runner.ndjson", "commands/01-build.log"} <= set(names)
    assert not any("token" in name or "lock" in name or name == ".jobs" or name.endswith("link") for name in names)
    assert (folder / ".resume-token").exists()
    assert orchestrate("artifacts", "latest").stdout.splitlines() == [entry["path"] for entry in document["files"]]
    assert orchestrate("artifacts", "2026-01-01T00-00-00-000Z-00000000").code == 6
    json.dumps(document)
