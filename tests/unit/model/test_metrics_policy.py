"""``[metrics]`` of a config means the same with and without the validator."""

from __future__ import annotations

import tomllib

import pytest

from orchestrator.base.errors import ConfigError
from orchestrator.config.loading import load_project
from orchestrator.model.metrics_policy import MetricsPolicy, policy_of
from tests.harness import WorkspaceFolder

HEAD = 'schema_version = 1\n[project]\nname = "demo"\npath = "packages/demo"\ntask_id = "1-demo"\n'


@pytest.mark.parametrize("table", ["", "[metrics]\nmin_coverage = 1\n", "[metrics]\nsla_budget = 0.25\n"])
def test_what_is_taken_means_the_same(workspace: WorkspaceFolder, table: str) -> None:
    """The validated config and the light reading, which the command uses, agree; the defaults are 0.9 and 0.1."""
    workspace.config("demo", HEAD + table)
    found = load_project(str(workspace.root), "demo").metrics
    assert found == policy_of(tomllib.loads(table))
    assert table or found == MetricsPolicy(0.9, 0.1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("min_coverage = 90", "metrics.min_coverage: must be a number from 0 to 1"),
        ('sla_budget = "10%"', "metrics.sla_budget: must be a number from 0 to 1"),
        ("sla_budget = true", "metrics.sla_budget: must be a number from 0 to 1"),
        ("sla_budget = nan", "metrics.sla_budget: must be a number from 0 to 1"),
        ("min_covrage = 1", "metrics.min_covrage: unknown key (did you mean 'min_coverage'?)"),
    ],
)
def test_what_is_refused_is_refused_by_both(workspace: WorkspaceFolder, line: str, message: str) -> None:
    """A share that is none, and a key that there is not, are named."""
    workspace.config("demo", f"{HEAD}[metrics]\n{line}\n")
    with pytest.raises(ConfigError) as refused:
        load_project(str(workspace.root), "demo")
    assert message in refused.value.message
    with pytest.raises(ValueError):
        policy_of(tomllib.loads(f"[metrics]\n{line}\n"))
