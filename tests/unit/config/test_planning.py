"""From configs to a plan: built-ins and overrides, sub-pipelines, policy, collisions, flags."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

import orchestrator.config.builtin as builtin_module
from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.config.builtin import NEWEST, builtin, builtin_names
from orchestrator.config.loading import load_project
from orchestrator.config.planning import check_project_folder, compile_plan, session_names, survey
from orchestrator.model.plan import Plan, builtin_versions
from tests.harness import WorkspaceFolder

TODAY = date(2026, 11, 22)
WAIVER = '[[waivers]]\nguardrail = "spec-guard"\nreason = "moved"\napproved_by = "ann"\nuntil = {until}\n'


def plan_of(workspace: WorkspaceFolder, project: str = "demo", pipeline: str = "diagnostics") -> Plan:
    """Compile a plan for today."""
    return compile_plan(str(workspace.root), project, pipeline, today=TODAY)


def faults_of(workspace: WorkspaceFolder, project: str = "demo", pipeline: str = "diagnostics") -> list[str]:
    """Return the faults that a plan is refused for."""
    with pytest.raises(ConfigError) as caught:
        plan_of(workspace, project, pipeline)
    return list(caught.value.faults)


def test_the_builtin_files_are_whole() -> None:
    """Both built-in pipelines are there, versioned, with the stages and needs that the contract names."""
    shown = {}
    for name in builtin_names():
        found = builtin(name)
        assert found is not None
        assert found.pipeline.version == NEWEST[name]
        assert found.pipeline.sla == 1800
        shown[name] = [(stage.id, stage.needs) for stage in found.pipeline.stages]
    assert shown == {
        "diagnostics": [("build", ()), ("lint", ("build",)), ("test", ("build",)), ("spec-guard", ())],
        "smoke": [("build", ()), ("test", ("build",))],
    }


def test_a_projects_stage_changes_only_the_keys_that_it_names(workspace: WorkspaceFolder) -> None:
    """A built-in's id keeps what is built in; other stages come after, each after the one before it."""
    workspace.project(
        "demo",
        {
            "docs": {"run": "make docs"},
            "test": {"run": "pytest -q", "timeout": "1h30m", "retries": 2, "log_limit": "1MiB"},
            "audit": {"shell": "a | b", "needs": []},
        },
        guard=None,
    )
    plan = plan_of(workspace)
    assert [stage.id for stage in plan.stages] == ["build", "lint", "test", "spec-guard", "docs", "audit"]
    test, guard = plan.stage("test"), plan.stage("spec-guard")
    assert (test.argv, test.needs, test.timeout_seconds) == (("pytest", "-q"), ("build",), 5400)
    assert (test.retries, test.log_limit_bytes) == (2, 2**20)
    assert guard.argv == ("codex-orchestrator", "spec-guard", "--project", "demo")
    assert guard.guardrail
    assert plan.stage("docs").needs == ("spec-guard",)
    assert plan.stage("audit").needs == ()
    assert (plan.builtin_version, plan.required_guardrails) == (2, ("spec-guard",))


def test_one_way_of_doing_takes_the_place_of_another(workspace: WorkspaceFolder) -> None:
    """A stage that is skipped, or is a shell line, no longer has the built-in command."""
    workspace.project("demo", {"build": {"skip": "nothing to build"}, "lint": "a; b"}, guard="check .")
    plan = plan_of(workspace)
    assert [stage.kind for stage in plan.stages] == ["skip", "shell", "shell", "shell"]
    assert plan.stage("spec-guard").argv == ()
    assert plan.stage("build").skip == "nothing to build"


def test_smoke_takes_over_what_diagnostics_says(workspace: WorkspaceFolder) -> None:
    """Build and test are said once; under smoke they can be said otherwise."""
    workspace.project("demo", {"build": {"run": "make", "needs": []}, "test": {"run": "pytest", "needs": ["lint"]}})
    plan = plan_of(workspace, pipeline="smoke")
    assert [(stage.id, stage.argv, stage.needs) for stage in plan.stages] == [
        ("build", ("make",), ()),
        ("test", ("pytest",), ("build",)),
    ]
    assert plan.required_guardrails == ()
    assert session_names(load_project(str(workspace.root), "demo")) == ("diagnostics-demo", "smoke-demo")


