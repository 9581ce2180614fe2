"""Configs read from disk: what is accepted, and what is said about what is not."""

from __future__ import annotations

import errno
import os
import re
import resource
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import ConfigError, StorageError, UsageError
from orchestrator.base.workspace import find_workspace, refuse_broken
from orchestrator.config.loading import load_all, load_project, parse_project
from orchestrator.config.project_names import project_names
from orchestrator.config.project_outlines import outline
from orchestrator.config.source import Source
from orchestrator.config.spec_guard_policy import SpecGuardPolicy
from orchestrator.model.review_policy import ReviewPolicy, policy_of
from tests.generated import examples
from tests.harness import WorkspaceFolder

DOCUMENTATION = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"
HEAD = """
schema_version = 1
[project]
name = "demo"
path = "packages/demo"
task_id = "1-demo"
"""
STAGE = '[[pipelines.nightly.stages]]\nid = "one"\n'


def faults_of(workspace: WorkspaceFolder, text: str, name: str = "demo") -> list[str]:
    """Return the faults of a config, without the file's name in front."""
    workspace.config(name, text)
    with pytest.raises(ConfigError) as caught:
        load_project(str(workspace.root), name)
    prefix = f"project_configs/{name}.toml: "
    assert all(fault.startswith(prefix) for fault in caught.value.faults)
    return [fault.removeprefix(prefix) for fault in caught.value.faults]


def test_a_minimal_config_has_every_default(workspace: WorkspaceFolder) -> None:
    """Four keys make a project; all others have the documented defaults."""
    workspace.config("demo", HEAD)
    config = load_project(str(workspace.root), "demo")
    assert (config.name, config.path, config.task_id, config.owners) == ("demo", "packages/demo", "1-demo", ())
    assert config.session.backend == "uv|virtualenv"
    assert config.guardrails.required == ("spec-guard",)
    assert config.guardrails.binds("diagnostics")
    assert not config.guardrails.binds("smoke")
    assert len(config.digest) == 64


def test_the_spec_guards_table_has_the_documented_defaults(workspace: WorkspaceFolder) -> None:
    """Left out, the table is what the documentation says; given, each key becomes its value."""
    workspace.config("demo", HEAD)
    policy = load_project(str(workspace.root), "demo").spec_guard
    assert policy == SpecGuardPolicy(
        ("*",), ("*.md", "*.rst", "/docs/"), ("tasks/specs/**", "tasks/index.json"), None, 30, True, True, 10
    )
    assert policy.softer() == ()
    table = '[spec_guard]\ncode = ["src/"]\nexclude = []\nspecs = ["design/*.md"]\nbase = "origin/develop"\n'
    off = 'max_review_age = "90d"\nchecklists = false\nevidence = false\nrecords = 0\n'
    workspace.config("demo", HEAD + table + off)
    policy = load_project(str(workspace.root), "demo").spec_guard
    assert policy == SpecGuardPolicy(("src/",), (), ("design/*.md",), "origin/develop", 90, False, False, 0)
    assert len(policy.softer()) == 4
    assert [SpecGuardPolicy(exclude=("a", "**")).softer(), SpecGuardPolicy(code=()).softer()] == [
        ("no path is code",)
    ] * 2
    assert SpecGuardPolicy(specs=("*",)).softer() == ("every change is one of a spec",)
    workspace.config("demo", HEAD + '[spec_guard]\nmax_review_age = "any"\n')
    policy = load_project(str(workspace.root), "demo").spec_guard
    assert (policy.max_review_age, policy.softer()) == (None, ("reviews may be of any age",))


