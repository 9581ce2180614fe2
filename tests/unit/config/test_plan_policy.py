"""What a file's bytes ask of policy is what the compiled plan of the same config asks."""

from __future__ import annotations

from datetime import date

import pytest

from orchestrator.config.plan_policy import policy_in, policy_of
from orchestrator.config.planning import compile_plan
from tests.harness import WorkspaceFolder

TODAY = date(2026, 11, 22)
WAIVER = '[[waivers]]\nguardrail = "licences"\nreason = "r"\napproved_by = "zoe"\nuntil = {until}\n'
LICENCES = '[guardrails]\nrequired = ["spec-guard", "licences", "licences"]\n'
SMOKE = '[[pipelines.smoke.stages]]\nid = "licences"\nrun = "ls"\nguardrail = true\n'


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "[guardrails]\nreuse = true\n",
        "[guardrails]\nrequired = []\n",
        LICENCES,
        LICENCES + WAIVER.format(until="2027-01-01"),
        LICENCES + WAIVER.format(until='"2027-01-01"'),
        LICENCES.replace('"spec-guard", ', "") + 'pipelines = ["smoke"]\nproof = "required"\n' + SMOKE,
        '[guardrails]\n"requ\\u0069red" = []\n',
        LICENCES.replace('"spec-guard", ', "") + '"pipelines" = ["smoke"]\n' + SMOKE,
        WAIVER.format(until="2027-01-01").replace('guardrail = "licences"', 'stage = "lint"'),
        '[spec_guard]\ncode = ["src/**"]\nexclude = ["**"]\n',
        '[spec_guard]\nmax_review_age = "any"\nchecklists = false\nrecords = 0\n',
        '[spec_guard]\nmax_review_age = "40d"\nspecs = ["**"]\nevidence = false\n',
    ],
)
@pytest.mark.parametrize("pipeline", ["diagnostics", "smoke"])
def test_bytes_and_compiler_agree(workspace: WorkspaceFolder, extra: str, pipeline: str) -> None:
    """Required guardrails, waivers, proof, flags of policy and what is code are the same, however they are written."""
    workspace.project("x", {"licences": {"run": "ls", "guardrail": True}}, extra=extra)
    plan = compile_plan(str(workspace.root), "x", pipeline, today=TODAY)
    raw = (workspace.root / "project_configs" / "x.toml").read_bytes()
    assert policy_in("x", raw, pipeline) == policy_of(plan)