def test_an_unsaid_builtin_stage_is_a_fault_of_that_pipeline_alone(workspace: WorkspaceFolder) -> None:
    """Who asks for diagnostics must say what lint is; a pipeline of one's own runs without it."""
    workspace.project("demo", {"one": "make"}, pipeline="nightly")
    assert len(faults_of(workspace)) == 3
    assert "say what 'lint' is (run or shell), or skip it with a reason" in faults_of(workspace)[1]
    assert plan_of(workspace, pipeline="nightly").sla_seconds == 1800
    assert session_names(load_project(str(workspace.root), "demo")) == ("nightly-demo",)


def test_keys_of_pipeline_and_project_reach_the_plan(workspace: WorkspaceFolder) -> None:
    """Title, limit and session are the project's."""
    extra = 'set_env = { A = "1" }\npass_env = ["NPM_*"]\n[pipelines.diagnostics]\nsla = "20m"\ntitle = "All"\n'
    workspace.project("demo", extra=extra)
    plan = plan_of(workspace)
    assert (plan.sla_seconds, plan.title, plan.task_id) == (1200, "All", "1-demo")
    assert (plan.session.name, plan.session.backend) == ("diagnostics-demo", "none")
    assert (plan.session.set_env, plan.session.pass_env) == ({"A": "1"}, ("NPM_*",))


def test_the_digest_tells_plans_apart_and_not_the_day(workspace: WorkspaceFolder) -> None:
    """Equal configs make equal digests on any day; a changed command makes another."""
    workspace.project("demo", extra=WAIVER.format(until="2026-12-31"))
    one = plan_of(workspace)
    assert one.digest == compile_plan(str(workspace.root), "demo", "diagnostics", today=date(2027, 5, 1)).digest
    workspace.project("demo", {"test": "other"}, extra=WAIVER.format(until="2026-12-31"))
    assert plan_of(workspace).digest != one.digest


def test_an_unknown_pipeline_comes_with_the_nearest_one(workspace: WorkspaceFolder) -> None:
    """A typo gets the pipeline that was meant; a hostile id is refused as one."""
    workspace.project("demo")
    with pytest.raises(UsageError) as typo:
        plan_of(workspace, pipeline="diagnostic")
    assert (typo.value.code, typo.value.hint) == ("unknown-pipeline", "did you mean 'diagnostics'?")
    with pytest.raises(UsageError) as hostile:
        plan_of(workspace, pipeline="../x")
    assert hostile.value.code == "bad-pipeline-id"


def test_a_sub_pipeline_may_be_another_projects(workspace: WorkspaceFolder) -> None:
    """The plan names project and pipeline of each sub-pipeline, its own project's too."""
    workspace.project("other")
    workspace.project(
        "demo", {"a": {"pipeline": "smoke"}, "b": {"pipeline": "smoke", "project": "other"}}, pipeline="ci"
    )
    workspace.config("demo", (workspace.root / "project_configs/demo.toml").read_text() + smoke_stages())
    plan = plan_of(workspace, pipeline="ci")
    assert [(stage.kind, stage.project, stage.pipeline) for stage in plan.stages] == [
        ("subpipeline", "demo", "smoke"),
        ("subpipeline", "other", "smoke"),
    ]


def test_a_plan_holds_all_that_it_reaches(workspace: WorkspaceFolder) -> None:
    """Each sub-pipeline's plan, at any depth and of other projects, stands in it once; owners are no part of it."""
    workspace.project("far", {"test": "make far"})
    workspace.project("other", {"deep": {"pipeline": "diagnostics", "project": "far"}})
    workspace.project(
        "demo",
        {"a": {"pipeline": "diagnostics", "project": "other"}, "b": {"pipeline": "diagnostics", "project": "far"}},
        pipeline="ci",
    )
    before = plan_of(workspace, pipeline="ci")
    assert [(below.project, below.pipeline) for below in before.subplans] == [
        ("far", "diagnostics"),
        ("other", "diagnostics"),
    ]
    assert before.subplans[0].stages == plan_of(workspace, "far").stages
    record = before.record()
    assert [entry["project"] for entry in record["subpipelines"]] == ["far", "other"]
    config = workspace.root / "project_configs" / "far.toml"
    config.write_text(config.read_text().replace("[session]", 'owners = ["ann"]\n[session]'))
    assert plan_of(workspace, pipeline="ci").digest == before.digest
    workspace.project("far", {"test": "true"})
    assert plan_of(workspace, pipeline="ci").digest != before.digest