@pytest.mark.parametrize(
    ("line", "key", "said"),
    [
        ('code = ["../x"]', "code[#1]", "'..'"),
        ('code = [""]', "code[#1]", "empty"),
        ('exclude = ["a", "!b"]', "exclude[#2]", "'!'"),
        ('exclude = ["[a"]', "exclude[#1]", "']'"),
        ('exclude = ["[z-a]"]', "exclude[#1]", "range"),
        ("exclude = ['a\\']", "exclude[#1]", "backslash"),
        (f'exclude = ["{"*a" * 17}"]', "exclude[#1]", "16 wildcards"),
        ("specs = []", "specs", "must name something"),
        ("specs = 3", "specs", "a list"),
        ('base = "--output=x"', "base", "a commit or a branch"),
        ("max_review_age = 30", "max_review_age", "number of days"),
        ('max_review_age = "36h"', "max_review_age", "whole days"),
        ("checklists = 1", "checklists", "true or false"),
        ("records = -1", "records", "between 0 and 10000"),
        ('records = "all"', "records", "a whole number"),
        ("codes = []", "codes", "did you mean 'code'?"),
    ],
)
def test_faults_of_the_spec_guards_table(workspace: WorkspaceFolder, line: str, key: str, said: str) -> None:
    """Each fault names file and key, and says what would be right."""
    (fault,) = faults_of(workspace, f"{HEAD}[spec_guard]\n{line}\n")
    assert fault.startswith(f"spec_guard.{key}: ")
    assert said in fault


def test_the_documented_example_loads(workspace: WorkspaceFolder) -> None:
    """The full example of docs/configuration.md is a valid config that uses every key of every table."""
    text = DOCUMENTATION.read_text(encoding="utf-8")
    example = re.findall(r"```toml\n(# project_configs/hello-python\.toml\n.*?)```", text, re.S)
    assert len(example) == 1
    workspace.config("hello-python", example[0])
    workspace.config("other", HEAD.replace("demo", "other"))
    config = load_project(str(workspace.root), "hello-python")
    from orchestrator.config import shape

    for table in (
        shape.Config,
        shape.Project,
        shape.Session,
        shape.Guardrails,
        shape.CanaryTable,
        shape.WaiverTable,
        shape.Stage,
        shape.Review,
        shape.Metrics,
        shape.SpecGuard,
    ):
        for key in table.model_fields:
            assert re.search(rf"^(\[\[?|\[\[?pipelines\.|\[\[guardrails\.|# )?{key}\b", example[0], re.M), key
            assert re.search(rf"`[\w.\[\]]*{key}\b", text), key
    assert config.waivers[0].until == "2026-12-31"


