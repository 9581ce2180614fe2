"""What a machine or a place lacks is said before a run fails of it: by ``onboard``, ``plan``, ``doctor``, ``start``."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.base.finding import Finding
from orchestrator.commands.context import Context
from orchestrator.commands.look.plan import plan
from orchestrator.commands.maintain.tool_checks import config_findings, tool_findings
from orchestrator.commands.run.start import start
from orchestrator.commands.setup.onboard import onboard
from tests.harness import WorkspaceFolder
from tests.records import START, FakeClock

PACKAGE = {"packageManager": "pnpm@9.0.0", "engines": {"node": ">=99"}, "dependencies": {"a": "1"}}
NODE = "#!/bin/sh\necho v20.1.0\n"
MISSING = "pnpm is not on PATH: build, test end with exit code 127"
OTHER = "package.json asks for node >=99, and v20.1.0 is on PATH"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with a Node and a git that does nothing, and no package manager."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("node", NODE), ("git", "#!/bin/sh\nexit 1\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return str(folder)


def context_in(workspace: WorkspaceFolder, path: str) -> Context:
    """Return what a command runs in, at the workspace's root, with streams to look at."""
    return Context(str(workspace.root), {"PATH": path}, io.StringIO(), io.StringIO(), FakeClock())


def warned(workspace: WorkspaceFolder, path: str, project: str) -> list[str]:
    """Onboard a project, and return the warnings of that."""
    document = onboard(context_in(workspace, path), project=project, yes=True).document
    assert document is not None
    return list(document["warnings"])


def found_by_doctor(workspace: WorkspaceFolder, path: str) -> dict[str, Finding]:
    """Return what ``doctor`` finds of configs and tools, by its code."""
    root = str(workspace.root)
    configs, findings = config_findings(root, START.date())
    return {finding.code: finding for finding in (*findings, *tool_findings(root, configs, {"PATH": path}))}


def test_a_package_manager_and_a_node_that_are_missing(workspace: WorkspaceFolder, path: str) -> None:
    """``onboard``, ``plan`` and ``doctor`` say in the same words what ends with 127, and which Node is asked for."""
    workspace.write("packages/n/package.json", json.dumps({**PACKAGE, "scripts": {"test": "x"}}))
    assert {MISSING, OTHER} <= set(warned(workspace, path, "n"))
    assert not any("PATH" in text for text in (workspace.root / "project_configs/n.toml").read_text().splitlines()[:9])
    planned = context_in(workspace, path)
    plan(planned, project="n")
    assert planned.stderr.getvalue() == f"warning: {MISSING}\nwarning: {OTHER}\n"  # type: ignore[attr-defined]
    found = found_by_doctor(workspace, path)
    assert (found["no-program"].message, found["other-node"].message) == (MISSING, OTHER)


def test_a_repository_inside_the_workspaces(workspace: WorkspaceFolder, path: str) -> None:
    """``onboard`` and ``doctor`` say what others will have of it, unless the workspace's git ignores it."""
    workspace.write("packages/r/Makefile", "test:\n\ttrue\n")
    for folder in (".git", "packages/r/.git"):
        (workspace.root / folder).mkdir()
    assert any("has a repository of its own" in text for text in warned(workspace, path, "r"))
    assert "has a repository of its own" in found_by_doctor(workspace, path)["embedded-repository"].message
    workspace.write(".gitignore", "/packages/\n")
    assert "embedded-repository" not in found_by_doctor(workspace, path)


def test_a_version_that_git_would_tell(workspace: WorkspaceFolder, path: str) -> None:
    """``doctor`` says that the install fails, until the config names a version or the folder is a repository."""
    text = '[build-system]\nrequires = ["hatchling", "hatch-vcs"]\n[project]\nname = "a"\ndynamic = ["version"]\n'
    workspace.write("packages/v/pyproject.toml", text)
    onboard(context_in(workspace, path), project="v", yes=True)
    assert "is taken from git" in found_by_doctor(workspace, path)["version-from-git"].message
    config = workspace.root / "project_configs/v.toml"
    before = config.read_text()
    config.write_text(
        before.replace("[session]\n", '[session]\nset_env = { SETUPTOOLS_SCM_PRETEND_VERSION = "1.0" }\n')
    )
    assert "version-from-git" not in found_by_doctor(workspace, path)
    config.write_text(before)
    (workspace.root / "packages/v/.git").write_text("gitdir: elsewhere\n")
    assert "version-from-git" not in found_by_doctor(workspace, path)


def refused_start(workspace: WorkspaceFolder, path: str, project: str) -> UsageError:
    """Return what ``start`` refuses an empty folder with; nothing is recorded."""
    with pytest.raises(UsageError, match="is empty") as refused:
        start(context_in(workspace, path), project=project)
    assert not (workspace.root / ".runs").exists()
    return refused.value


@pytest.mark.parametrize("way", ["submodule", "gitlink"])
def test_an_empty_folder_of_another_repository(workspace: WorkspaceFolder, path: str, way: str) -> None:
    """Doctor and start say that it was not fetched, and how it is: of a submodule, and of a clone that was added."""
    folder = workspace.project("s")
    workspace.git("init", "-q", "-b", "main")
    if way == "submodule":
        workspace.write(".gitmodules", '[submodule "s"]\n\tpath = packages/s\n\turl = ../s\n')
    else:
        workspace.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},packages/s")
        path = os.environ["PATH"]
    refused = refused_start(workspace, path, "s")
    found = found_by_doctor(workspace, path)["empty-project-folder"]
    assert (found.level, found.message) == ("error", "the folder 'packages/s' is empty: its repository was not fetched")
    assert "git submodule update --init" in found.hint
    assert (refused.message, refused.hint.partition(";")[0]) == (found.message, found.hint)
    (folder / "x").touch()
    assert "empty-project-folder" not in found_by_doctor(workspace, path)


@pytest.mark.parametrize(
    ("stage", "session"),
    [
        ("make test", 'backend = "none"'),
        ("true", 'backend = "uv"\ninstall = ["-e", "."]'),
    ],
)
def test_an_empty_folder_that_is_read(workspace: WorkspaceFolder, path: str, stage: object, session: str) -> None:
    """A start is refused where install or a stage reads it, and doctor warns."""
    workspace.project("s", {"test": stage})  # type: ignore[dict-item]
    config = workspace.root / "project_configs/s.toml"
    config.write_text(config.read_text().replace('backend = "none"', session))
    assert "correct project.path" in refused_start(workspace, path, "s").hint
    assert found_by_doctor(workspace, path)["empty-project-folder"].level == "warning"


@pytest.mark.parametrize(("ids", "words"), [(["x" * 70], "1 task has an id"), (["Ü/x", "-y"], "2 tasks have ids")])
def test_ids_of_the_early_version(workspace: WorkspaceFolder, path: str, ids: list[str], words: str) -> None:
    """``doctor`` counts the tasks of the index whose ids are not allowed here, in one warning, and names the first."""
    workspace.write("tasks/index.json", json.dumps({"items": [{"id": "0001-a"}, *({"id": name} for name in ids)]}))
    found = found_by_doctor(workspace, path)["early-task-id"]
    assert (found.level, found.message.startswith(words)) == ("warning", True)
    assert ids[0][:20] in found.message
    workspace.write("tasks/index.json", '{"items": [{"id": "0001-a"}]}')
    assert "early-task-id" not in found_by_doctor(workspace, path)
