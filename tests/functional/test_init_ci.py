"""``init --ci``: the workflow is YAML of the system's form, and its commands work in a job of that system."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.store.layout import CHILD_START, RUN_LOCK, TOKEN
from tests.harness import REPOSITORY, Done, Orchestrator

CONFIG = """schema_version = 1
project = { name = "app", path = "packages/app", task_id = "1-app" }
session = { backend = "none" }
[pipelines.diagnostics]
stages = [
  { id = "build", run = "true" },
  { id = "lint", run = "true" },
  { id = "test", shell = "grep -q good code.py" },
]
"""


def sh(script: str, cwd: Path, env: Mapping[str, str], code: int = 0) -> str:
    """Run a step's script as a runner does, and return what it printed."""
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=cwd, env=dict(env), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, (script, done.stdout, done.stderr)
    return done.stdout + done.stderr


@pytest.fixture
def job(tmp_path: Path, orchestrate: Orchestrator) -> dict[str, str]:
    """The environment of a job: programs on PATH, an identity for git, files for outputs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("nox", "nox"), ("codex-orchestrator", "orchestrator"), ("python", "")):
        words = f"-m {module} " if module else ""
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words}"$@"\n')
        (programs / name).chmod(0o755)
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        (tmp_path / name).touch()
    identity = {f"GIT_{role}_{key}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    return {
        **{key: value for key, value in orchestrate.environ.items() if not key.startswith("CODEX_")},
        **identity,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "CI": "true",
    }


def clone_with_change(
    tmp_path: Path, orchestrate: Orchestrator, job: Mapping[str, str], system: str, *, others: Sequence[str] = ()
) -> Path:
    """Make a repository whose workspace has the workflow, and return a clone at a branch that breaks a test of app.

    ``others`` are projects beside it, which the branch does not touch.
    """
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    done = orchestrate("init", "--path", str(origin), "--ci", system, "--yes", cwd=tmp_path)
    assert done.code == 0, done.stderr
    (origin / "packages/app").mkdir(parents=True)
    (origin / "packages/app/code.py").write_text("good = 1\n")
    (origin / "project_configs/app.toml").write_text(CONFIG)
    for name in others:
        (origin / "packages" / name).mkdir()
        (origin / "packages" / name / "code.py").write_text("good = 1\n")
        (origin / f"project_configs/{name}.toml").write_text(CONFIG.replace("app", name))
    sh("git init -q -b trunk && git add -A && git commit -qm first && git checkout -qb topic", origin, job)
    (origin / "packages/app/code.py").write_text("bad = 1\n")
    sh("git commit -qam second && git checkout -q trunk", origin, job)
    sh(f"git clone -q {origin} {clone} && cd {clone} && git checkout -q --detach origin/topic", tmp_path, job)
    return clone


def steps(workflow: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Return a job's steps that are scripts, by name."""
    return {step["name"]: step for step in workflow["jobs"][name]["steps"] if "run" in step}