def test_all_faults_of_a_file_come_in_one_error(workspace: WorkspaceFolder) -> None:
    """Shape, values, rules between keys and the graph are all told at once, each with its key."""
    text = """
schema_version = 2
projct = 1
[project]
name = "x"
path = ""
owners = "me"
[session]
python = 3.12
[guardrails]
pipelines = ["smok"]
[[waivers]]
guardrail = "spec-gard"
reason = "r"
approved_by = "a"
until = "2026-13-01"
[pipelines.empty]
[[pipelines.b.stages]]
id = "one"
run = "a"
shell = "b"
needs = ["two", "thre"]
timeout = 5
[[pipelines.b.stages]]
id = "two"
runn = "x"
[[pipelines.b.stages]]
id = "three"
run = "x"
needs = ["three"]
"""
    assert set(faults_of(workspace, text)) == {
        "schema_version: must be 1, the only version that this program knows",
        "projct: unknown key (did you mean 'project'?)",
        "project.name: must be 'demo', as the file is called",
        "project.path: must not be empty",
        "project.task_id: is missing",
        "project.owners: must be a list, not text",
        "session.python: must be text, not a number (put it in quotes)",
        "guardrails.pipelines[#1]: there is no pipeline 'smok' (did you mean 'smoke'?)",
        "waivers[#1].guardrail: no guardrail 'spec-gard' is required (did you mean 'spec-guard'?)",
        "waivers[#1].until: must be a date such as 2026-12-31",
        "pipelines.empty: has no stages",
        "pipelines.b.stages[one]: has run and shell; one of them is allowed",
        "pipelines.b.stages[one].timeout: must be a duration such as '10m', as text with its unit",
        "pipelines.b.stages[one].needs[#2]: there is no stage 'thre' (did you mean 'three'?)",
        "pipelines.b.stages[two].runn: unknown key (did you mean 'run'?)",
        "pipelines.b.stages[two]: says nothing to do: give it run, shell, pipeline or skip",
        "pipelines.b: stages need each other in a circle: 'one' → 'two' → 'one' "
        "('two' has no 'needs', so that it needs the stage listed before it)",
        "pipelines.b: stage 'three' needs itself",
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a = 1\nb = = 2\n", "line 2, column 5: invalid TOML: Invalid value"),
        ("a = 1\na = 2", "line 2: invalid TOML: Cannot overwrite a value"),
        ("a = [1,\n2,", "line 2: invalid TOML: Invalid value: the file ends too early"),
        ("a = 1\na = 2\n", "line 2, column 6: invalid TOML: Cannot overwrite a value"),
        ("a=" + "[\n" * 5000, "nests values more than 64 levels deep"),
        ("a=" + "[" * 100 + "]" * 100, "nests values more than 64 levels deep"),
        ("x = 1\na" + ".a" * 100 + " = 1", "line 2: nests keys more than 64 levels deep"),
        ("#" * 70_000, "is larger than 64 KiB"),
        ("x = 1\n#" + "#" * 5000, "line 2: is longer than 4096 bytes"),
        ("\ufeffx = 1", "line 1: begins with a byte order mark; save the file as UTF-8 without one"),
        (
            "x = " + "9" * 4090,
            "x: unknown key (known: export, guardrails, metrics, pipelines, project, prune, queue, review, "
            "schema_version, session, spec_guard, stage_groups, waivers)",
        ),
    ],
)
def test_a_file_that_can_not_be_parsed_names_the_line(workspace: WorkspaceFolder, text: str, fault: str) -> None:
    """Broken, huge and deep files are refused with the place, and cheaply."""
    assert fault in faults_of(workspace, text)


def test_an_empty_file_says_what_is_missing(workspace: WorkspaceFolder) -> None:
    """An empty file lacks its version and its project."""
    assert faults_of(workspace, "") == ["schema_version: is missing", "project: is missing"]


