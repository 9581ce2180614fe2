"""The early version's config becomes pipelines of ours, and nothing of it is lost without a word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.planning import survey
from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.config_text import config_text
from orchestrator.onboarding.convert_v1 import FILE, converted
from orchestrator.onboarding.detect import HOLLOW, propose
from orchestrator.onboarding.proposal import Proposal
from tests.harness import REPOSITORY

Convert = Callable[..., Proposal]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Convert the pipelines of a config that is the codebase's, or else the workspace's, to a config that holds."""

    def call(*pipelines: object, at: str = "packages/a", **others: object) -> Proposal:
        (tmp_path / "packages/a").mkdir(parents=True, exist_ok=True)
        (tmp_path / at / FILE).write_text(json.dumps({"pipelines": pipelines, **others}))
        codebase = Codebase(str(tmp_path / "packages/a"))
        found = converted(codebase, str(tmp_path), "a", propose(codebase))
        (tmp_path / "project_configs").mkdir(exist_ok=True)
        (tmp_path / "project_configs/a.toml").write_text(config_text("a", "packages/a", "1-a", (), found))
        assert survey(str(tmp_path), today=date.max)[1] == []
        return found

    return call


def command(stage: str, line: str, **others: object) -> dict[str, object]:
    """Return a stage of the early version that runs a command."""
    return {"kind": "command", "id": stage, "title": stage, "command": line, **others}


def keys(proposal: Proposal, pipeline: str) -> dict[str, dict[str, Any]]:
    """Return the keys of a converted pipeline's stages, titles aside."""
    found = next(item for item in proposal.pipelines if item.id == pipeline)
    return {stage.id: {key: value for key, value in stage.keys.items() if key != "title"} for stage in found.stages}


def test_the_sample(tmp_path: Path) -> None:
    """The sample's three pipelines are there; its guardrail is the built-in one, and that it could not fail is told."""
    shutil.copy(REPOSITORY / "tests/samples/version-1" / FILE, tmp_path / FILE)
    codebase = Codebase(str(tmp_path))
    found = converted(codebase, str(tmp_path), "a", propose(codebase))
    assert [pipeline.id for pipeline in found.pipelines] == ["diagnostics", "nightly", "slow"]
    assert found.diagnostics.title == "Diagnostics Pipeline"
    assert keys(found, "diagnostics") == {
        "build": {"run": "echo built"},
        "lint": {"run": "echo 'no problems'"},
        "test": {"shell": "echo '12 passed' && test ! -e broken"},
    }
    assert keys(found, "nightly") == {"diag": {"pipeline": "diagnostics"}}
    assert any("--dry-run, a guardrail that can't fail" in note for note in found.notes)


@pytest.mark.parametrize(
    ("line", "is_guard"),
    [
        ("bash scripts/spec-guard.sh", True),
        ("./scripts/spec-guard.sh --dry-run", True),
        ("spec-guard.sh", True),
        ("echo spec-guard.sh", False),
        ("bash scripts/spec-guard.sh || true", False),
        ("bash scripts/my-spec-guard.sh", False),
        ("node scripts/spec-guard.mjs --dry-run", True),
        ("node dist/orchestrator/src/cli/specGuardRunner.js --dry-run", True),
        ("npm run spec-guard", False),
        ("bash -c 'scripts/spec-guard.sh'", False),
        ("bash 'unclosed spec-guard.sh", False),
    ],
)
def test_the_guardrail_goes_by_its_command_word(convert: Convert, line: str, is_guard: bool) -> None:
    """Only a command that is the script is the guardrail; one that has its name in it is a stage like any other."""
    found = convert({"id": "ci", "title": "CI", "stages": [command("check", line)]})
    if is_guard:
        assert found.guarded == ("ci",)
        assert keys(found, "ci") == {
            "spec-guard": {"run": "codex-orchestrator spec-guard --project a", "guardrail": True}
        }
    else:
        assert found.guarded == ()
        assert list(keys(found, "ci")) == ["check"]
    assert any("--dry-run" in note and "can't fail" in note for note in found.notes) == (
        "--dry-run" in line and is_guard
    )


