"""Runs that are started inside runs know their parent, by whichever door, and the parent knows them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.functional.test_start import run_of
from tests.harness import Orchestrator, WorkspaceFolder


def only_run(workspace: WorkspaceFolder, task: str) -> dict[str, Any]:
    """Return the manifest of a task's only run."""
    (run,) = workspace.runs(task)
    return workspace.manifest(run)


@pytest.mark.parametrize(
    "command",
    [
        "codex-orchestrator start --project inner",
        "cd $CODEX_ORCHESTRATOR_ROOT && invoke start --project inner",
        "cd $CODEX_ORCHESTRATOR_ROOT && nox -s diagnostics-inner",
    ],
    ids=["console", "invoke", "nox"],
)
def test_a_nested_call_becomes_a_child(workspace: WorkspaceFolder, orchestrate: Orchestrator, command: str) -> None:
    """Without any flag, in another project and task: parent, root and depth at one end, child_runs at the other."""
    workspace.write("tasks.py", "from orchestrator.cli import namespace  # noqa: F401\n")
    workspace.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    workspace.project("inner")
    workspace.project("outer", {"test": command})
    done = orchestrate("start", "--project", "outer", "--format", "json")
    assert done.code == 0, done.stderr
    outer, inner = run_of(done, workspace), only_run(workspace, "1-inner")
    assert inner["parent_run_id"] == inner["lineage"]["parentRunId"] == outer["run_id"]
    assert (inner["lineage"]["rootRunId"], inner["lineage"]["depth"]) == (outer["run_id"], 1)
    assert inner["lineage"]["parent_stage_id"] == "test"
    (child,) = outer["child_runs"]
    assert (child["run_id"], child["status"], child["task_id"]) == (inner["run_id"], "succeeded", "1-inner")
    assert (workspace.root / child["manifest"]).exists()
    assert workspace.metrics("1-outer")[0]["child_runs"] == 1
    assert workspace.metrics("1-inner")[0]["parent_run_id"] == outer["run_id"]


@pytest.mark.parametrize(("way", "moved"), [("console", True), ("invoke", False), ("nox", False)])
def test_a_stage_that_works_in_another_workspace(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path, way: str, moved: bool
) -> None:
    """Its run is that workspace's own, a new root with a note: both records hold, and neither knows the other's run."""
    other = WorkspaceFolder(tmp_path / "other")
    for folder in (workspace, other):
        folder.write("tasks.py", "from orchestrator.cli import namespace  # noqa: F401\n")
        folder.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    words = {"console": "codex-orchestrator start", "invoke": "invoke start", "nox": "nox -s diagnostics-x"}[way]
    other.project("x", {"build": "touch ran"})
    workspace.project("x", {"build": f"cd '{other.root}' && {words}{'' if way == 'nox' else ' --project x'}"})
    names = {"CODEX_ORCHESTRATOR_RUNS_DIR": "runs", "CODEX_ORCHESTRATOR_OUT_DIR": "out"}
    env = {name: str(tmp_path / "moved" / folder) for name, folder in names.items()} if moved else {}
    done = orchestrate("start", "--project", "x", "--format", "json", env=env)
    assert done.code == 0, done.stderr
    assert (other.root / "packages/x/ran").exists()
    inner = only_run(other, "1-x")
    assert (inner["status"], inner["parent_run_id"], inner["lineage"]["depth"]) == ("succeeded", None, 0)
    assert done.document["run_id"] in inner["lineage"]["note"]
    (outer,) = (tmp_path / "moved/runs" if moved else workspace.root / ".runs").glob("1-x/cli/2*")
    record = workspace.manifest(outer)
    assert (record["run_id"], record["status"], record["child_runs"]) == (done.document["run_id"], "succeeded", [])
    assert orchestrate("verify", "--all", "--state", env=env).code == 0
    assert orchestrate("verify", "--all", "--state", cwd=other.root).code == 0


