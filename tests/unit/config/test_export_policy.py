"""``[export]``: what its keys may be, in ``workspace.toml`` and in a project's config, whose keys win."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import ConfigError
from orchestrator.config.export_policy import DEFAULT_JUNIT, ExportPolicy, read_export_policy, value_fault
from orchestrator.config.loading import load_project
from tests.harness import WorkspaceFolder

HEAD = 'schema_version = 1\n[project]\nname = "demo"\npath = "packages/demo"\ntask_id = "1-demo"\n'


def test_a_projects_keys_win(workspace: WorkspaceFolder) -> None:
    """Each key for itself: what the project's config leaves out is the workspace's, else the default."""
    workspace.write(
        "workspace.toml",
        'schema_version = 1\n[export]\non_close = ["otlp"]\ntimeout = "2s"\nurl = "https://ci.example/{run}"\n',
    )
    workspace.config("demo", f'{HEAD}[export]\non_close = ["junit", "otlp", "junit"]\ngithub = false\n')
    root = str(workspace.root)
    load_project(root, "demo")
    of_workspace = ExportPolicy("https://ci.example/{run}", on_close=("otlp",), timeout=2.0)
    assert read_export_policy(root) == read_export_policy(root, "fleet") == of_workspace
    assert read_export_policy(root, "demo") == of_workspace._replace(on_close=("junit", "otlp"), github=False)
    assert of_workspace.junit == DEFAULT_JUNIT == "out/{task}/junit/{run}.xml"


def test_no_table_is_the_defaults(workspace: WorkspaceFolder) -> None:
    """Without file or table nothing is exported."""
    assert read_export_policy(str(workspace.root), "demo") == ExportPolicy()
    workspace.config("demo", HEAD)
    assert read_export_policy(str(workspace.root), "demo").on_close == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('on_close = ["junti"]', "did you mean 'junit'?"),
        ('on_close = "junit"', "is no list of forms"),
        ('junit = "/var/{run}.xml"', "leads out of the workspace"),
        ('junit = "out/../../{run}.xml"', "leads out of the workspace"),
        ('junit = "out/{task}/junit.xml"', "lacks {run}"),
        ('junit = "out/{user}/{run}.xml"', "'{user}' is no placeholder"),
        ('junit = ".runs/{task}/cli/{run}/manifest.json"', "lies below .runs/"),
        ('junit = "project_configs/{run}.toml"', "lies below project_configs/"),
        ('junit = "out//{run}.xml"', "no empty parts"),
        ('junit = "out/{run}/"', "no empty parts"),
        (r'junit = "out/\u0000{run}"', "no control characters"),
        ('timeout = "0s"', "longer than nothing"),
        ('timeout = "1h"', "not be longer than 300s"),
        ("timeout = 5", "as text with its unit"),
        ('url = "ftp://x"', "http://"),
        ('github = "no"', "neither true nor false"),
    ],
)
def test_a_wrong_value_is_named_in_both_files(workspace: WorkspaceFolder, line: str, said: str) -> None:
    """File, key and what is wrong, the same in a project's config and in the workspace's."""
    key = line.partition(" ")[0]
    workspace.config("demo", f"{HEAD}[export]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_project(str(workspace.root), "demo")
    assert caught.value.faults[0].startswith(f"project_configs/demo.toml: export.{key}: ")
    assert said in caught.value.faults[0]
    workspace.write("workspace.toml", f"schema_version = 1\n[export]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        read_export_policy(str(workspace.root))
    assert caught.value.faults[0].startswith(f"workspace.toml: export.{key}: ")
    assert said in caught.value.faults[0]


def test_an_unknown_key_is_named(workspace: WorkspaceFolder) -> None:
    """A slip of the pen switches nothing off silently."""
    workspace.config("demo", f'{HEAD}[export]\non_closed = ["junit"]\n')
    with pytest.raises(ConfigError, match="did you mean 'on_close'"):
        load_project(str(workspace.root), "demo")


_PARTS = ["{run}", "{run}.xml", "{task}", "{project}", "a", "a", "", ".", "..", "~", "{", "}", "\0", "\n", ".runs"]


@given(st.lists(st.sampled_from(_PARTS), max_size=4).map("/".join))
def test_no_pattern_that_is_taken_leads_outside(pattern: str) -> None:
    """Filled in with ids, a pattern that is taken is a relative path whose parts are names."""
    if value_fault("junit", pattern) is None:
        path = pattern.replace("{run}", "2026-11-22T08-43-05-720Z-5087869c").replace("{task}", "1-a")
        path = path.replace("{project}", "a")
        assert "{" not in path or "}" not in path or "{}" not in path
        assert all(part not in ("", ".", "..") for part in path.split("/"))
        assert "2026-11-22T08-43-05-720Z-5087869c" in path


def test_values_of_other_kinds_are_refused() -> None:
    """Whatever TOML can hold, a key is of its kind or refused in words."""
    for value in (1, 1.5, [], [1], {}, {"a": "b"}):
        for key in ("junit", "timeout", "url", "github"):
            assert value_fault(key, value) is not None
