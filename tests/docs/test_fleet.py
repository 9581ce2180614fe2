"""The examples of docs/fleet.md hold."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

import pytest

from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.parser import parse
from orchestrator.config.fleet_policy import FleetPolicy, read_fleet_policy
from orchestrator.config.loading import load_project
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder

PAGE = (REPOSITORY / "docs/fleet.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """Return the blocks of a kind on the page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.M | re.S)


def test_every_command_of_the_page_can_be_typed() -> None:
    """Each command line of the page is one that the program takes."""
    lines = [line.partition("#")[0] for block in blocks("console") for line in block.splitlines()]
    assert len(lines) > 8
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "codex-orchestrator"
        found = parse(words, COMMANDS)
        assert found.command is not None
        found.command.arguments(found.given)


def test_the_tables_of_the_page_are_valid(workspace: WorkspaceFolder) -> None:
    """The keys of a project and of the workspace are what the page says, and the shown values the defaults."""
    project, shared = blocks("toml")[:2]
    workspace.write("workspace.toml", shared)
    assert read_fleet_policy(str(workspace.root)) == FleetPolicy()
    workspace.project("alpha")
    workspace.project("shop")
    path = workspace.root / "project_configs/shop.toml"
    keys = project.split("[project]\n")[1]
    path.write_text(path.read_text().replace("[session]", f"{keys}\n[session]", 1))
    config = load_project(str(workspace.root), "shop")
    assert (config.tags, config.depends_on, config.also) == (("web",), ("alpha",), ("libs/common/**",))


@pytest.mark.usefixtures("home")
def test_the_workflow_of_ten_projects(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Its plan makes three jobs that hold ten projects, and a job's start runs those of its part."""
    names = [f"p{number}" for number in range(10)]
    for name in names:
        workspace.project(name, pipeline="smoke")
        workspace.project(name)
    workspace.commit()
    (workflow,) = (block for block in blocks("yaml") if "--shards" in block)
    plan = re.search(r'"matrix=\$\((.*?)\)"', workflow)
    start = re.search(r"- run: (codex-orchestrator start .*)", workflow)
    assert plan is not None
    assert start is not None
    program = shlex.join(orchestrate.command())
    environ = dict(orchestrate.environ)

    def typed(line: str, **env: str) -> subprocess.CompletedProcess[str]:
        words = line.replace("codex-orchestrator", program)
        return subprocess.run(
            ["sh", "-c", words], cwd=workspace.root, env={**environ, **env}, capture_output=True, text=True, check=False
        )

    include = json.loads(typed(plan[1]).stdout)["include"]
    assert sorted(name for job in include for name in job["projects"].split(",")) == names
    assert [job["shard"] for job in include] == ["1/3", "2/3", "3/3"]
    each = orchestrate("projects", "--format", "github-matrix").document["include"]
    assert [(job["project"], job["session"]) for job in each] == [(name, f"diagnostics-{name}") for name in names]
    done = typed(f"{start[1]} --pipeline smoke", PROJECTS=include[2]["projects"])
    assert done.returncode == 0, done.stdout + done.stderr
    record = workspace.manifest(workspace.runs("fleet")[0])
    assert ",".join(command["id"] for command in record["commands"]) == include[2]["projects"]