@pytest.mark.parametrize(
    ("name", "version", "digest"),
    [
        ("diagnostics", 1, "fa66d14a226aef07"),
        ("diagnostics", 2, "fb6b02eccf3deebd"),
        ("smoke", 1, "2ef3870a34d97d07"),
    ],
)
def test_a_built_in_pipeline_that_was_published_never_changes(name: str, version: int, digest: str) -> None:
    """A run that is resumed is compared with the version that its plan names: a change makes a new file."""
    file = Path(builtin_module.__file__).parent / "pipelines" / f"{name}.{version}.toml"
    assert sha256(file.read_bytes()).hexdigest()[:16] == digest
    found = builtin(name, version)
    assert found is not None
    assert found.pipeline.version == version


def test_an_older_built_in_pipeline_can_be_compiled(workspace: WorkspaceFolder) -> None:
    """The versions that a recorded plan names make that plan again, those of its sub-pipelines too."""
    workspace.project("demo", guard=None)
    older = compile_plan(str(workspace.root), "demo", "diagnostics", today=TODAY, builtins={"diagnostics": 1})
    assert (older.builtin_version, older.stage("spec-guard").needs) == (1, ("build",))
    assert builtin_versions(older.record()) == {"diagnostics": 1}
    workspace.project("top", {"a": {"pipeline": "diagnostics", "project": "demo"}}, pipeline="ci")
    above = compile_plan(str(workspace.root), "top", "ci", today=TODAY, builtins={"diagnostics": 1})
    assert builtin_versions(above.record()) == {"diagnostics": 1}
    assert builtin_versions(plan_of(workspace, "top", "ci").record()) == {"diagnostics": 2}


def smoke_stages() -> str:
    """Return TOML that makes smoke complete."""
    return "".join(f'[[pipelines.smoke.stages]]\nid = "{stage}"\nrun = "make"\n' for stage in ("build", "test"))


def test_a_circle_of_sub_pipelines_is_refused_over_projects(workspace: WorkspaceFolder) -> None:
    """A sub-pipeline that reaches itself is refused with the way that it takes, wherever it is entered."""
    workspace.project("demo", {"go": {"pipeline": "there", "project": "other"}}, pipeline="here")
    workspace.project("other", {"back": {"pipeline": "here", "project": "demo"}}, pipeline="there")
    assert faults_of(workspace, pipeline="here") == [
        "project_configs/other.toml: pipelines.there.stages[back].pipeline: the sub-pipeline reaches itself: "
        "'here' of 'demo' → 'there' of 'other' → 'here' of 'demo'"
    ]


def test_a_pipeline_that_is_its_own_sub_pipeline_is_refused_whatever_is_asked(workspace: WorkspaceFolder) -> None:
    """A loop anywhere in the file is a fault of the file."""
    workspace.project("demo")
    path = workspace.root / "project_configs/demo.toml"
    path.write_text(path.read_text() + '[[pipelines.loop.stages]]\nid = "x"\npipeline = "loop"\n')
    assert len(faults_of(workspace)) == 1
    assert "'loop' of 'demo' → 'loop' of 'demo'" in faults_of(workspace)[0]


def test_faults_of_what_is_reached_are_reported_with_their_files(workspace: WorkspaceFolder) -> None:
    """Unknown projects and pipelines, faulty and incomplete configs below a pipeline come in one error."""
    workspace.config("broken", "= 1")
    workspace.config("bare", 'schema_version = 1\n[project]\nname = "bare"\npath = "."\ntask_id = "t"\n')
    stages = {
        "a": {"pipeline": "smoke", "project": "brokn"},
        "b": {"pipeline": "smoke", "project": "broken"},
        "c": {"pipeline": "smok", "project": "bare"},
        "d": {"pipeline": "smoke", "project": "bare"},
    }
    workspace.project("demo", stages, pipeline="ci")
    assert [fault.partition(": the built-in")[0] for fault in faults_of(workspace, pipeline="ci")] == [
        "project_configs/demo.toml: pipelines.ci.stages[a].project: "
        "there is no project 'brokn' (did you mean 'broken'?)",
        "project_configs/broken.toml: line 1, column 1: invalid TOML: Invalid statement",
        "project_configs/demo.toml: pipelines.ci.stages[c].pipeline: "
        "project 'bare' has no pipeline 'smok' (did you mean 'smoke'?)",
        "project_configs/bare.toml: pipelines.smoke",
        "project_configs/bare.toml: pipelines.smoke",
    ]


