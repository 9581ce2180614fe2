"""Which projects a change of the repository selects (contract, section 8, "Affected")."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

JSON = ("--format", "json")


@pytest.fixture
def committed(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """Return a workspace with three projects, committed on main; a branch ``work`` is checked out."""
    for name in ("api", "core", "shop"):
        workspace.project(name, pipeline="smoke")
        workspace.write(f"packages/{name}/main.py", f"print('{name}')\n" * 9)
    path = workspace.root / "project_configs/shop.toml"
    path.write_text(path.read_text().replace("[session]", 'depends_on = ["core"]\n[session]', 1))
    workspace.commit()
    workspace.git("checkout", "-q", "-b", "work")
    return workspace


def affected(orchestrate: Orchestrator, *words: str, env: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Return the affected projects with why."""
    done = orchestrate("plan", "smoke", "--affected", *words, *JSON, env=env)
    assert done.code == 0, done.stderr
    selection: dict[str, Any] = done.document["selection"]
    return {one["project"]: one["reasons"] for one in selection["projects"]}


def refused(orchestrate: Orchestrator, *words: str, env: dict[str, str] | None = None) -> tuple[str, str]:
    """Return code and words of a refusal."""
    done = orchestrate("plan", "smoke", "--affected", *words, *JSON, env=env)
    assert done.code == 2, done.stdout
    return done.document["error"]["code"], f"{done.document['error']['message']} {done.document['error']['hint']}"


