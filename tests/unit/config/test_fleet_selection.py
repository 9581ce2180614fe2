"""Which projects a selection holds, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.identifiers import name_fault
from orchestrator.commands.look.fleet_plan import matrix
from orchestrator.commands.run.fleet_selection import Choice
from orchestrator.config.fleet.affected import Change, affected
from orchestrator.config.fleet.members import Member, Members, member_of
from orchestrator.config.fleet.options import SelectionOptions, parsed_shard
from orchestrator.config.fleet.plan import Foreseen, fleet_plan
from orchestrator.config.fleet.selection import Base, Selection, Sources, select, shards
from orchestrator.config.fleet_policy import FleetPolicy, read_fleet_policy
from orchestrator.config.loading import load_project
from orchestrator.config.planning import compile_plan
from tests.harness import WorkspaceFolder

NAMES = ("api", "core", "docs", "shop")


def project(name: str, **changed: object) -> Member:
    """Return a project that has diagnostics."""
    return Member(name, f"packages/{name}", f"1-{name}", pipelines=("diagnostics",))._replace(**changed)


def members(*projects: Member, misnamed: tuple[str, ...] = ()) -> Members:
    """Return projects of which shop depends on core, and core and api have an owner and tags."""
    usual = (
        project("api", owners=("ann",), tags=("web",)),
        project("core", owners=("bob",), tags=("lib", "web")),
        project("docs"),
        project("shop", depends_on=("core",)),
    )
    return Members({each.name: each for each in projects or usual}, misnamed)


def chosen(
    options: SelectionOptions,
    of: Members | None = None,
    *,
    changed: tuple[str, ...] = (),
    failed: Mapping[str, str] | None = None,
    pipeline: str = "diagnostics",
) -> Selection:
    """Return the selection of ``options`` where those files changed and those projects failed."""
    sources = Sources(lambda: Base("main", "a" * 40, Change(changed)), lambda: failed or {})
    return select(options, of or members(), pipeline, ("noxfile.py",), sources)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SelectionOptions(everything=True), NAMES),
        (SelectionOptions(projects="shop,api"), ("api", "shop")),
        (SelectionOptions(owners=("ann", "bob")), ("api", "core")),
        (SelectionOptions(tags=("web",)), ("api", "core")),
        (SelectionOptions(tags=("web",), owners=("bob",)), ("core",)),
        (SelectionOptions(exclude="core"), ("api", "docs", "shop")),
        (SelectionOptions(everything=True, shard="1/3"), ("api", "shop")),
        (SelectionOptions(everything=True, shard="3/3"), ("docs",)),
        (SelectionOptions(everything=True, shard="9/9"), ()),
        (SelectionOptions(projects="core", tags=("web",)), ("core",)),
    ],
)
def test_selections_intersect(options: SelectionOptions, expected: tuple[str, ...]) -> None:
    """Each option narrows the selection, alone it narrows all; names come sorted."""
    assert chosen(options).names == expected


def test_a_change_selects_what_it_touches_and_what_depends_on_it() -> None:
    """The project of a changed file and its dependents are affected, with why; others are not."""
    found = chosen(SelectionOptions(affected=True), changed=("packages/core/a.py", "README.md"))
    assert [(one.project, one.reasons) for one in found.projects] == [
        ("core", ("changed: packages/core/a.py",)),
        ("shop", ("depends on core",)),
    ]
    alone = chosen(SelectionOptions(affected=True, no_dependents=True), changed=("packages/core/a.py",))
    assert alone.names == ("core",)
    assert chosen(SelectionOptions(affected=True, projects="shop"), changed=("packages/core/a.py",)).names == ("shop",)


def test_nothing_changed_and_nothing_failed_are_answers() -> None:
    """A selection that a change or failures leave empty is empty, with its base."""
    assert chosen(SelectionOptions(affected=True)).as_json()["merge_base"] == "a" * 40
    assert chosen(SelectionOptions(failed=True)).names == ()
    assert chosen(SelectionOptions(failed=True), failed={"api": "--failed: x", "gone": "y"}).names == ("api",)


@pytest.mark.parametrize(
    ("options", "code", "hint"),
    [
        (SelectionOptions(projects="cor"), "unknown-project", "core"),
        (SelectionOptions(projects="api,,core"), "unknown-project", ""),
        (SelectionOptions(projects=""), "unknown-project", ""),
        (SelectionOptions(exclude="dosc"), "unknown-project", "docs"),
        (SelectionOptions(projects="api", owners=("an",)), "unknown-owner", "ann"),
        (SelectionOptions(tags=("wep",)), "unknown-tag", "web"),
        (SelectionOptions(tags=("",)), "unknown-tag", ""),
        (SelectionOptions(projects="docs", tags=("web",)), "nothing-selected", ""),
        (SelectionOptions(exclude="api,core,docs,shop"), "nothing-selected", ""),
        (SelectionOptions(everything=True, shard="0/3"), "bad-shard", ""),
        (SelectionOptions(everything=True, shard="4/3"), "bad-shard", ""),
        (SelectionOptions(everything=True, shard="x"), "bad-shard", ""),
        (SelectionOptions(everything=True, shard="1/0"), "bad-shard", ""),
        (SelectionOptions(everything=True, projects="api"), "option-conflict", ""),
        (SelectionOptions(everything=True, base="main"), "option-conflict", "--affected --base origin/main"),
        (SelectionOptions(everything=True, no_dependents=True), "option-conflict", ""),
        (SelectionOptions(affected=True, base=""), "bad-base", ""),
    ],
)
def test_what_is_wrong_is_refused_with_the_nearest(options: SelectionOptions, code: str, hint: str) -> None:
    """Unknown names, empty selections and options that contradict each other are usage errors."""
    with pytest.raises(UsageError) as caught:
        chosen(options, changed=("packages/api/a",))
    assert caught.value.code == code
    assert hint in caught.value.hint


def test_an_empty_workspace_has_nothing_to_select() -> None:
    """Where there is no project, the hint is how one comes to be."""
    with pytest.raises(UsageError) as caught:
        chosen(SelectionOptions(everything=True), Members({}))
    assert (caught.value.code, "onboard" in caught.value.hint) == ("nothing-selected", True)


def test_nothing_selected_is_judged_before_a_change_narrows() -> None:
    """An owner whose projects are all left out is refused, whatever changed."""
    with pytest.raises(UsageError) as caught:
        chosen(SelectionOptions(affected=True, owners=("ann",), exclude="api"))
    assert caught.value.code == "nothing-selected"


def test_a_project_without_the_pipeline_is_named_or_refused() -> None:
    """With --all it is left out and named, with --projects refused; a pipeline that nobody has is unknown."""
    some = members(project("api"), project("docs", pipelines=("smoke",)))
    found = chosen(SelectionOptions(everything=True), some)
    assert (found.names, found.left_out[0].project) == (("api",), "docs")
    for options, pipeline in (
        (SelectionOptions(projects="api,docs"), "diagnostics"),
        (SelectionOptions(everything=True), "smok"),
    ):
        with pytest.raises(UsageError) as caught:
            chosen(options, some, pipeline=pipeline)
        assert caught.value.code == "unknown-pipeline"


def test_a_broken_config_is_never_left_out() -> None:
    """A project whose config can't be parsed, or says nothing to run, is in every selection that could have held it."""
    some = members(
        project("api", owners=("ann",), tags=("web",)), Member("sick", fault="line 3: invalid TOML"), Member("void")
    )
    for options in (
        SelectionOptions(everything=True),
        SelectionOptions(owners=("ann",)),
        SelectionOptions(tags=("web",)),
        SelectionOptions(affected=True),
    ):
        assert {"sick", "void"} <= set(chosen(options, some).names)
    assert chosen(SelectionOptions(projects="api"), some).names == ("api",)
    assert chosen(SelectionOptions(exclude="sick,void"), some).names == ("api",)