def test_a_long_chain_of_sub_pipelines_is_walked(workspace: WorkspaceFolder) -> None:
    """A chain longer than Python's stack is no crash."""
    count = 1100
    text = 'schema_version=1\nproject={name="demo",path=".",task_id="t"}\n'
    text += "".join(f'[[pipelines.p{i}.stages]]\nid="a"\npipeline="p{i + 1}"\n' for i in range(count))
    workspace.config("demo", text + f'[[pipelines.p{count}.stages]]\nid="a"\nrun="x"\n')
    assert plan_of(workspace, pipeline="p0").stages[0].pipeline == "p1"


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        ({"skip": "later"}, "stages[spec-guard].skip: a required guardrail can't be skipped"),
        (
            {"run": "x", "allow_failure": True},
            "stages[spec-guard].allow_failure: a required guardrail can't be allowed to fail",
        ),
        (
            {"run": "x", "guardrail": False},
            "stages[spec-guard].guardrail: must be true, because policy requires this guardrail",
        ),
    ],
)
def test_a_required_guardrail_can_not_be_softened(
    workspace: WorkspaceFolder, stage: dict[str, object], fault: str
) -> None:
    """Skipping or softening is refused; a waiver that stands allows it, one that has ended does not."""
    workspace.project("demo", {"spec-guard": stage})
    assert faults_of(workspace) == [f"project_configs/demo.toml: pipelines.diagnostics.{fault}"]
    workspace.project("demo", {"spec-guard": stage}, extra=WAIVER.format(until='"2026-11-22"'))
    assert plan_of(workspace).waivers[0].approved_by == "ann"
    workspace.project("demo", {"spec-guard": stage}, extra=WAIVER.format(until="2026-11-21"))
    assert faults_of(workspace) == [
        f"project_configs/demo.toml: pipelines.diagnostics.{fault}; its waiver ended on 2026-11-21"
    ]


def test_guardrails_bind_the_pipelines_named(workspace: WorkspaceFolder) -> None:
    """A named pipeline must have the guardrail, typed; diagnostics is bound whatever is named."""
    workspace.project("demo", {"one": "x"}, pipeline="ci", extra='[guardrails]\npipelines = ["ci"]\n')
    assert faults_of(workspace, pipeline="ci") == [
        "project_configs/demo.toml: pipelines.ci: has no stage 'spec-guard', the guardrail that it must have"
    ]
    workspace.project("demo", {"spec-guard": "x"}, pipeline="ci", extra='[guardrails]\npipelines = ["ci"]\n')
    assert "must be true" in faults_of(workspace, pipeline="ci")[0]
    workspace.project("demo", extra="[guardrails]\npipelines = []\n")
    assert plan_of(workspace).required_guardrails == ("spec-guard",)


def test_a_reached_pipeline_is_held_to_its_own_policy(workspace: WorkspaceFolder) -> None:
    """A softened guardrail in a sub-pipeline is found before anything runs."""
    workspace.project("other", {"spec-guard": {"skip": "no"}})
    workspace.project("demo", {"a": {"pipeline": "diagnostics", "project": "other"}}, pipeline="ci")
    assert "other.toml: pipelines.diagnostics.stages[spec-guard].skip" in faults_of(workspace, pipeline="ci")[0]


def test_colliding_sessions_are_refused_at_a_start_too(workspace: WorkspaceFolder) -> None:
    """A start that would share another session's name or environment folder is refused; a broken rival is not asked."""
    workspace.project("my.lib")
    assert plan_of(workspace, "my.lib").project == "my.lib"
    workspace.project("my-lib")
    workspace.project("lib", {"one": "x"}, pipeline="diagnostics-my")
    said = faults_of(workspace, "my-lib")
    assert [fault.rsplit(", would ")[1] for fault in said] == [
        "both be called 'diagnostics-my-lib'; rename one",
        "share one environment folder; rename one",
    ]
    workspace.config("my-lib", "= 1")
    workspace.config("lib", "= 1")
    assert plan_of(workspace, "my.lib").project == "my.lib"


def test_guardrails_that_can_not_fail_are_flagged(workspace: WorkspaceFolder) -> None:
    """Each guardrail that guards nothing is flagged, a sub-pipeline of such stages too; a real one is not."""
    stages: dict[str, str | Mapping[str, object]]
    workspace.project("blunt", {"a": "echo", "b": {"run": "x", "allow_failure": True}}, pipeline="p")
    stages = {
        "licences": {"run": "check || true", "guardrail": True},
        "below": {"pipeline": "p", "project": "blunt", "guardrail": True},
        "sharp": {"shell": "echo hi; check", "guardrail": True},
        "chatter": "echo",
    }
    workspace.project("demo", stages, guard="check --dry-run")
    flags = plan_of(workspace).flags
    assert [(flag.stage, flag.code) for flag in flags] == [
        ("spec-guard", "guardrail-replaced"),
        ("licences", "guardrail-cannot-fail"),
        ("below", "guardrail-cannot-fail"),
        ("licences", "no-shell"),
    ]
    assert "is not the built-in guard" in flags[0].message