def test_what_differs_on_disk_counts(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Commits since the branch left main, uncommitted and untracked files, both names of a moved one; ignored: not."""
    committed.git("checkout", "-q", "main")
    committed.write("packages/api/other.py", "on main alone\n")
    committed.commit("main goes on")
    committed.git("checkout", "-q", "work")
    committed.git("mv", "packages/core/main.py", "packages/api/moved.py")
    committed.commit("moved")
    assert affected(orchestrate) == {
        "api": ["changed: packages/api/moved.py"],
        "core": ["changed: packages/core/main.py"],
        "shop": ["depends on core"],
    }
    committed.git("reset", "-q", "--hard", "main~1")
    committed.write(".gitignore", "/.runs/\n/out/\n/.nox/\n*.log\n")
    committed.commit("ignore")
    committed.write("packages/api/x.log", "")
    committed.write("packages/shop/new.py", "")
    assert affected(orchestrate) == {"shop": ["changed: packages/shop/new.py"]}
    committed.git("update-index", "--assume-unchanged", "packages/core/main.py")
    committed.write("packages/core/main.py", "hidden from git\n")
    assert set(affected(orchestrate, "--no-dependents")) == {"core", "shop"}


def test_what_builds_leave_is_no_change(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Reports and products in a project's folder that git doesn't track change nothing; one that it tracks does."""
    for name in ("api/junit.xml", "api/coverage/index.html", "shop/dist/shop.whl", "shop/.nyc_output/a.json"):
        committed.write(f"packages/{name}", "left")
    committed.write("packages/core/src/build/part.py", "code")
    assert set(affected(orchestrate)) == {"core", "shop"}
    assert affected(orchestrate, "--no-dependents") == {"core": ["changed: packages/core/src/build/part.py"]}
    committed.commit("all of it, reports too")
    assert "api" in affected(orchestrate)


def test_nothing_is_guessed_on_the_default_branch(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """On main's own commit a clean tree is refused; uncommitted changes, a base and BASE_SHA are compared."""
    committed.git("checkout", "-q", "main")
    code, said = refused(orchestrate)
    assert (code, "HEAD^1" in said, "last-success" in said) == ("base-is-head", True, True)
    assert refused(orchestrate, env={"BASE_SHA": "0" * 40})[0] == "base-is-head"
    done = orchestrate("start", "smoke", "--affected", "--base", "HEAD", *JSON)
    assert (done.code, done.document["run_id"], done.document["selection"]["projects"]) == (0, None, [])
    committed.write("packages/api/main.py", "changed\n")
    assert set(affected(orchestrate)) == {"api"}
    committed.commit("second")
    assert set(affected(orchestrate, "--base", "HEAD^1")) == {"api"}
    assert set(affected(orchestrate, env={"BASE_SHA": committed.git("rev-parse", "HEAD^1").strip()})) == {"api"}
    committed.write("noxfile.py", "")
    assert set(affected(orchestrate)) == {"api", "core", "shop"}


def test_a_base_that_is_not_known_is_refused(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """No such commit, no common commit, cut-off history, no commit and no repository: never all and never none."""
    code, said = refused(orchestrate, "--base", "nowhere")
    assert (code, "commit, branch or tag" in said, "origin/main" in said) == ("no-base", True, False)
    assert refused(orchestrate, env={"BASE_SHA": "f" * 40})[0] == "no-base"
    committed.git("checkout", "-q", "--orphan", "alone")
    committed.commit("alone")
    code, said = refused(orchestrate)
    assert (code, "no common commit" in said) == ("no-base", True)
    committed.git("checkout", "-q", "work")
    committed.commit("more")
    committed.git("checkout", "-q", "main")
    shallow = committed.root.parent / "shallow"
    subprocess.run(
        [
            "git",
            "clone",
            "-q",
            "--depth=1",
            "--no-single-branch",
            "--branch=work",
            f"file://{committed.root}",
            str(shallow),
        ],
        check=True,
    )
    done = orchestrate("plan", "smoke", "--affected", *JSON, cwd=shallow)
    assert (done.code, done.document["error"]["code"]) == (2, "no-base")
    assert "fetch" in done.document["error"]["message"]
    shutil.rmtree(committed.root / ".git")
    assert refused(orchestrate)[0] == "no-base"
    committed.git("init", "-q", "-b", "main")
    assert refused(orchestrate)[0] == "no-base"


def test_places_that_git_does_not_see(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A project outside the repository, or in one of its own, is always affected; one in a submodule by its commit."""
    committed.git("checkout", "-q", "main")
    outside = committed.root.parent / "outside"
    outside.mkdir()
    committed.project("far", path="../outside", pipeline="smoke")
    committed.project("own", path="packages/own", pipeline="smoke")
    subprocess.run(["git", "init", "-q", str(committed.root / "packages/own")], check=True)
    library = committed.root.parent / "library"
    WorkspaceFolder(library).write("lib/a.c", "int a;\n")
    inner = WorkspaceFolder(library)
    inner.git("init", "-q", "-b", "main")
    inner.git("add", "-A")
    inner.git("commit", "-q", "-m", "one")
    committed.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "vendor/library")
    committed.project("sub", path="vendor/library/lib", pipeline="smoke")
    committed.write(".gitignore", "/.runs/\n/out/\n/.nox/\n/packages/own/\n")
    base = committed.commit("projects elsewhere")
    found = affected(orchestrate, "--base", base)
    assert found == {
        "far": ["it lies outside the workspace's repository"],
        "own": ["it lies in a repository of its own (packages/own)"],
    }
    (committed.root / "vendor/library/lib/a.c").write_text("int b;\n")
    assert affected(orchestrate, "--base", base)["sub"] == ["changed: vendor/library"]


def test_a_project_that_is_gone_is_no_entry(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A deleted project is none; who depends on it fails by its config, and is never left out."""
    (committed.root / "project_configs/core.toml").unlink()
    shutil.rmtree(committed.root / "packages/core")
    assert affected(orchestrate, "--no-dependents") == {"shop": ["depends on core, which is no project"]}
    planned = orchestrate("plan", "smoke", "--all", *JSON).document
    faults = {one["project"]: one["fault"] for one in planned["selection"]["projects"]}
    assert faults["api"] is None
    assert "there is no project 'core'" in faults["shop"]
    alone = orchestrate("start", "smoke", "--project", "shop", *JSON)
    assert (alone.code, alone.document["error"]["code"]) == (2, "config")


def test_the_last_success_is_a_base(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Each project is compared with the commit of its own last success on a clean tree; without one it is affected."""
    assert orchestrate("start", "smoke", "--projects", "api,core").code == 0
    found = affected(orchestrate, "--base", "last-success")
    assert found == {"shop": ["it has no success on a clean tree yet"]}
    committed.write("packages/api/main.py", "changed\n")
    committed.commit("api")
    assert orchestrate("start", "smoke", "--project", "shop").code == 0
    assert affected(orchestrate, "--base", "last-success") == {"api": ["changed: packages/api/main.py"]}
    committed.write("packages/api/main.py", "changed again\n")
    assert orchestrate("start", "smoke", "--project", "api").code == 0
    assert set(affected(orchestrate, "--base", "last-success")) == {"api"}


def test_circles_are_refused_at_load(committed: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Projects that depend on each other can't start, each with the circle named, and fail in a fleet."""
    path = committed.root / "project_configs/core.toml"
    path.write_text(path.read_text().replace("[session]", 'depends_on = ["shop"]\n[session]', 1))
    done = orchestrate("start", "smoke", "--project", "core", *JSON)
    assert done.code == 2
    assert "'core' → 'shop' → 'core'" in done.document["error"]["message"]
    fleet = orchestrate("start", "smoke", "--all", *JSON)
    assert fleet.document["fleet"]["totals"]["failed"] == 2
    listed = orchestrate("doctor", *JSON)
    assert listed.code == 4
    assert "circle" in listed.stdout