def test_a_file_that_is_no_projects_is_refused() -> None:
    """A config file whose name can be no project's refuses what selects from all, and what changed."""
    some = members(project("api"), misnamed=("project_configs/: the file 'Fleet.toml' is no project's",))
    for options in (SelectionOptions(everything=True), SelectionOptions(projects="api", affected=True)):
        with pytest.raises(UsageError) as caught:
            chosen(options, some)
        assert "Fleet.toml" in caught.value.message
    assert chosen(SelectionOptions(projects="api"), some).names == ("api",)


AROUND = {
    "top": project("top", path="."),
    "outer": project("outer", path="packages/outer"),
    "inner": project("inner", path="packages/outer/inner", also=("libs/*.c",)),
    "twin": project("twin", path="packages/twin/"),
    "other": project("other", path="packages/twin"),
    "sub": project("sub", path="vendor/sub/lib"),
    "sibling": project("sibling", path="../sibling"),
}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("packages/outer/a.py", {"outer"}),
        ("packages/outer/inner/a.py", {"inner"}),
        ("packages/outerx/a.py", {"top"}),
        ("packages/twin/a.py", {"twin", "other"}),
        ("libs/a.c", {"top", "inner"}),
        ("project_configs/twin.toml", {"top", "twin"}),
        ("project_configs/gone.toml", {"top"}),
        ("vendor/sub", {"top", "sub"}),
        ("../sibling/a", {"sibling"}),
        ("noxfile.py", set(AROUND)),
        ("../elsewhere/a", set()),
    ],
)
def test_a_file_belongs_to_the_nearest_project(file: str, expected: set[str]) -> None:
    """The longest path above a file, ``also``, the config's name and shared files decide whom it concerns."""
    found = affected(AROUND, Change((file,)), ("noxfile.py",), dependents=False)
    assert set(found) == expected


