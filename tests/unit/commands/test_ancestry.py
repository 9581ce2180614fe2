"""What a run that is started as a sub-pipeline takes of its parent's plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest

from orchestrator.base.errors import Refused
from orchestrator.base.redaction import Redactor
from orchestrator.commands.run.ancestry import Ancestry, Parent
from orchestrator.config.planning import compile_plan
from orchestrator.model.plan import Plan
from tests.harness import WorkspaceFolder

TODAY = date(2026, 11, 22)
BELOW: dict[str, str | Mapping[str, object]] = {"below": {"pipeline": "diagnostics", "project": "y"}, "by-hand": "true"}


def below(workspace: WorkspaceFolder, stage: str, **keys: object) -> tuple[Ancestry, Plan]:
    """Return the ancestry of what a stage of project x starts, with keys of the parent's plan, and y's plan."""
    workspace.project("y")
    workspace.project("x", BELOW)
    plans = [compile_plan(str(workspace.root), name, "diagnostics", today=TODAY) for name in ("x", "y")]
    return Ancestry(Parent({"plan": {**plans[0].record(), **keys}}, stage)), plans[1]


def test_built_in_pipelines_are_those_of_the_parents_plan(workspace: WorkspaceFolder) -> None:
    """A sub-pipeline that is started anew by a resume is compiled from the versions that the run began with."""
    old = [{"project": "y", "pipeline": "diagnostics", "builtin_version": 1}]
    ancestry, plan = below(workspace, "below", subpipelines=old)
    assert ancestry.builtins("y", "diagnostics") == {"diagnostics": 1}
    assert ancestry.builtins("y", "smoke") == {}
    with pytest.raises(Refused, match="'builtin_version' changed"):
        ancestry.check_plan(plan, Redactor(()))


def test_the_same_plan_is_no_drift(workspace: WorkspaceFolder) -> None:
    """A sub-pipeline whose config is as it was starts."""
    ancestry, plan = below(workspace, "below")
    ancestry.check_plan(plan, Redactor(()))


@pytest.mark.parametrize(("stage", "compiler"), [("by-hand", 3), ("below", 1)])
def test_other_calls_have_plans_of_their_own(workspace: WorkspaceFolder, stage: str, compiler: int) -> None:
    """A start by hand inside a stage, and a parent of another version of the compiler, ask for nothing."""
    ancestry, plan = below(workspace, stage, subpipelines=[], compiler=compiler)
    ancestry.check_plan(plan, Redactor(()))
    assert ancestry.builtins("y", "diagnostics") == ({} if stage == "by-hand" else {"diagnostics": 2})