@pytest.mark.parametrize("pattern", ["**", "**/*", ".", "./", "/**", "*", "?*", "**/?*", "*/**", "./**/*"])
def test_outputs_that_take_the_whole_project_are_refused(workspace: WorkspaceFolder, pattern: str) -> None:
    """An output is what a stage makes: one that means everything would take the code out of the tree."""
    workspace.project("demo", {"test": {"run": "x", "outputs": ["made/*", pattern]}})
    assert "stages[test].outputs[#2]" in faults_of(workspace)[0]
    assert "takes the whole project" in faults_of(workspace)[0]


def test_the_built_in_guard_binds_another_pipeline_too(workspace: WorkspaceFolder) -> None:
    """As a stage of a pipeline that ``guardrails.pipelines`` names it says that it is a guardrail."""
    stage = {"run": "codex-orchestrator spec-guard", "guardrail": True}
    bound = '[guardrails]\npipelines = ["ci"]\n'
    workspace.project("demo", {"spec-guard": stage}, pipeline="ci", extra=bound)
    plan = plan_of(workspace, pipeline="ci")
    assert (plan.required_guardrails, plan.flags) == (("spec-guard",), ())
    workspace.project("demo", {"spec-guard": {**stage, "guardrail": False}}, pipeline="ci", extra=bound)
    assert "stages[spec-guard].guardrail: must be true" in faults_of(workspace, pipeline="ci")[0]


@pytest.mark.parametrize(
    "run",
    [
        "codex-orchestrator spec-guard",
        "codex-orchestrator spec-guard --project demo --base origin/main",
        "codex-orchestrator spec-guard --sarif=out.sarif --task 1-demo",
        "../../scripts/spec-guard.sh --base HEAD~1",
    ],
)
def test_the_built_in_guard_is_known_by_its_command(workspace: WorkspaceFolder, run: str) -> None:
    """The command and its shim, with options that soften nothing, are the built-in guard; other keys are refused."""
    workspace.project("demo", {"spec-guard": {"run": run, "needs": [], "timeout": "5m", "log_limit": "1MiB"}})
    assert plan_of(workspace).flags == ()
    for key, value in {"env": {"A": "b"}, "cwd": ".", "retries": 1, "inputs": ["a"], "outputs": ["b"]}.items():
        workspace.project("demo", {"spec-guard": {"run": run, key: value}})
        assert f"stages[spec-guard].{key}: is not for the built-in guard" in faults_of(workspace)[0]


@pytest.mark.parametrize(
    "stage",
    [
        {"run": "test -d ."},
        {"run": "./guard.sh"},
        {"run": "codex-orchestrator plan"},
        {"run": "codex-orchestrator schema manifest"},
        {"run": "codex-orchestrator spec-guard -h"},
        {"run": "codex-orchestrator spec-guard --dry-run"},
        {"run": "codex-orchestrator spec-guard --project other"},
        {"run": "codex-orchestrator spec-guard --base"},
        {"run": "/opt/codex-orchestrator spec-guard"},
        {"run": "env A=b codex-orchestrator spec-guard"},
        {"shell": "codex-orchestrator spec-guard"},
        {"shell": "codex-orchestrator spec-guard || cd ."},
        {"shell": "trap 'exit 0' EXIT; codex-orchestrator spec-guard --project demo"},
        {"pipeline": "smoke"},
    ],
)
def test_every_other_command_under_its_id_replaces_it(workspace: WorkspaceFolder, stage: dict[str, object]) -> None:
    """Whatever else stands under the built-in guard's id is flagged, whether or not it could fail."""
    workspace.project("demo", {"spec-guard": stage})
    path = workspace.root / "project_configs/demo.toml"
    path.write_text(path.read_text() + smoke_stages())
    assert ("spec-guard", "guardrail-replaced") in [(flag.stage, flag.code) for flag in plan_of(workspace).flags]


