"""Which project and which task a command means."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.workspace import Workspace
from orchestrator.config.routing import Route, route
from orchestrator.config.routing.projects import Projects, task_owner
from tests.harness import WorkspaceFolder


def routed(
    workspace: WorkspaceFolder,
    *,
    cwd: str | Path = "",
    project: str | None = None,
    task: str | None = None,
    variable: str | None = None,
    parent: tuple[str, str] | None = None,
) -> Route:
    """Route a command called in ``cwd`` (from the workspace's root)."""
    root = str(workspace.root)
    return route(
        Workspace(root, os.path.join(root, ".runs"), os.path.join(root, "out")),
        os.path.join(root, cwd),
        {} if variable is None else {"MCP_RUNNER_TASK_ID": variable},
        project=project,
        task=task,
        parent_project=parent[0] if parent else None,
        parent_task=parent[1] if parent else None,
    )


def refusal(workspace: WorkspaceFolder, **asked: str) -> UsageError:
    """Return why a command is refused."""
    with pytest.raises(UsageError) as caught:
        routed(workspace, **asked)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    return caught.value


@pytest.fixture
def town(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """Two projects, ``a`` and ``b``, whose tasks are ``1-a`` and ``1-b``, and an index that names more."""
    workspace.project("a")
    workspace.project("b")
    items = [{"id": "2-b", "project": "b", "title": "x"}, {"id": "3-free", "slug": "free"}, {"id": "1-b"}]
    workspace.write("tasks/index.json", json.dumps({"items": items}))
    return workspace


def test_a_named_project_has_its_default_task(town: WorkspaceFolder) -> None:
    """With --project alone only that config is read: neither a broken neighbour nor a broken index matters."""
    town.config("b", "= 1")
    town.write("tasks/index.json", "{")
    assert routed(town, project="a") == Route("a", "1-a")


def test_a_task_tells_the_project(town: WorkspaceFolder) -> None:
    """The owner is the index's word, else the config with that default task; the flag goes before the variable."""
    assert routed(town, task="2-b") == Route("b", "2-b")
    assert routed(town, task="1-a") == Route("a", "1-a")
    assert routed(town, variable="2-b") == Route("b", "2-b")
    assert routed(town, task="1-a", variable="2-b") == Route("a", "1-a")
    assert routed(town, task="2-b", cwd="packages/a") == Route("b", "2-b")


def test_the_folder_tells_the_project(town: WorkspaceFolder) -> None:
    """Without flags the innermost project whose folder holds the current one is meant, links resolved."""
    (town.root / "packages/a/src/deep").mkdir(parents=True)
    assert routed(town, cwd="packages/a/src/deep") == Route("a", "1-a")
    town.project("whole", path=".")
    assert routed(town) == Route("whole", "1-whole")
    assert routed(town, cwd="packages/b") == Route("b", "1-b")
    (town.root / "link").symlink_to("packages/b")
    assert routed(town, cwd="link") == Route("b", "1-b")


def test_the_only_project_is_meant(workspace: WorkspaceFolder) -> None:
    """A workspace with one project asks nothing."""
    workspace.project("only")
    assert routed(workspace) == Route("only", "1-only")


def test_an_unknown_project_is_refused_with_the_list(town: WorkspaceFolder) -> None:
    """Neither task nor folder nor number tells: the list is shown, broken configs with it."""
    town.config("c", "= 1")
    refused = refusal(town)
    assert (refused.code, refused.hint) == ("which-project", "name one with --project")
    assert refused.message.endswith(": a, b, c")


def test_a_project_given_as_the_pipeline_is_named(town: WorkspaceFolder) -> None:
    """``start a``, the likeliest first mistake, leads to --project; a pipeline's name changes nothing."""
    root = str(town.root)
    workspace = Workspace(root, os.path.join(root, ".runs"), os.path.join(root, "out"))
    for pipeline, code, hint in (("a", "'a' was taken as the pipeline", "--project a"), ("smoke", "which", "name one")):
        with pytest.raises(UsageError) as caught:
            route(
                workspace,
                root,
                {},
                project=None,
                task=None,
                parent_project=None,
                parent_task=None,
                pipeline=pipeline,
            )
        assert caught.value.message.startswith(code)
        assert caught.value.hint.startswith(hint)


def test_two_projects_in_one_folder_are_refused(town: WorkspaceFolder) -> None:
    """A folder that two projects share tells nothing."""
    town.project("twin", path="packages/a")
    assert refusal(town, cwd="packages/a").message == "more than one project has this folder: a, twin"


def test_a_broken_project_is_not_mistaken_for_the_one_around_it(town: WorkspaceFolder) -> None:
    """In a broken project's folder its faults are told; the outer project is not run in its stead."""
    town.project("whole", path=".")
    town.config("b", "= 1")
    with pytest.raises(ConfigError, match=r"project_configs/b\.toml"):
        routed(town, cwd="packages/b")


def test_an_empty_workspace_says_so(workspace: WorkspaceFolder) -> None:
    """No project at all, or only broken ones, has its own message."""
    assert refusal(workspace).code == "no-project"
    workspace.config("x", "= 1")
    assert isinstance(refusal(workspace), ConfigError)


@pytest.mark.parametrize(("task", "owner"), [("2-b", "b"), ("1-b", "b")])
def test_another_projects_task_is_refused(town: WorkspaceFolder, task: str, owner: str) -> None:
    """The right project, and the right task of the named one, are told; the variable is checked like the flag."""
    for asked in ({"task": task}, {"variable": task}):
        refused = refusal(town, project="a", **asked)
        assert refused.code == "foreign-task"
        assert f"task '{task}' belongs to project '{owner}', not to 'a'" in refused.message
        assert "'1-a'" in refused.hint


def test_the_index_overrules_a_config(town: WorkspaceFolder) -> None:
    """A default task that the index gives to another project belongs to that one."""
    town.write("tasks/index.json", json.dumps({"items": [{"id": "1-a", "project": "b"}]}))
    assert routed(town, task="1-a") == Route("b", "1-a")
    assert refusal(town, project="a", task="1-a").code == "foreign-task"


def test_a_task_of_nobody_needs_a_named_project(town: WorkspaceFolder) -> None:
    """With --project a new task is begun; without it the known ones are told."""
    assert routed(town, project="a", task="9-new") == Route("a", "9-new")
    refused = refusal(town, task="1-bb")
    assert refused.code == "unknown-task"
    assert refused.hint.startswith("did you mean '1-b'?")
    assert refusal(town, variable="9-new", cwd="packages/a").code == "unknown-task"


@pytest.mark.parametrize("name", ["hardening", "0202-hardening"])
def test_an_early_name_of_a_task_is_refused_with_its_id(town: WorkspaceFolder, name: str) -> None:
    """A task called by its slug, as the early version's documents did, is refused with the id that the index has."""
    town.write("tasks/index.json", json.dumps({"items": [{"id": "0202", "slug": "hardening"}]}))
    assert "use '0202'" in refusal(town, variable=name).hint


def test_a_listed_task_without_a_project_goes_by_the_folder(town: WorkspaceFolder) -> None:
    """The early version's index names no projects: such a task is known, and the folder decides."""
    assert routed(town, task="3-free", cwd="packages/b") == Route("b", "3-free")
    assert refusal(town, task="3-free").code == "which-project"
    assert routed(town, project="a", task="3-free") == Route("a", "3-free")


def test_a_task_that_two_projects_share_is_refused_without_a_project(town: WorkspaceFolder) -> None:
    """A shared default task tells no project, and is each one's own where it is named."""
    town.project("c", task_id="1-a")
    assert refusal(town, task="1-a").message.endswith("belongs to more than one project: a, c")
    assert routed(town, project="c", task="1-a") == Route("c", "1-a")
    foreign = refusal(town, project="b", task="1-a")
    assert "task '1-a' belongs to the projects a, c, not to 'b'" in foreign.message
    assert foreign.hint.endswith("--project a or c")


def test_an_owner_is_the_same_to_routing_and_to_records(town: WorkspaceFolder) -> None:
    """The index goes before a config's default task; a task that two configs name has no single owner."""
    town.project("c", task_id="1-a")
    town.write("tasks/index.json", json.dumps({"items": [{"id": "1-b", "project": "a"}]}))
    root = str(town.root)
    owner, projects = task_owner(root), Projects(root)
    for task, owners in (("1-b", ["a"]), ("1-a", ["a", "c"]), ("9-new", [])):
        assert projects.owners(task) == owners
        assert owner(task) == (owners[0] if len(owners) == 1 else None)


def test_an_index_entry_with_an_early_id_is_no_obstacle(town: WorkspaceFolder) -> None:
    """An id that only version 1 allowed is passed over; the tasks beside it count."""
    items = [{"id": "Über/Task"}, {"id": "../x", "project": "a"}, {"id": "5-new", "project": "b"}]
    town.write("tasks/index.json", json.dumps({"items": items}))
    assert routed(town, task="5-new") == Route("b", "5-new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_an_unreadable_folder_of_configs_is_not_an_empty_one(town: WorkspaceFolder) -> None:
    """The reason is told: permission denied, not that there is no project."""
    folder = town.root / "project_configs"
    folder.chmod(0o311)
    try:
        refused = refusal(town)
    finally:
        folder.chmod(0o755)
    assert refused.code == "unreadable-configs"
    assert "permission denied" in refused.message


def test_a_folder_of_configs_that_the_system_refuses_is_named(
    town: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for every account, root included: what the system says is what the refusal says."""

    def refuse(path: str) -> list[str]:
        raise PermissionError(errno.EACCES, "", path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert refusal(town).message == "project_configs/ can't be read: permission denied"


def test_a_path_with_a_nul_is_a_fault_of_the_config(town: WorkspaceFolder) -> None:
    """It is refused with the key, wherever routing meets it."""
    town.config("b", 'schema_version = 1\n[project]\nname = "b"\npath = "packages/b\\u0000"\ntask_id = "1-b"\n')
    with pytest.raises(ConfigError, match=r"project\.path: contains a NUL character"):
        routed(town, task="2-b")


def test_a_parents_task_is_taken_within_its_project(town: WorkspaceFolder) -> None:
    """Below a run of the same project its task is kept, also one that is nobody's; flags go before it."""
    assert routed(town, project="a", parent=("a", "9-new")) == Route("a", "9-new")
    assert routed(town, project="b", parent=("a", "9-new")) == Route("b", "1-b")
    assert routed(town, project="b", task="2-b", parent=("b", "1-b")) == Route("b", "2-b")


@pytest.mark.parametrize("task", ["../x", ".", "-rf", "x" * 300, "1-a\n", "1-A", "a\u202eb", "local-mcp", ""])
def test_a_hostile_task_is_refused(town: WorkspaceFolder, task: str) -> None:
    """A bad id is never cleaned up; the near match is told where there is one."""
    refused = refusal(town, project="a", task=task)
    assert refused.code == "bad-task-id"
    assert refused.message.startswith("--task: ")
    assert refused.message.isprintable()
    assert (refused.hint == "did you mean '1-a'?") == (task in ("1-a\n", "1-A"))


def test_an_empty_variable_is_no_task(town: WorkspaceFolder) -> None:
    """An environment variable that is set to nothing counts as not set."""
    assert routed(town, project="a", variable="") == Route("a", "1-a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "nests too deep"),
        ("[]", "must be an object with a list 'items'"),
        ('{"items": [1]}', "items[0] must be an object"),
        ('{"items": [{"id": 7}]}', "items[0]: a task id is text"),
        ('{"items": [{"id": "x", "project": 1}]}', "items[0]: a project id is text"),
        ('{"items": [{"id": "x", "project": "a"}, {"id": "x", "project": "b"}]}', "is listed already, for project 'a'"),
        (" " * (4 * 1024 * 1024 + 1), "is larger than 4 MiB"),
    ],
)
def test_a_broken_index_is_named(town: WorkspaceFolder, text: str, said: str) -> None:
    """Where the index is needed, its fault is told with the file."""
    town.write("tasks/index.json", text)
    refused = refusal(town, task="2-b")
    assert refused.code == "broken-task-index"
    assert refused.message.startswith("tasks/index.json: ")
    assert said in refused.message


def test_an_index_that_is_no_file_is_named(town: WorkspaceFolder) -> None:
    """A FIFO in its place does not hang; a link to nothing is not the same as no index, whose tasks have no owner."""
    path = town.root / "tasks/index.json"
    path.unlink()
    os.mkfifo(path)
    assert "is not a regular file" in refusal(town, task="2-b").message
    path.unlink()
    path.symlink_to("nowhere")
    assert "is a link to a file that is not there" in refusal(town, task="1-b").message
    path.unlink()
    assert routed(town, task="1-b") == Route("b", "1-b")


def test_an_index_that_names_an_unknown_project_is_reported(town: WorkspaceFolder) -> None:
    """The index's project has no config: that is said, with the nearest one."""
    town.write("tasks/index.json", json.dumps({"items": [{"id": "5-x", "project": "bb"}]}))
    assert refusal(town, task="5-x").code == "unknown-project"


def test_a_default_task_of_another_project_is_refused(town: WorkspaceFolder) -> None:
    """A config can't take a task that the index gives to somebody else, however the project was found."""
    town.project("a", task_id="2-b")
    for refused in (refusal(town, project="a"), refusal(town, cwd="packages/a")):
        assert refused.code == "foreign-task"
        assert refused.message.startswith("project_configs/a.toml: project.task_id: task '2-b' belongs to project 'b'")
    assert routed(town, project="a", task="9-new") == Route("a", "9-new")