def test_what_depends_on_no_project_is_affected() -> None:
    """A project whose config names one that is not there is broken: affected whatever changed, with its dependents."""
    some = {each.name: each for each in (project("a", depends_on=("gone", "b")), project("b"), project("c"))}
    some["c"] = some["c"]._replace(depends_on=("a",))
    found = affected(some, Change(), (), dependents=True)
    assert found == {"a": ("depends on gone, which is no project",), "c": ("depends on a",)}


def test_reasons_name_five_files() -> None:
    """Of many changed files the first five are named and the others counted; a place that git can't see is a reason."""
    change = Change(tuple(f"packages/outer/{n}" for n in range(7)), {"sibling": "it lies outside"})
    found = affected(AROUND, change, (), dependents=False)
    assert found["outer"][0].endswith("packages/outer/4 and 2 more")
    assert found["sibling"] == ("it lies outside",)


@given(st.lists(st.sampled_from("abcdefgh"), unique=True), st.integers(1, 9))
def test_shards_are_a_partition(names: list[str], parts: int) -> None:
    """Each name is in exactly one part, the same whatever the order, and empty parts are left out."""
    found = shards(names, parts)
    assert sorted(name for _, part in found for name in part) == sorted(names)
    assert found == shards(reversed(names), parts)
    assert all(part for _, part in found)
    assert all(parsed_shard(f"{number}/{parts}") == (number, parts) for number, _ in found)


def test_what_a_config_says_is_read_leniently() -> None:
    """Values of a wrong type are passed over; a built-in pipeline counts when it is complete or mentioned."""
    stages = [{"id": name, "run": "true"} for name in ("build", "lint", "test")]
    found = member_of("a", {"project": {"path": 3, "tags": "x", "also": ["../x", "ok/**"]}, "pipelines": 1})
    assert (found.path, found.tags, found.also, found.pipelines) == (None, (), ("ok/**",), ())
    assert set(member_of("a", {"pipelines": {"diagnostics": {"stages": stages}}}).pipelines) == {"diagnostics", "smoke"}
    assert member_of("a", {"pipelines": {"diagnostics": {}, "own": {}}}).pipelines == ("diagnostics", "own")


