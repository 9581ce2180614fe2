"""``onboard``: from a codebase to a recorded run, by the real command."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder

NOT_COPIED = shutil.ignore_patterns("dist", "node_modules", "__pycache__", ".*_cache", "*.egg-info")
# Whatever asks the network gets no answer, from a port that nothing listens on.
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def copied(workspace: WorkspaceFolder, name: str) -> Path:
    """Copy an example codebase of this repository into the workspace."""
    folder = workspace.root / "packages" / name
    shutil.copytree(REPOSITORY / "packages" / name, folder, ignore=NOT_COPIED)
    return folder


def files_below(root: Path) -> set[str]:
    """Return the files below a folder but for those of ``packages/`` and ``.runs/``."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] not in ("packages", ".runs", "out", ".nox")}


def passed(workspace: WorkspaceFolder, document: dict[str, Any]) -> dict[str, str]:
    """Return the outcome of each stage of a run that ``start`` answered with."""
    manifest = workspace.manifest(workspace.root / document["artifact_root"])
    return {stage["id"]: stage["outcome"] for stage in manifest["commands"]}


@pytest.mark.usefixtures("node")
def test_a_node_codebase_from_nothing_to_a_passing_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Onboarded, planned and started without the network; the run's manifest lies where onboarding said."""
    copied(workspace, "hello-node")
    done = orchestrate("onboard", "hello-node", "--owner", "ann", "--yes", "--format", "json")
    assert done.code == 0, done.stderr
    assert "+++ b/project_configs/hello-node.toml" in done.stderr
    assert (done.document["result"], done.document["task_id"]) == ("written", "0001-hello-node")
    planned = orchestrate("plan", "--project", "hello-node", "--format", "json")
    assert (planned.code, planned.document["flags"]) == (0, [])
    ran = orchestrate(*done.document["next"].split()[1:], "--format", "json", env=NO_NETWORK)
    assert ran.code == 0, ran.stderr
    assert passed(workspace, ran.document) == dict.fromkeys(("build", "lint", "test", "spec-guard"), "success")
    assert done.document["manifest"].replace("<run>", ran.document["run_id"]) == ran.document["manifest"]
    again = orchestrate("onboard", "hello-node", "--owner", "ann")
    assert (again.code, "Nothing to do" in again.stdout) == (0, True), again.stderr


@pytest.mark.network
@pytest.mark.slow
def test_a_python_codebase_from_nothing_to_a_passing_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What is proposed for a Python library installs, builds, lints and tests it."""
    copied(workspace, "hello-python")
    done = orchestrate("onboard", "hello-python", "--yes")
    assert done.code == 0, done.stderr
    ran = orchestrate("start", "--project", "hello-python", "--format", "json", timeout=600)
    assert ran.code == 0, ran.stderr
    assert passed(workspace, ran.document) == dict.fromkeys(("build", "lint", "test", "spec-guard"), "success")


def test_a_makefile_outside_of_the_workspace(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """A codebase elsewhere is brought in by its makefile; what it has no target for is skipped, and the run passes."""
    if shutil.which("make") is None:
        pytest.skip("make is not on PATH")
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "Makefile").write_text("build:\n\techo made > made\ntest: build\n\ttest -f made\n")
    done = orchestrate(
        "onboard",
        "c-lib",
        "--path",
        "elsewhere",
        "--yes",
        cwd=tmp_path,
        env={"CODEX_ORCHESTRATOR_ROOT": str(workspace.root)},
    )
    assert done.code == 0, done.stderr
    assert "skipped: the makefile has no target lint" in done.stdout
    assert done.stdout.splitlines()[-2:] == [
        "Next       codex-orchestrator start --project c-lib",
        "Reviewers  .runs/0001-c-lib/cli/<run>/manifest.json",
    ]
    ran = orchestrate("start", "--format", "json")
    assert ran.code == 0, ran.stderr
    assert passed(workspace, ran.document) == {
        "build": "success",
        "lint": "skip",
        "test": "success",
        "spec-guard": "success",
    }


def test_the_early_versions_config(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Its pipelines run, its task is taken over from its index, and its index gets the project."""
    sample = REPOSITORY / "tests/samples/version-1"
    (workspace.root / "packages/billing").mkdir(parents=True)
    (workspace.root / "tasks").mkdir()
    shutil.copy(sample / "codex.orchestrator.json", workspace.root)
    shutil.copy(sample / "tasks/index.json", workspace.root / "tasks")
    done = orchestrate("onboard", "billing", "--yes", "--format", "json")
    assert done.code == 0, done.stderr
    assert done.document["task_id"] == "0101-billing"
    assert any("--dry-run" in note for note in done.document["notes"])
    (item,) = json.loads((workspace.root / "tasks/index.json").read_text())["items"]
    assert (item["title"], item["project"]) == ("Billing service hardening", "billing")
    (workspace.root / "ran-at-the-root").touch()
    config = workspace.root / "project_configs/billing.toml"
    config.write_text(config.read_text().replace('"echo built"', '"test -f ran-at-the-root"'))
    ran = orchestrate("start", "nightly", "--format", "json")
    assert ran.code == 0, ran.stderr
    assert ran.document["task_id"] == "0101-billing"


