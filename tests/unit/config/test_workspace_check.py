"""``workspace.toml`` as a whole: every fault is named before a plan is made, and by ``doctor``."""

from __future__ import annotations

import json
from datetime import date

import pytest

from orchestrator.base.errors import ConfigError
from orchestrator.commands.maintain.tool_checks import config_findings
from orchestrator.config.planning import compile_plan
from orchestrator.config.workspace_check import checked_workspace
from tests.harness import WorkspaceFolder

TODAY = date(2026, 1, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[queue]\nrunning = 1\n", "schema_version: is not 1"),
        ("schema_version = 1\n[queu]\nrunning = 1\n", "queu: is no table of this file (did you mean 'queue'?)"),
        (
            "schema_version = 1\n[queue]\nruning = 1\n",
            "queue.runing: is no key of this table (did you",
        ),
        ("schema_version = 1\n[fleet]\ntask = 'x'\n", "fleet.task: is no key"),
        ("schema_version = 1\n[export]\ntimeout = 3\n", "export.timeout: must be a duration"),
        ("schema_version = 1\n[prune]\nkeep_last = 1\n", "prune.keep_last: is no whole number"),
        ("schema_version = 1\n[cloud]\nretries = -1\n", "cloud.retries: must be a whole number"),
        ("schema_version = 1\n[docs]\nsince = 'main'\n", "docs.since: is no commit"),
        ("schema_version = 1\nqueue = 3\n", "queue: is no table"),
    ],
)
def test_a_fault_anywhere_in_the_file_makes_no_plan(workspace: WorkspaceFolder, text: str, said: str) -> None:
    """Every table is checked, also one that the command at hand needs nothing of; ``doctor`` names file and key."""
    workspace.project("x")
    workspace.write("workspace.toml", text)
    with pytest.raises(ConfigError) as caught:
        compile_plan(str(workspace.root), "x", "diagnostics", today=TODAY)
    assert f"workspace.toml: {said}" in caught.value.message
    findings = config_findings(str(workspace.root), TODAY)[1]
    assert [(each.place, each.level) for each in findings] == [("workspace.toml", "error")]
    assert findings[0].message.startswith(said)


def test_a_sound_file_and_none_at_all_are_taken(workspace: WorkspaceFolder) -> None:
    """The limit of the queue comes from the checked file; without one there is no limit."""
    workspace.project("x")
    assert checked_workspace(str(workspace.root)) == {}
    workspace.write("workspace.toml", 'schema_version = 1\n[queue]\nrunning = 2\n[docs]\nignore = ["a/**"]\n')
    assert compile_plan(str(workspace.root), "x", "diagnostics", today=TODAY).queue.workspace.running == 2


def test_the_doctor_names_each_file_once(workspace: WorkspaceFolder) -> None:
    """A finding's message does not repeat its place: of a config, a misnamed one, and the list of tasks."""
    workspace.project("x")
    workspace.config("y", "= 1\n")
    workspace.config("Bad Name", "")
    workspace.write("tasks/index.json", "{")
    findings = config_findings(str(workspace.root), TODAY)[1]
    assert {each.place for each in findings} == {"project_configs/y.toml", "project_configs", "tasks/index.json"}
    assert not [each for each in findings if each.message.startswith(each.place)]


def test_the_doctor_names_a_default_task_of_another_project(workspace: WorkspaceFolder) -> None:
    """What every start refuses is an error; that the index names a task's project is no advice where it does."""
    for name in ("x", "y"):
        workspace.project(name, task_id="1-t")
    workspace.write("tasks/index.json", json.dumps({"items": [{"id": "1-t", "project": "x"}]}))
    foreign, shared = config_findings(str(workspace.root), TODAY)[1]
    assert (foreign.code, foreign.place, foreign.level) == ("foreign-task", "project_configs/y.toml", "error")
    assert (shared.code, shared.hint) == ("shared-task", "give each its own project.task_id")