def test_a_plan_orders_projects_by_what_they_need() -> None:
    """A fleet's stages are sub-pipelines in an order in which needs come first; needs stay within the selection."""
    some = members(
        project("a", depends_on=("c", "gone")),
        project("b"),
        project("c", depends_on=("b",)),
        project("x", depends_on=("y",)),
        project("y", depends_on=("x",)),
    )
    selection = chosen(SelectionOptions(exclude="b"), some)
    known = {name: Foreseen("d" * 64, 60.0) for name in "acxy"} | {"x": Foreseen(fault="broken")}
    plan = fleet_plan(selection, some.projects, known, "diagnostics", "fleet", fail_fast=True)
    assert {stage.id: stage.needs for stage in plan.stages} == {"a": ("c",), "c": (), "x": (), "y": ()}
    assert [stage.id for stage in plan.stages].index("c") < [stage.id for stage in plan.stages].index("a")
    record = plan.record()
    assert (record["kind"], record["project"], record["selection"]["fail_fast"]) == ("fleet", "fleet", True)
    entries = {entry["project"]: entry for entry in record["selection"]["projects"]}
    assert (entries["x"]["fault"], entries["x"]["plan_digest"], entries["a"]["plan_digest"]) == (
        "broken",
        None,
        "d" * 64,
    )


def test_a_matrix_has_a_job_a_project_or_a_part() -> None:
    """A job names project, task, pipeline and session; with shards its projects; GitHub takes 256 at most."""
    many = members(*(project(f"p{number:03d}") for number in range(300)))
    selection = chosen(SelectionOptions(everything=True), many)
    choice = Choice(selection, many, FleetPolicy())
    with pytest.raises(UsageError) as caught:
        matrix(choice, "diagnostics", None)
    assert (caught.value.code, "--shards" in caught.value.hint) == ("matrix-too-large", True)
    parts = json.loads(matrix(choice, "diagnostics", 20).text)["include"]
    assert len(parts) == 20
    assert parts[19]["shard"] == "20/20"
    one = Choice(chosen(SelectionOptions(projects="p007"), many), many, FleetPolicy())
    assert json.loads(matrix(one, "diagnostics", None).text) == {
        "include": [{"project": "p007", "task": "1-p007", "pipeline": "diagnostics", "session": "diagnostics-p007"}]
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema_version = 1\n[fleet]\ntask = 'x'\n", "fleet.task: is no key"),
        ("schema_version = 1\n[fleet]\ntask_id = 'No'\n", "fleet.task_id: task id 'No' is not allowed"),
        ("schema_version = 1\n[fleet]\nshared = 'x'\n", "fleet.shared: is no list"),
        ("schema_version = 1\n[fleet]\nshared = ['../x']\n", "fleet.shared: '../x' must not hold"),
        ("schema_version = 2\n[flet]\n", "flet: is no table of this file"),
        ("schema_version = 1\nfleet = 3\n", "fleet: is no table"),
    ],
)
def test_a_broken_table_of_fleets_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """What is wrong in [fleet] is named with its key."""
    (tmp_path / "workspace.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_fleet_policy(str(tmp_path))
    assert words in caught.value.message


def test_reserved_ids_and_dependencies_are_checked_at_load(workspace: WorkspaceFolder) -> None:
    """No project is called fleet or has its task; one that depends on itself or on nothing there can't be compiled."""
    assert "reserved" in str(name_fault("project", "fleet"))
    assert "reserved" in str(name_fault("project", "local-mcp"))
    workspace.project("a", task_id="fleet")
    with pytest.raises(ConfigError, match=r"project\.task_id: 'fleet' is reserved"):
        load_project(str(workspace.root), "a")
    workspace.project("a")
    path = workspace.root / "project_configs/a.toml"
    path.write_text(path.read_text().replace("[session]", 'depends_on = ["a", "bb"]\n[session]', 1))
    with pytest.raises(ConfigError, match=r"project.depends_on\[#1\]: is the project itself"):
        load_project(str(workspace.root), "a")
    workspace.project("b")
    path.write_text(path.read_text().replace('"a", "bb"', '"bb"', 1))
    with pytest.raises(ConfigError, match=r"there is no project 'bb' \(did you mean 'b'\?\)"):
        compile_plan(str(workspace.root), "a", "diagnostics", today=date(2026, 1, 1))
    assert compile_plan(str(workspace.root), "a", "diagnostics", today=date(2026, 1, 1), alone=True).project == "a"