def test_the_order_stays_where_other_stages_are_among_the_built_in_ones(convert: Convert) -> None:
    """Each stage needs the one before, as the early version ran them; built-in stages that it lacked are skipped."""
    found = convert(
        {
            "id": "diagnostics",
            "stages": [
                command("lint", "l"),
                command("install", "i"),
                command("build", "b"),
                command("g", "spec-guard.sh"),
            ],
        }
    )
    assert keys(found, "diagnostics") == {
        "lint": {"run": "l", "needs": []},
        "install": {"run": "i", "needs": ["lint"]},
        "build": {"run": "b", "needs": ["install"]},
        "spec-guard": {"needs": ["build"]},
        "test": {"skip": "the early version's pipeline had no such stage"},
    }


def test_keys_of_stages(convert: Convert) -> None:
    """Folder, variables and what may fail are kept; commands of a workspace's config run at its root, as they did."""
    found = convert(
        {
            "id": "ci",
            "stages": [
                command("a", "x", cwd="sub", env={"A": 1, "b c": "2", "MCP_RUNNER_TASK_ID": "x"}, allowFailure=True),
                command("b", "A=1 x"),
                {"kind": "subpipeline", "id": "c", "pipeline": "ci-2", "optional": True},
                {"kind": "subpipeline", "id": "d", "pipeline": "gone"},
            ],
        },
        {"id": "ci-2", "stages": [command("x", "x")]},
        at=".",
    )
    assert keys(found, "ci") == {
        "a": {"run": "x", "cwd": "../../sub", "env": {"A": "1"}, "allow_failure": True},
        "b": {"shell": "A=1 x", "cwd": "../.."},
        "c": {"pipeline": "ci-2", "allow_failure": True},
        "d": {"skip": "the early version's config had no pipeline 'gone'"},
    }
    notes = "\n".join(found.notes)
    for told in ("'b c'", "'MCP_RUNNER_TASK_ID'", "'gone'", "it is the workspace's"):
        assert told in notes


def test_what_has_no_counterpart_is_reported(convert: Convert) -> None:
    """Unknown keys, kinds and names are told each; nothing is dropped in silence."""
    found = convert(
        {
            "id": "My CI",
            "tags": ["x"],
            "stages": [
                command("Step One", "x", summaryHint="h"),
                command("step-one", "y"),
                {"kind": "mystery", "id": "m"},
                3,
            ],
        },
        {"id": "empty", "stages": []},
        "no object",
        defaultPipeline="My CI",
        theme="dark",
    )
    assert list(keys(found, "my-ci")) == ["step-one", "step-one-2"]
    notes = "\n".join(found.remarks)
    for told in (
        "left out: 'summaryHint' (1x), 'tags' (1x), 'theme' (1x)",
        "the stage 'Step One' is called 'step-one' now",
        "the pipeline 'My CI' is called 'my-ci' now",
        "of the kind 'mystery'",
        "place 4 is no object",
        "pipeline 'empty' has no stages",
        "entries of 'pipelines' that are no objects",
    ):
        assert told in notes
    assert [pipeline.id for pipeline in found.pipelines] == ["diagnostics", "my-ci"]
    assert found.default_pipeline == "my-ci"
    assert 'default_pipeline = "my-ci"\n' in config_text("a", "packages/a", "1-a", [], found)


def test_a_default_that_is_no_pipeline_is_named(convert: Convert) -> None:
    """A default that can't be converted is left out with a note, ours is not written down."""
    stage = command("build", "x")
    for said, noted in (("gone", True), ("diagnostics", False)):
        found = convert({"id": "diagnostics", "stages": [stage]}, defaultPipeline=said)
        assert found.default_pipeline is None
        assert any("'defaultPipeline' names 'gone'" in note for note in found.remarks) is noted


@pytest.mark.parametrize("text", ["{", "[]", '{"pipelines": {}}', "{}"])
def test_a_config_that_cant_be_read_is_reported(tmp_path: Path, text: str) -> None:
    """A broken file changes nothing of the proposal, and is told."""
    (tmp_path / FILE).write_text(text)
    codebase = Codebase(str(tmp_path))
    plain = propose(codebase)
    found = converted(codebase, str(tmp_path), "a", plain)
    assert found.pipelines == plain.pipelines
    assert "nothing of it was converted" in found.warnings[-1]


