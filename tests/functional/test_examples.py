"""The example codebases of this repository, run as they are onboarded."""

from __future__ import annotations

import json
import shutil
import tomllib
from datetime import date
from pathlib import Path

import pytest

from orchestrator.checks.spec_guard.spec_age import review_findings
from orchestrator.commands.review.sla_limits import oldest_measurements
from orchestrator.config.loading import load_project
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder

NOT_COPIED = shutil.ignore_patterns("dist", "node_modules", "__pycache__", ".*_cache")
# Whatever asks the network gets no answer, from a port that nothing listens on.
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
LATER = date(2126, 1, 1)
PROJECTS = ("hello-python", "hello-node", "orchestrator")


@pytest.fixture
def examples(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A workspace with copies of the two example codebases, their configs, specs and checklists."""
    for project in ("hello-python", "hello-node"):
        shutil.copytree(REPOSITORY / "packages" / project, workspace.root / "packages" / project, ignore=NOT_COPIED)
        shutil.copy(REPOSITORY / "project_configs" / f"{project}.toml", workspace.root / "project_configs")
    for folder in ("tasks", "docs/checklists", ".agent"):
        shutil.copytree(REPOSITORY / folder, workspace.root / folder)
    return workspace


@pytest.mark.usefixtures("node")
def test_hello_node_passes_without_network_and_fails_with_a_digest(
    examples: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Build, lint and test need no network; a broken test is named, mended and resumed."""
    tests = examples.root / "packages/hello-node/test/slugify.test.js"
    original = tests.read_text()
    tests.write_text(original.replace('"hello-world"', '"goodbye-world"'))
    failed = orchestrate("start", "--project", "hello-node", "--format", "json", env=NO_NETWORK)
    assert failed.code == 3, failed.stderr
    (digest,) = failed.document["failed"]
    assert digest["stage"] == "test"
    assert "goodbye-world" in (examples.root / digest["log_path"]).read_text()
    tests.write_text(original)
    resumed = orchestrate("resume", failed.document["run_id"], "--format", "json", env=NO_NETWORK)
    assert resumed.code == 0, resumed.stderr
    assert _outcomes(examples, "1002-hello-node") == dict.fromkeys(("build", "lint", "test", "spec-guard"), "success")
    assert (examples.root / "packages/hello-node/dist/cli.js").exists()


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.usefixtures("node")
def test_hello_python_passes_in_its_own_environment(examples: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The diagnostics pass from nothing, and without the network once the environment is made: in a fleet of both."""
    first = orchestrate("start", "--project", "hello-python", "--format", "json", timeout=600)
    assert first.code == 0, first.stderr
    assert _outcomes(examples, "1001-hello-python") == dict.fromkeys(("build", "lint", "test", "spec-guard"), "success")
    again = orchestrate("start", "--all", "--format", "json", env=NO_NETWORK)
    assert again.code == 0, again.stderr
    assert again.document["fleet"]["totals"]["succeeded"] == 2
    archives = examples.root / first.document["artifact_root"] / "dist"
    assert sorted(path.suffix for path in archives.iterdir()) == [".gz", ".whl"]
    left = {path.name for path in (examples.root / "packages/hello-python").iterdir()}
    assert left == {"README.md", "pyproject.toml", "src", "tests"}


@pytest.mark.parametrize("project", PROJECTS)
def test_the_projects_of_this_repository_can_be_planned(project: str, orchestrate: Orchestrator) -> None:
    """Each config is valid and has the required guardrail; all that is flagged is that no review grows too old."""
    planned = orchestrate("plan", "--project", project, "--format", "json", cwd=REPOSITORY)
    assert planned.code == 0, planned.stderr
    stages = [stage["id"] for stage in planned.document["stages"]]
    assert stages[0] == "build"
    assert {"lint", "test", "spec-guard"} <= set(stages)
    assert [flag["message"] for flag in planned.document["flags"]] == [
        "[spec_guard] asks less than the default: reviews may be of any age"
    ]


def test_this_repository_does_not_run_itself() -> None:
    """The test stage of the project ``orchestrator`` runs the unit tests and nothing that starts a run."""
    config = tomllib.loads((REPOSITORY / "project_configs/orchestrator.toml").read_text())
    stages = {stage["id"]: stage for stage in config["pipelines"]["diagnostics"]["stages"]}
    assert stages["test"]["run"] == "python -m pytest tests/unit"


def test_each_task_has_a_project_a_spec_and_a_checklist() -> None:
    """tasks/index.json, the configs, the specs and the checklists name the same tasks."""
    items = json.loads((REPOSITORY / "tasks/index.json").read_text())["items"]
    configs = [tomllib.loads(path.read_text()) for path in sorted((REPOSITORY / "project_configs").glob("*.toml"))]
    declared = {config["project"]["task_id"]: config["project"]["name"] for config in configs}
    assert {item["id"]: item["project"] for item in items} == declared
    assert set(declared.values()) == set(PROJECTS)
    for task in declared:
        assert (REPOSITORY / f"tasks/tasks-{task}.md").is_file()
        spec = Path(REPOSITORY / f"tasks/specs/{task}.md").read_text()
        age = load_project(str(REPOSITORY), declared[task]).spec_guard.max_review_age
        assert review_findings(task, spec, LATER, age) == ()


def test_no_figure_of_this_repository_grows_too_old() -> None:
    """Time alone makes no row of docs/sla.md a finding, and no guardrail of a project is waived until a day."""
    assert set(oldest_measurements(str(REPOSITORY)).values()) == {None}
    assert [load_project(str(REPOSITORY), project).waivers for project in PROJECTS] == [()] * len(PROJECTS)


def _outcomes(workspace: WorkspaceFolder, task: str) -> dict[str, str]:
    return {stage["id"]: stage["outcome"] for stage in workspace.manifest(workspace.runs(task)[-1])["commands"]}