@pytest.mark.parametrize(
    ("test", "flagged"),
    [
        ({"skip": "none"}, True),
        ({"run": "check", "allow_failure": True}, True),
        ({"run": "check"}, False),
        ({"pipeline": "other"}, False),
    ],
)
def test_a_pipeline_that_checks_nothing_is_flagged(
    workspace: WorkspaceFolder, test: Mapping[str, object], flagged: bool
) -> None:
    """Where build, lint and test are skipped or may fail and nothing else decides; a guardrail is no check."""
    skipped = {"skip": "generated code"}
    stages = {"build": skipped, "lint": skipped, "test": test, "licences": {"run": "check", "guardrail": True}}
    workspace.project("demo", stages, guard=None)
    config = workspace.root / "project_configs" / "demo.toml"
    config.write_text(config.read_text() + '[[pipelines.other.stages]]\nid = "x"\nskip = "no"\n')
    assert ("nothing-checked" in [flag.code for flag in plan_of(workspace).flags]) == flagged
    assert plan_of(workspace, pipeline="other").flags == ()


def test_a_default_guardrail_left_out_of_the_policy_is_flagged(workspace: WorkspaceFolder) -> None:
    """A project may name other guardrails; reviewers see that the default one is not among them."""
    workspace.project("demo", extra="[guardrails]\nrequired = []\n")
    assert [flag.code for flag in plan_of(workspace).flags] == ["guardrail-not-required"]


def test_a_softer_spec_guard_is_flagged_and_other_settings_are_not(workspace: WorkspaceFolder) -> None:
    """What asks less than the default changes the plan, so that it is drift; what only adjusts does not."""
    workspace.project("demo")
    before = plan_of(workspace).digest
    workspace.project("demo", extra='[spec_guard]\nexclude = ["/vendor/"]\nrecords = 5\nmax_review_age = "7d"')
    assert plan_of(workspace).digest == before
    workspace.project("demo", extra='[spec_guard]\nchecklists = false\nmax_review_age = "60d"')
    plan = plan_of(workspace)
    (flag,) = (flag for flag in plan.flags if flag.code == "guardrail-softened")
    assert flag.message.endswith("reviews may be 60 days old, checklists are not checked")
    assert plan.digest != before


def test_secrets_too_short_to_mask_are_flagged(workspace: WorkspaceFolder) -> None:
    """A secret of fewer than six bytes in the config itself is flagged, by its name or because it is declared."""
    extra = 'secret_env = ["PIN"]\nset_env = { PIN = "1234", API_TOKEN = "long enough", OTHER = "x" }\n'
    workspace.project("demo", {"test": {"run": "x", "env": {"DB_PASSWORD": "abc"}}}, extra=extra)
    flags = [(flag.stage, flag.code) for flag in plan_of(workspace).flags]
    assert flags == [(None, "secret-too-short"), ("test", "secret-too-short")]
    assert all("1234" not in flag.message for flag in plan_of(workspace).flags)


def test_a_missing_project_folder_is_named(workspace: WorkspaceFolder) -> None:
    """The plan does not ask for the folder; who starts does."""
    folder = workspace.project("demo")
    plan = plan_of(workspace)
    assert check_project_folder(str(workspace.root), plan) == str(folder)
    folder.rmdir()
    with pytest.raises(UsageError) as caught:
        check_project_folder(str(workspace.root), load_project(str(workspace.root), "demo"))
    assert caught.value.code == "missing-project-folder"


def test_the_survey_tells_all_faults_of_all_projects(workspace: WorkspaceFolder) -> None:
    """What any start would meet is told for every project at once, each fault once; sound projects have none."""
    workspace.project("sound")
    workspace.project("night", {"one": "x"}, pipeline="nightly")
    workspace.config("bare", 'schema_version = 1\n[project]\nname = "bare"\npath = "."\ntask_id = "t"\n')
    workspace.project("demo", {"spec-guard": {"skip": "no"}})
    workspace.project("sub", {"one": {"pipeline": "nah"}}, pipeline="p")
    workspace.config("broken", "= 1")
    configs, faults = survey(str(workspace.root), today=TODAY)
    assert sorted(configs) == ["bare", "demo", "night", "sound", "sub"]
    files = [fault.split(":")[0].removeprefix("project_configs/") for fault in faults]
    assert files == ["broken.toml", "bare.toml", "bare.toml", "bare.toml", "demo.toml", "sub.toml"]


def test_planning_imports_nothing_heavy() -> None:
    """Modules that cost milliseconds are not loaded before a config is read."""
    code = (
        "import sys, orchestrator.config.planning, orchestrator.config.routing, orchestrator.model.guardrails;"
        "print(*{'pydantic', 'difflib', 'nox', 'subprocess'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