def test_the_workflow_of_github(tmp_path: Path, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """A pull request that breaks a test and changes code without a spec: the base is found, the record is exported."""
    clone = clone_with_change(tmp_path, orchestrate, job, "github")
    workflow = yaml.safe_load((clone / ".github/workflows/diagnostics.yml").read_text())
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    uses = [step for one in workflow["jobs"].values() for step in one["steps"]]
    assert all(("uses" in step) != ("run" in step) for step in uses)
    checkout = next(
        s for s in workflow["jobs"]["diagnostics"]["steps"] if s.get("uses", "").startswith("actions/checkout")
    )
    assert checkout["with"]["fetch-depth"] == 0
    kept = next(step["with"] for step in uses if "upload-artifact" in step.get("uses", ""))
    assert kept["include-hidden-files"]
    assert {f"!.runs/**/{name}" for name in (TOKEN, CHILD_START, RUN_LOCK)} < set(kept["path"].split())
    output = tmp_path / "GITHUB_OUTPUT"
    env = {**job, "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output)}
    env["GITHUB_STEP_SUMMARY"] = str(tmp_path / "GITHUB_STEP_SUMMARY")
    for one in ("sessions", "diagnostics"):
        install = steps(workflow, one)["install"]["run"]
        assert "names what to install" in sh(install, clone, {**env, "CODEX_ORCHESTRATOR_PACKAGE": ""}, code=1)
    sh(steps(workflow, "sessions")["list the projects' sessions"]["run"], clone, env)
    assert json.loads(output.read_text().removeprefix("sessions=")) == ["diagnostics-app"]
    run = steps(workflow, "diagnostics")["run"]
    assert set(run["env"]) == {"BASE_SHA", "DEFAULT_BRANCH", "SESSION"}
    base = sh("git rev-parse origin/trunk", clone, env).strip()
    output.write_text("")
    printed = sh(
        run["run"], clone, {**env, "BASE_SHA": base, "DEFAULT_BRANCH": "trunk", "SESSION": "diagnostics-app"}, code=1
    )
    assert "::group::test" in printed
    assert "base-unknown" not in printed
    said = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert said["status"] == "failed"
    sh(steps(workflow, "diagnostics")["JUnit"]["run"], clone, {**env, "RUN_ID": said["run_id"]})
    assert 'name="test"' in (clone / "junit.xml").read_text()
    assert "**test** failed" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()


def test_the_workflow_of_gitlab(tmp_path: Path, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """A new branch, whose commit before is all zeros, is compared with the default branch that the script fetches."""
    clone = clone_with_change(tmp_path, orchestrate, job, "gitlab", others=["web"])
    sh("git update-ref -d refs/remotes/origin/trunk && git remote set-head origin -d", clone, job)
    (one,) = yaml.safe_load((clone / ".gitlab-ci.yml").read_text()).values()
    assert one["variables"]["GIT_DEPTH"] == "0"
    assert {f".runs/**/{name}" for name in (TOKEN, CHILD_START, RUN_LOCK)} == set(one["artifacts"]["exclude"])
    assert "names what to install" in sh("\n".join(one["before_script"]), clone, job, code=1)
    env = {
        **job,
        "GITLAB_CI": "true",
        "CI_PROJECT_DIR": str(clone),
        "CI_DEFAULT_BRANCH": "trunk",
        "CI_COMMIT_BEFORE_SHA": "0" * 40,
    }
    printed = sh("\n".join(one["script"]), clone, env, code=1)
    assert "section_start" in printed
    assert "base-unknown" not in printed
    assert "code-without-spec" in printed
    sh("\n".join(one["after_script"]), clone, env)
    junit = (clone / "junit.xml").read_text()
    assert [re.search(rf'<testsuite name="{name}.diagnostics"', junit) is None for name in ("app", "web")] == [
        False
    ] * 2


def test_the_image_of_gitlab_is_not_said_to_have_what_it_lacks(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """A project of Node.js is named with the program that the image lacks; Python's, make's and a broken config not."""
    folder = tmp_path / "project_configs"
    folder.mkdir()
    for name, command in (("web", "npm ci"), ("app", "python -m build"), ("lib", "make all")):
        text = CONFIG.replace("app", name).replace('id = "build", run = "true"', f'id = "build", run = "{command}"')
        (folder / f"{name}.toml").write_text(text)
    (folder / "bad.toml").write_text("[")
    noted = orchestrate("init", "--ci", "gitlab", "--dry-run", "--format", "json", cwd=tmp_path).document["notes"]
    (note,) = [note for note in noted if "image" in note]
    assert note.startswith("the image of .gitlab-ci.yml has no npm, which web.build calls: ")
    github = orchestrate("init", "--ci", "github", "--dry-run", "--format", "json", cwd=tmp_path).document["notes"]
    assert [note for note in github if "image" in note] == []


def test_a_workflow_that_is_there_stays(orchestrate: Orchestrator, tmp_path: Path) -> None:
    """A file of that name is kept and noted; an unknown system is refused with the known ones."""
    (tmp_path / ".gitlab-ci.yml").write_text("mine: {}\n")
    kept: Done = orchestrate("init", "--ci", "gitlab", "--yes", cwd=tmp_path)
    assert kept.code == 0
    assert "note: .gitlab-ci.yml was left as it is" in kept.stdout
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    refused = orchestrate("init", "--ci", "githup", "--yes", cwd=tmp_path)
    assert (refused.code, "did you mean 'github'?" in refused.stderr) == (2, True)
