"""``plan`` and ``schema`` on real configs: all that would run is shown, and nothing is."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.plan import plan
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder
from tests.records import FakeClock


def planned(workspace: WorkspaceFolder, environ: dict[str, str] | None = None, **options: Any) -> Answer:
    """Return the answer of ``plan`` at the workspace's root."""
    context = Context(str(workspace.root), environ or {}, io.StringIO(), io.StringIO(), FakeClock())
    return plan(context, **options)


def document(answer: Answer) -> dict[str, Any]:
    """Return the JSON of an answer."""
    found: dict[str, Any] = json.loads(json.dumps(answer.document))
    return found


def test_the_only_projects_plan(workspace: WorkspaceFolder) -> None:
    """The plan names project, task and pipeline, and has the stages in order with their commands."""
    workspace.project("hello", {"build": "make all"})
    answer = planned(workspace)
    found = document(answer)
    assert answer.exit_code == 0
    assert (found["project"], found["task_id"], found["pipeline"]) == ("hello", "1-hello", "diagnostics")
    assert [stage["id"] for stage in found["stages"]] == ["build", "lint", "test", "spec-guard"]
    assert "make all" in answer.text
    assert "spec-guard is required" in answer.text


def test_a_project_says_what_a_bare_start_runs(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Without ``--pipeline`` plan and start take the project's default, from a kept plan too; what is named wins."""
    other = '[[pipelines.other.stages]]\nid = "x"\nrun = "true"\n'
    workspace.project("hello", {"build": "true", "test": "true"}, pipeline="smoke", extra=other)
    config = workspace.root / "project_configs" / "hello.toml"
    config.write_text(config.read_text().replace("[project]\n", '[project]\ndefault_pipeline = "smoke"\n'))
    assert document(planned(workspace))["pipeline"] == "smoke"
    assert document(planned(workspace, pipeline="other"))["pipeline"] == "other"
    for _ in range(2):
        orchestrate("start", "--project", "hello")
    orchestrate("start", "--project", "hello", "--pipeline", "other")
    kinds = [workspace.manifest(run)["pipeline_id"] for run in workspace.runs("1-hello")]
    assert kinds == ["smoke", "smoke", "other"]
    config.write_text(config.read_text().replace('"smoke"', '"smok"', 1))
    with pytest.raises(ConfigError, match="default_pipeline: there is no pipeline 'smok'"):
        planned(workspace)


def test_nothing_is_run_or_written(workspace: WorkspaceFolder) -> None:
    """Planning leaves no trace: no run, no snapshot, no environment, and no stage was started."""
    folder = workspace.project("hello", {"build": "touch ran"})
    planned(workspace)
    assert sorted(path.name for path in workspace.root.iterdir()) == ["packages", "project_configs"]
    assert list(folder.iterdir()) == []


def test_sub_pipelines_are_planned_too(workspace: WorkspaceFolder) -> None:
    """A stage that runs a pipeline of another project shows that pipeline's stages, in JSON and in text."""
    workspace.project("other", {"build": "make other"}, pipeline="smoke")
    workspace.project("hello", {"deep": {"pipeline": "smoke", "project": "other"}})
    answer = planned(workspace, project="hello")
    below = document(answer)["subplans"]["deep"]
    assert (below["project"], below["task_id"]) == ("other", "1-other")
    assert [stage["id"] for stage in below["stages"]] == ["build", "test"]
    assert "make other" in answer.text


def test_a_guardrail_that_cannot_fail_is_flagged(workspace: WorkspaceFolder) -> None:
    """The flag is in the document and on the screen; a guardrail of the project's own that passes for nothing."""
    own = {"run": "true", "guardrail": True}
    workspace.project("hello", {"license": own}, extra='[guardrails]\nrequired = ["spec-guard", "license"]')
    answer = planned(workspace)
    assert [flag["code"] for flag in document(answer)["flags"]] == ["guardrail-cannot-fail"]
    assert "license is required, and only advisory: it can't fail" in answer.text


def test_secrets_of_the_environment_are_masked(workspace: WorkspaceFolder) -> None:
    """A command line that holds the value of a secret variable is shown without it."""
    workspace.project("hello", {"build": "deploy hunter2hunter2"}, extra="")
    answer = planned(workspace, {"DEPLOY_TOKEN": "hunter2hunter2"})
    assert "hunter2" not in answer.text
    assert "hunter2" not in json.dumps(answer.document)


def test_what_start_would_refuse_is_refused(workspace: WorkspaceFolder) -> None:
    """Unknown pipelines and projects, a missing folder and a faulty config are refused as by ``start``."""
    folder = workspace.project("hello")
    with pytest.raises(UsageError, match="nightly"):
        planned(workspace, pipeline="nightly")
    with pytest.raises(UsageError) as refused:
        planned(workspace, project="hallo")
    assert "hello" in refused.value.hint
    folder.rmdir()
    with pytest.raises(UsageError, match="does not exist"):
        planned(workspace)
    workspace.config("hello", "schema_version = 7\n")
    with pytest.raises(ConfigError):
        planned(workspace)


def test_no_workspace(tmp_path: Path) -> None:
    """Outside of a workspace the plan is refused."""
    with pytest.raises(UsageError):
        plan(Context(str(tmp_path), {}, io.StringIO(), io.StringIO()))


def test_the_program_plans(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The console script prints the plan as text and as JSON, and the schema that is published."""
    workspace.project("hello")
    assert "4. spec-guard (guardrail)" in orchestrate("plan").stdout
    found = orchestrate("plan", "diagnostics", "--format", "json")
    assert (found.code, found.document["project"]) == (0, "hello")
    assert orchestrate("schema", "manifest").stdout == (REPOSITORY / "docs/manifest.schema.json").read_text()


def test_the_digest_is_that_of_the_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that is started now executes the plan that was shown: the digests agree."""
    workspace.project("hello", {"build": "echo hunter2hunter2"})
    environ = {"DEPLOY_TOKEN": "hunter2hunter2"}
    shown = orchestrate("plan", "--format", "json", env=environ).document["digest"]
    started = orchestrate("start", "--format", "json", env=environ)
    assert started.code == 0, started.stderr
    (run,) = workspace.runs("1-hello")
    assert workspace.manifest(run)["plan"]["digest"] == shown