def test_a_sub_pipeline_is_a_child_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Of the same project and of another one; the stage names its run, and the trace goes on."""
    workspace.project("other", {"build": "echo $TRACEPARENT"})
    workspace.project(
        "x",
        {
            "build": "echo $TRACEPARENT",
            "quick": {"pipeline": "smoke"},
            "far": {"pipeline": "diagnostics", "project": "other"},
        },
        extra='[[pipelines.smoke.stages]]\nid = "build"\nrun = "true"\n'
        '[[pipelines.smoke.stages]]\nid = "test"\nrun = "true"\n',
    )
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 0, done.stderr
    outer = run_of(done, workspace)
    stages = {item["id"]: item for item in outer["commands"]}
    children = {child["stage_id"]: child for child in outer["child_runs"]}
    assert set(children) == {"quick", "far"}
    for stage_id, child in children.items():
        assert stages[stage_id]["sub_run_id"] == child["run_id"]
        assert stages[stage_id]["kind"] == "subpipeline"
    assert children["quick"]["task_id"] == "1-x"
    far = only_run(workspace, "1-other")
    assert far["lineage"]["parentRunId"] == outer["run_id"]
    traces = {trace_of(workspace.root / item["commands"][0]["log_path"]) for item in (outer, far)}
    assert len(traces) == 1


def test_a_trace_goes_on_in_a_resume_and_in_an_empty_environment(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The spans that stages are told are those that are exported, whatever the environment of a later call says."""
    inner = 'env -i PATH="$PATH" CODEX_ORCHESTRATOR_RUN_ID="$CODEX_ORCHESTRATOR_RUN_ID" codex-orchestrator start deep'
    stage = '[[pipelines.top.stages]]\nid = "one"\nshell = """echo $TRACEPARENT; {}; exit 3"""\n'
    workspace.project("x", extra=stage.format(inner) + '[[pipelines.deep.stages]]\nid = "two"\nrun = "true"\n')
    caller = {"TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"}
    document = orchestrate("start", "top", "--format", "json", env=caller).document
    assert orchestrate("resume", document["run_id"]).code == 3
    record = workspace.manifest(workspace.root / document["artifact_root"])
    told = [
        (workspace.root / attempt["log_path"]).read_text().split()[0] for attempt in record["commands"][0]["attempts"]
    ]
    assert [text.split("-")[1] for text in told] == ["a" * 32] * 2
    exported = orchestrate("export", document["run_id"], "--as", "otlp-json").document["resourceSpans"]
    spans = [span for one in exported for scope in one["scopeSpans"] for span in scope["spans"]]
    assert {span["traceId"] for span in spans} == {"a" * 32}
    assert {text.split("-")[2] for text in told} < {span["spanId"] for span in spans}


def trace_of(log: Path) -> str:
    """Return the trace id that a stage printed."""
    return log.read_text().split("-")[1]


def test_a_failed_sub_pipeline_fails_its_stage(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The parent ends with exit code 3, and its child is recorded as failed."""
    workspace.project("other", {"build": "exit 9"})
    workspace.project("x", {"far": {"pipeline": "diagnostics", "project": "other"}})
    done = orchestrate("start", "--project", "x", "--format", "json")
    assert done.code == 3
    (child,) = run_of(done, workspace)["child_runs"]
    assert child["status"] == "failed"


def test_the_flag_wins_over_the_environment(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``--parent-run`` names the parent, which has ended and still gets its end of the link."""
    workspace.project("x")
    first = run_of(orchestrate("start", "--project", "x", "--format", "json"), workspace)
    second = run_of(orchestrate("start", "--project", "x", "--format", "json"), workspace)
    done = orchestrate(
        *("start", "--project", "x", "--parent-run", first["run_id"], "--format", "json"),
        env={"CODEX_ORCHESTRATOR_RUN_ID": second["run_id"]},
    )
    child = run_of(done, workspace)
    assert child["lineage"]["parentRunId"] == first["run_id"]
    runs = {run.name: workspace.manifest(run) for run in workspace.runs("1-x")}
    assert [item["run_id"] for item in runs[first["run_id"]]["child_runs"]] == [child["run_id"]]
    assert runs[first["run_id"]]["child_runs"][0]["status"] == "succeeded"
    assert runs[second["run_id"]]["child_runs"] == []


def test_an_unknown_parent_is_refused_or_noted(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """By the flag: exit code 6. Inherited: a new root, with a note."""
    workspace.project("x")
    unknown = "2026-11-22T08-43-05-720Z-5087869c"
    assert orchestrate("start", "--project", "x", "--parent-run", unknown).code == 6
    assert not (workspace.root / ".runs" / "1-x").exists()
    for inherited in (unknown, "../evil"):
        done = orchestrate("start", "--project", "x", "--format", "json", env={"CODEX_ORCHESTRATOR_RUN_ID": inherited})
        lineage = run_of(done, workspace)["lineage"]
        assert (lineage["parentRunId"], lineage["depth"]) == (None, 0)
        assert lineage["note"]


def test_nesting_has_an_end(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A stage that starts its own pipeline is refused below depth 16 with exit code 5."""
    from orchestrator.base.errors import Refused
    from orchestrator.model.lineage import child_lineage

    parent = {"run_id": "r", "task_id": "t", "lineage": {"rootRunId": "r", "depth": 15}}
    assert child_lineage(parent, None).depth == 16
    parent["lineage"] = {"rootRunId": "r", "depth": 16}
    with pytest.raises(Refused) as refused:
        child_lineage(parent, None)
    assert refused.value.exit_code == 5


def test_the_tools_on_a_stages_path_are_the_orchestrators(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """``codex-orchestrator``, ``nox`` and ``invoke`` are found, and nothing else of its environment is."""
    own = Path(sys.prefix) / "bin"
    workspace.project("x", {"build": "for t in codex-orchestrator nox invoke; do command -v $t; done; echo PATH=$PATH"})
    done = orchestrate("start", "--project", "x", "--format", "json", env={"PATH": f"{own}:/usr/bin:/bin"})
    assert done.code == 0, done.stderr
    manifest = run_of(done, workspace)
    lines = (workspace.root / manifest["commands"][0]["log_path"]).read_text().splitlines()
    assert [Path(line).name for line in lines[:3]] == ["codex-orchestrator", "nox", "invoke"]
    assert str(own) not in lines[3].removeprefix("PATH=").split(":")