def test_several_at_once_lose_no_entry(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Projects that are brought in at the same time get a number and an entry each."""
    names = ["a", "b", "c", "d"]
    for name in names:
        (workspace.root / "packages" / name).mkdir(parents=True)
    processes = [orchestrate.popen("onboard", name, "--yes") for name in names]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr.decode()
    items = json.loads((workspace.root / "tasks/index.json").read_text())["items"]
    assert sorted(item["project"] for item in items) == names
    assert sorted(item["id"][:4] for item in items) == ["0001", "0002", "0003", "0004"]
    assert not [name for name in files_below(workspace.root) if name.endswith(".onboarding")]


def test_without_consent_nothing_is_written(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Where nobody can be asked the difference is shown, the flag is named, exit code 2; --dry-run is 0."""
    copied(workspace, "hello-node")
    refused = orchestrate("onboard", "hello-node")
    assert (refused.code, "+++ b/project_configs/hello-node.toml" in refused.stdout) == (2, True)
    assert "--yes" in refused.stdout
    document = orchestrate("onboard", "hello-node", "--format", "json")
    assert (document.code, document.document["error"]["code"]) == (2, "unasked")
    assert orchestrate("onboard", "hello-node", "--dry-run").code == 0
    assert files_below(workspace.root) == set()


def test_a_terminal_is_asked(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The difference is shown in the terminal before the question; yes writes."""
    copied(workspace, "hello-node")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        orchestrate.command("onboard", "hello-node"),
        cwd=workspace.root,
        env=dict(orchestrate.environ),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 65536)
    assert files_below(workspace.root) == set()
    os.write(ours, b"yes\n")
    stdout = process.communicate(timeout=60)[0].decode()
    os.close(ours)
    assert b"+++ b/tasks/index.json" in shown
    assert process.returncode == 0, stdout
    assert "project_configs/hello-node.toml" in files_below(workspace.root)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("Bad Name",), "bad-project-id", "lower-case"),
        (("missing",), "missing-project-folder", "packages/missing"),
        (("a", "--path", ""), "missing-project-folder", "empty"),
        (("a", "--task", "local-mcp"), "bad-task-id", "reserved"),
        (("a", "--template", "cobol"), "usage", "'cobol'"),
        (("a", "--owner", " "), "bad-owner", "empty"),
        ((), "missing-option", "--project"),
    ],
)
def test_refusals(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...], code: str, told: str
) -> None:
    """What is wrong is named, with exit code 2, and nothing is written."""
    (workspace.root / "packages/a").mkdir(parents=True)
    refused = orchestrate("onboard", *words, "--yes", "--format", "json")
    assert refused.code == 2, refused.stderr
    assert refused.document["error"]["code"] == code
    assert told in refused.document["error"]["message"]
    assert files_below(workspace.root) == set()


def test_no_workspace_names_init(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """Outside of a workspace the command that makes one is named."""
    refused = orchestrate("onboard", "a", "--format", "json", cwd=tmp_path)
    assert (refused.code, refused.document["error"]["code"]) == (2, "no-workspace")
    assert "codex-orchestrator init" in refused.document["error"]["hint"]


def test_what_a_person_changed_is_not_overwritten(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A config that was changed is named and stays; --keep writes what is missing beside it."""
    copied(workspace, "hello-node")
    assert orchestrate("onboard", "hello-node", "--yes").code == 0
    config = workspace.root / "project_configs/hello-node.toml"
    config.write_text(config.read_text() + "# mine\n")
    (workspace.root / "tasks/prd-0001-hello-node.md").unlink()
    refused = orchestrate("onboard", "hello-node", "--yes")
    assert (refused.code, "project_configs/hello-node.toml" in refused.stderr) == (2, True)
    assert "--keep" in refused.stderr
    assert "tasks/prd-0001-hello-node.md" not in files_below(workspace.root)
    kept = orchestrate("onboard", "hello-node", "--yes", "--keep")
    assert kept.code == 0, kept.stderr
    assert "tasks/prd-0001-hello-node.md" in files_below(workspace.root)
    assert config.read_text().endswith("# mine\n")


def test_a_terminal_is_not_steered_by_a_codebase(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Control characters in a codebase's files reach neither the screen nor the files."""
    folder = workspace.root / "packages/a"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(
        json.dumps({"scripts": {"test": "echo \u001b]0;title\u0007 \u202e \u007f\n[x]"}})
    )
    done = orchestrate("onboard", "a", "--yes")
    assert done.code == 0, done.stderr
    texts = [
        path.read_text() for path in workspace.root.rglob("*.*") if path.is_file() and "packages" not in path.parts
    ]
    for text in (done.stdout, done.stderr, *texts):
        assert not {"\u001b", "\u0007", "\u202e", "\u007f"} & set(text)
    assert orchestrate("plan", "--project", "a").code == 0