def test_bytes_that_are_not_utf8_are_refused(workspace: WorkspaceFolder) -> None:
    """A Latin-1 file is refused with its line."""
    workspace.config("demo", "").write_bytes(b"x = 1\na = '\xff'\n")
    with pytest.raises(ConfigError, match="line 2: is not UTF-8 text"):
        load_project(str(workspace.root), "demo")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused(workspace: WorkspaceFolder, make: Callable[[Path], None]) -> None:
    """A FIFO does not hang the reader, a folder does not crash it."""
    make(workspace.root / "project_configs" / "demo.toml")
    with pytest.raises(ConfigError, match="is not a regular file"):
        load_project(str(workspace.root), "demo")


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('[session]\nbackend = "uvv"', "session.backend: 'uvv' is not one of nox's backends: "),
        (
            '[session]\nbackend = "venv|uv"',
            "session.backend: 'venv' is always there, so that no alternative may follow",
        ),
        ('[session]\nbackend = "uv|none"', "session.backend: 'none' is no alternative to a virtual environment"),
        ('[session]\nbackend = "none"\ninstall = ["x"]', "session.install: has no effect with backend 'none'"),
        ('[session]\nbackend = "none"\npython = "3.12"', "session.python: has no effect with backend 'none'"),
        ('[session]\nset_env = { "A B" = "1" }', "session.set_env.'A B': 'A B' can't be the name of an environment"),
        (
            STAGE + 'run = "x"\nretries = 1.0',
            "pipelines.nightly.stages[one].retries: must be a whole number, not a number with a decimal point",
        ),
        ("[session]\nset_env = { A = 1 }", "session.set_env.A: must be text, not a number (put it in quotes)"),
        ('[session]\nset_env = { CODEX_ORCHESTRATOR_X = "1" }', "session.set_env.CODEX_ORCHESTRATOR_X: "),
        ('[session]\npass_env = ["MCP_RUNNER_TASK_ID"]', "session.pass_env[#1]: 'MCP_RUNNER_TASK_ID' belongs to"),
        ('[session]\nsecret_env = ["KEY_*"]', "session.secret_env[#1]: 'KEY_*' can't be the name of"),
        ("[pipelines]\nx = 1", "pipelines.x: must be a table, not a number"),
        ('[[pipelines."X!".stages]]\nid = "a"\nrun = "b"', "pipelines.'X!': pipeline id 'X!' is not allowed"),
        (
            '[pipelines.nightly]\nsla = "0s"\n' + STAGE + 'run = "x"',
            "pipelines.nightly.sla: must be longer than nothing",
        ),
        (STAGE + "run = 1", "pipelines.nightly.stages[one].run: must be text or a list of text"),
        (STAGE + 'run = ""', "pipelines.nightly.stages[one].run: must name a command; it is empty"),
        (STAGE + "run = []", "pipelines.nightly.stages[one].run: must name a command; it is empty"),
        (STAGE + """run = "a 'b" """, "pipelines.nightly.stages[one].run: can't be split as a shell would"),
        (STAGE + 'run = "KEY=hush make"', "pipelines.nightly.stages[one].run: begins with an assignment to 'KEY'"),
        (STAGE + 'run = "x"\nretries = -1', "pipelines.nightly.stages[one].retries: must lie between 0 and 100"),
        (
            STAGE + 'run = "x"\nretries = true',
            "pipelines.nightly.stages[one].retries: must be a whole number, not true",
        ),
        (
            STAGE + 'run = "x"\nallow_failure = "no"',
            "pipelines.nightly.stages[one].allow_failure: must be true or false",
        ),
        (STAGE + 'run = "x"\nlog_limit = 5', "pipelines.nightly.stages[one].log_limit: must be a size such as"),
        (STAGE + 'run = "x"\nproject = "y"', "pipelines.nightly.stages[one].project: is for a sub-pipeline"),
        (STAGE + 'pipeline = "smoke"\ncwd = "x"', "pipelines.nightly.stages[one].cwd: has no effect on a sub-pipeline"),
        (STAGE + 'run = "x"\ncwd = "a\\u0000b"', "pipelines.nightly.stages[one].cwd: contains a NUL character"),
        (
            STAGE + 'run = "x"\n' + STAGE + 'run = "y"',
            "pipelines.nightly.stages[#2].id: a stage 'one' is listed already",
        ),
        (STAGE.replace("one", "../x") + 'run = "x"', "pipelines.nightly.stages[#1].id: stage id '../x' is not allowed"),
        (
            "[[waivers]]\nguardrail = 'spec-guard'\nreason = 'r'\napproved_by = 'a'\nuntil = 2026-01-01T00:00:00",
            "waivers",
        ),
        (
            "[[waivers]]\nreason = 'r'\napproved_by = 'a'\nuntil = 2026-01-01",
            "waivers[#1]: needs one of 'guardrail' and 'stage', and not both",
        ),
        (
            "[[waivers]]\nguardrail = 'spec-guard'\nstage = 'lint'\nreason='r'\napproved_by = 'a'\nuntil = 2026-01-01",
            "waivers[#1]: needs one of 'guardrail' and 'stage', and not both",
        ),
        (
            "[[waivers]]\nstage = 'lnt'\nreason = 'r'\napproved_by = 'a'\nuntil = 2026-01-01",
            "waivers[#1].stage: no pipeline has a stage 'lnt' (did you mean 'lint'?)",
        ),
    ],
)
def test_each_wrong_value_is_named(workspace: WorkspaceFolder, lines: str, fault: str) -> None:
    """One wrong value makes one fault, which names the key and says what would be right."""
    found = faults_of(workspace, f"{HEAD}{lines}\n")
    assert [line for line in found if not line.startswith(fault)] == []
    assert len(found) == 1


def test_a_fault_shows_no_value_of_an_environment(workspace: WorkspaceFolder) -> None:
    """A secret in a command's assignment does not reach the message."""
    assert "hush" not in "".join(faults_of(workspace, HEAD + STAGE + 'run = "KEY=hush make"'))