def test_stage_sets_are_put_in_their_places(convert: Convert) -> None:
    """A set's stages stand where it was named, also of a set inside a set; the warning of an empty pipeline is none."""
    found = convert(
        {"id": "diagnostics", "title": "D", "stages": [{"kind": "stage-set", "ref": "blt"}]},
        stageSets={
            "blt": [command("build", "npm run build"), {"kind": "stage-set", "ref": "tests"}],
            "tests": {"stages": [command("lint", "npm run lint"), command("test", "npm run test")]},
        },
    )
    assert keys(found, "diagnostics") == {
        "build": {"run": "npm run build"},
        "lint": {"run": "npm run lint"},
        "test": {"run": "npm run test"},
    }
    assert found.warnings == ()


def test_what_was_left_out_is_not_called_absent(convert: Convert, tmp_path: Path) -> None:
    """Where a set or a kind is not known, build, lint and test are the codebase's own; a warning says so."""
    (tmp_path / "packages/a").mkdir(parents=True)
    (tmp_path / "packages/a/package.json").write_text('{"scripts": {"build": "exit 1", "test": "exit 1"}}')
    found = convert(
        {"id": "diagnostics", "stages": [{"kind": "stage-set", "ref": "gone"}, {"kind": "mystery", "id": "m"}]},
        stageSets={},
    )
    assert {name: stage.get("run", "-") for name, stage in keys(found, "diagnostics").items()} == {
        "build": "npm run build",
        "lint": "-",
        "test": "npm test",
    }
    assert any("the stage set 'gone' is not in the file" in text for text in found.warnings)
    assert any("of the kind 'mystery'" in text for text in found.warnings)


def test_a_hollow_conversion_is_the_first_word(convert: Convert) -> None:
    """A pipeline of which nothing is left that checks anything is warned of before all else."""
    found = convert({"id": "diagnostics", "stages": [command("spec-guard", "bash scripts/spec-guard.sh")]})
    assert found.warnings[0] == HOLLOW


@pytest.mark.parametrize("depth", [1, 2, 30])
def test_stage_sets_in_a_circle_or_without_end(convert: Convert, depth: int) -> None:
    """Sets that hold themselves, or each other twice over and over, are left out with a warning, and soon."""
    sets = {f"s{at}": [{"kind": "stage-set", "ref": f"s{(at + 1) % depth}"}] * 2 for at in range(depth)}
    found = convert({"id": "ci", "stages": [command("x", "y"), {"kind": "stage-set", "ref": "s0"}]}, stageSets=sets)
    assert list(keys(found, "ci")) == ["x"]
    assert any("holds itself" in text for text in found.warnings)


def test_pipelines_in_a_circle(convert: Convert) -> None:
    """A sub-pipeline that leads back is skipped with its reason; the config would be refused otherwise."""
    below = {"kind": "subpipeline", "id": "below"}
    found = convert(
        {"id": "one", "stages": [{**below, "pipeline": "two"}]},
        {"id": "two", "stages": [{**below, "pipeline": "one"}]},
    )
    assert "led back" in str(keys(found, "one")["below"]["skip"])
    assert keys(found, "two") == {"below": {"pipeline": "one"}}
    assert any("leads back to it" in text for text in found.warnings)


def test_a_config_of_five_megabytes(convert: Convert) -> None:
    """It is not read, with a warning; what the codebase's files tell is proposed."""
    found = convert({"id": "ci", "stages": [command("x", "y" * 5_000_000)]})
    assert any("larger than" in text for text in found.warnings)
    assert [pipeline.id for pipeline in found.pipelines] == ["diagnostics"]


@pytest.mark.parametrize(
    ("line", "is_warned"),
    [
        ("npx codex-orchestrator start diagnostics", True),
        ("npm test && npx --yes codex-orchestrator plan", True),
        ("codex-orchestrator plan", False),
        ("npx @kbediako/codex-orchestrator plan", False),
        ("node codex-orchestrator.js", False),
    ],
)
def test_the_npm_package_of_another_author_is_warned_of(convert: Convert, line: str, is_warned: bool) -> None:
    """Npx would download and run it where the early version's own package is not installed."""
    found = convert({"id": "ci", "stages": [command("check", line)]})
    assert any("of another author" in text for text in found.warnings) == is_warned