def test_faults_stay_on_one_line_and_printable(workspace: WorkspaceFolder) -> None:
    """Control characters of a config can't break a message out of its line."""
    bad = '"a\\n\\u001b[2J\\u202e"'
    found = faults_of(workspace, f'{HEAD}{STAGE}run = "x"\nneeds = [{bad}]\n{bad} = 1\n[pipelines.{bad}]\n')
    assert len(found) >= 4
    assert all(line.isprintable() for line in found)


def test_an_unknown_project_comes_with_the_nearest_one(workspace: WorkspaceFolder) -> None:
    """A typo gets the project that was meant; a hostile id is refused before any file is looked at."""
    workspace.config("demo", HEAD)
    with pytest.raises(UsageError) as typo:
        load_project(str(workspace.root), "dmeo")
    assert (typo.value.code, typo.value.hint) == ("unknown-project", "did you mean 'demo'?")
    for hostile in ("../demo", "", "-rf", ".", "Demo", "demo\n", "x" * 300, "a\u202eb"):
        with pytest.raises(UsageError) as refused:
            load_project(str(workspace.root), hostile)
        assert refused.value.code == "bad-project-id"


def test_a_config_in_capitals_is_named(workspace: WorkspaceFolder) -> None:
    """A file that differs from the project by capitals alone is no project's, and the refusal says what to call it."""
    workspace.config("Humanize", "schema_version = 1\n")
    workspace.project("rfdc")
    with pytest.raises(UsageError, match="there is no project 'humanize'") as caught:
        load_project(str(workspace.root), "humanize")
    assert caught.value.hint == "rename project_configs/Humanize.toml to humanize.toml: names are in lower case"


def test_one_project_is_read_without_the_others(workspace: WorkspaceFolder) -> None:
    """A broken neighbour hinders nobody; its name is known all the same."""
    workspace.config("demo", HEAD)
    workspace.config("broken", "= 1")
    assert load_project(str(workspace.root), "demo").name == "demo"
    assert project_names(str(workspace.root)) == ("broken", "demo")


def test_all_projects_are_read_with_the_faults_of_all_files(workspace: WorkspaceFolder) -> None:
    """Valid configs and the faults of the others come together; editors' leavings are passed over."""
    workspace.config("demo", HEAD)
    workspace.config("broken", "= 1")
    workspace.config("Bad Name", HEAD)
    workspace.config(".hidden", "= 1")
    workspace.write("project_configs/readme.md", "")
    configs, faults = load_all(str(workspace.root))
    assert list(configs) == ["demo"]
    assert [fault.split(":")[0] for fault in faults] == ["project_configs/", "project_configs/broken.toml"]


def complete(name: str, pipeline: str | None = None) -> str:
    """Return a config whose diagnostics are complete, or whose only pipeline is ``pipeline``."""
    stages = [("diagnostics", stage) for stage in ("build", "lint", "test")] if pipeline is None else [(pipeline, "x")]
    tables = (f"[[pipelines.'{line}'.stages]]\nid='{stage}'\nrun='make'\n" for line, stage in stages)
    return HEAD.replace("demo", name) + "".join(tables)


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (("c", "a-b"), ("b-c", "a"), "would both be called 'a-b-c'"),
        (("my.lib", None), ("my-lib", None), "would share one environment folder"),
        (("x", "a.b"), ("y", "a-b"), None),
    ],
)
def test_sessions_that_collide_are_reported(
    workspace: WorkspaceFolder, one: tuple[str, str | None], two: tuple[str, str | None], said: str | None
) -> None:
    """Two projects' sessions with one name, or one environment folder, are a fault of all configs together."""
    workspace.config(one[0], complete(*one))
    workspace.config(two[0], complete(*two))
    faults = load_all(str(workspace.root))[1]
    assert bool(faults) == (said is not None)
    assert all(said is not None and said in fault for fault in faults)


def test_the_outline_needs_no_more_than_it_says(workspace: WorkspaceFolder) -> None:
    """Routing reads a config whose pipelines are faulty; one without a task is refused with all its faults."""
    workspace.config("demo", HEAD + "[pipelines.x]\n")
    assert outline(str(workspace.root), "demo").task_id == "1-demo"
    workspace.config("demo", HEAD.replace("task_id", "task") + "[pipelines.x]\n")
    with pytest.raises(ConfigError) as caught:
        outline(str(workspace.root), "demo")
    assert len(caught.value.faults) == 3


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.dates()
keys = st.sampled_from(["project", "session", "pipelines", "stages", "id", "needs", "run", "diagnostics", "x", "env"])
tables = st.recursive(
    leaves.filter(lambda leaf: leaf is not None),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=examples(60))
@given(st.dictionaries(keys, tables, max_size=5))
def test_any_table_is_loaded_or_refused_in_plain_words(table: dict[str, object]) -> None:
    """Whatever a file holds, the loader answers with faults that fit on a line, never with a crash."""
    with pytest.raises(ConfigError) as caught:
        parse_project(Source("demo", "project_configs/demo.toml", "", table))
    for fault in caught.value.faults:
        assert fault.isprintable()
        assert "pydantic" not in fault


def test_the_review_table_is_read_alike_with_and_without_the_validator(workspace: WorkspaceFolder) -> None:
    """What the validator takes is the policy; what it refuses, the light reading that ``status`` uses refuses too."""
    good = '[review]\napprovals = 2\nroles = ["security", "security"]\nalone = true\n'
    workspace.config("demo", HEAD + good)
    assert load_project(str(workspace.root), "demo").review == ReviewPolicy(2, ("security",), alone=True)
    for bad in (
        "approvals = -1",
        "approvals = true",
        "approvals = 101",
        'roles = "x"',
        "roles = [1]",
        "alone = 1",
        "x = 1",
    ):
        workspace.config("demo", f"{HEAD}[review]\n{bad}\n")
        with pytest.raises(ConfigError):
            load_project(str(workspace.root), "demo")
        with pytest.raises(ValueError, match="review"):
            policy_of(tomllib.loads(f"[review]\n{bad}\n"))


def test_a_stage_id_of_a_wrong_type_is_a_fault(workspace: WorkspaceFolder) -> None:
    """A list or a table in the place of a stage's id, in a built-in pipeline too, is told and breaks nothing."""
    workspace.config(
        "x",
        'schema_version = 1\n[project]\nname = "x"\npath = "p"\ntask_id = "1-x"\n'
        '[[pipelines.diagnostics.stages]]\nid = ["a"]\nrun = "true"\n'
        '[[pipelines.diagnostics.stages]]\nid = { a = 1 }\nrun = "true"\n',
    )
    with pytest.raises(ConfigError) as refused:
        load_project(str(workspace.root), "x")
    assert "id" in str(refused.value)


@pytest.mark.parametrize("read", [lambda root: load_project(root, "x"), project_names])
def test_a_fault_of_the_disk_is_none_of_the_configuration(
    workspace: WorkspaceFolder, read: Callable[[str], object]
) -> None:
    """Where nothing can be opened, the refusal is one of storage, and no config is called wrong or missing."""
    workspace.project("x")
    read(str(workspace.root))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The lowest free descriptor becomes the first that is not allowed.
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(StorageError) as refused:
            read(str(workspace.root))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused.value.code == "emfile"


def test_only_faults_of_the_disk_are_refused_as_such(workspace: WorkspaceFolder) -> None:
    """An input/output error or a server that forgot a file is storage; a missing name or permission is not."""
    for number in (errno.EIO, errno.ESTALE):
        with pytest.raises(StorageError, match="'/w' can't be read"):
            refuse_broken("/w", OSError(number, "x"))
    for number in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):
        refuse_broken("/w", OSError(number, "x"))
    with pytest.raises(UsageError, match="holds no project_configs"):
        find_workspace(str(workspace.root), {"CODEX_ORCHESTRATOR_ROOT": "/dev/null"})
