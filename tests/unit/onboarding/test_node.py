"""Node: package managers, members of repositories of many packages, scripts, and what is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.detect import HOLLOW, propose
from tests.unit.onboarding.conftest import Make, does


def test_package_manager_goes_before_lock_files(make: Make) -> None:
    """PackageManager decides over a stale lock file of another, and both are noted."""
    package = {"packageManager": "pnpm@11.3.0+sha512.0", "dependencies": {"a": "1"}, "scripts": {"test": "x"}}
    files = {"package.json": json.dumps(package), "package-lock.json": "{}", "pnpm-lock.yaml": ""}
    found = propose(make(files))
    assert does(found)["build"] == "pnpm install --frozen-lockfile"
    assert any("several lock files" in note and "packageManager says pnpm" in note for note in found.notes)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("npm ci --ignore-scripts", "npm ci --ignore-scripts"),
        ("npm i -g npm@latest && npm install --ignore-scripts --no-audit", "npm ci --ignore-scripts"),
        ("npm ci --ignore-scripts\n      - run: npm ci", "npm ci"),
        ("npm install typescript@next --ignore-scripts", "npm ci"),
        ("pnpm install --ignore-scripts", "npm ci"),
    ],
)
def test_scripts_of_packages_run_as_in_ci(make: Make, lines: str, expected: str) -> None:
    """Where each install of the codebase's CI leaves the scripts of packages out, they may not even work."""
    workflow = f"jobs:\n  a:\n    steps:\n      - run: {lines}\n"
    files = {"package.json": '{"dependencies": {"a": "1"}}', "package-lock.json": "{}"}
    assert does(propose(make({**files, ".github/workflows/ci.yml": workflow})))["build"] == expected


def test_an_unknown_package_manager_is_warned_of(make: Make) -> None:
    """The lock file decides then."""
    package = {"packageManager": "vlt@1.0.0", "dependencies": {"a": "1"}}
    found = propose(make({"package.json": json.dumps(package), "yarn.lock": ""}))
    assert does(found)["build"] == "yarn install --frozen-lockfile"
    assert any("'vlt'" in text for text in found.warnings)


@pytest.mark.parametrize("form", ["pnpm", "npm", "yarn"])
def test_a_member_takes_the_manager_of_its_root(tmp_path: Path, form: str) -> None:
    """The lock file and the manager stand at the root of the repository of many packages."""
    member = tmp_path / "packages" / "cli"
    member.mkdir(parents=True)
    (member / "package.json").write_text('{"dependencies": {"a": "workspace:^"}, "scripts": {"test": "x"}}')
    root: dict[str, object] = {"private": True}
    if form == "pnpm":
        (tmp_path / "pnpm-workspace.yaml").write_text("packages:\n  - 'packages/*'\n")
        (tmp_path / "pnpm-lock.yaml").write_text("")
    elif form == "npm":
        root["workspaces"] = ["packages/*"]
        (tmp_path / "package-lock.json").write_text("{}")
    else:
        root |= {"workspaces": {"packages": ["packages/**"]}, "packageManager": "yarn@4.5.0"}
        (tmp_path / "yarn.lock").write_text("")
    (tmp_path / "package.json").write_text(json.dumps(root))
    found = propose(Codebase(str(member)))
    wanted = {"pnpm": "pnpm install --frozen-lockfile", "npm": "npm ci", "yarn": "yarn install --immutable"}
    assert does(found)["build"] == wanted[form]
    assert any("a member of the repository of many packages at ../.." in note for note in found.notes)
    assert not any("no lock file" in note for note in found.notes)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "package.json").write_text('{"dependencies": {"a": "1"}}')
    assert any("no lock file" in note for note in propose(Codebase(str(tmp_path / "other"))).notes)


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ({"scripts": {"test": "xo && ava && tsd"}}, {"lint": "-", "test": "npm test"}),
        ({"devDependencies": {"xo": "1"}}, {"lint": "npx --no-install xo"}),
        ({"scripts": {"lint": "eslint --fix .", "lint:check": "eslint ."}}, {"lint": "npm run lint:check"}),
        ({"scripts": {"lint": "npm run lint:js", "lint:js": "eslint --fix ."}}, {"lint": "-"}),
        ({"scripts": {"lint": "eslint .", "prelint": "prettier -w ."}}, {"lint": "-"}),
        ({"scripts": {"lint": "npm run check -w web && eslint --fix-dry-run ."}}, {"lint": "npm run lint"}),
        ({"scripts": {"lint": "yarn prettier -w . && eslint ."}}, {"lint": "-"}),
        ({"scripts": {"lint": "pnpm -w run check && eslint ."}}, {"lint": "npm run lint"}),
        ({"scripts": {"lint": "oxfmt src && oxlint"}}, {"lint": "-"}),
        ({"scripts": {"lint": "oxfmt --check src && oxlint"}}, {"lint": "npm run lint"}),
        ({"scripts": {"lint": "eslint . || true", "test": "echo none yet"}}, {"lint": "-", "test": "-"}),
        ({"scripts": {"test": "exit 0", "typecheck": "tsc; exit 0"}}, {"test": "-", "typecheck": ""}),
        ({"scripts": {"test": "jest --watchAll"}}, {"test": "-"}),
        ({"scripts": {"test": "jest --watchAll=false"}}, {"test": "npm test"}),
        ({"scripts": {"test": "vitest --watch", "test:ci": "vitest run"}}, {"test": "npm run test:ci"}),
        ({"scripts": {"test": "echo done", "pretest": "mocha"}}, {"test": "npm test"}),
        ({"scripts": {"test": "npm run out", "out": "npm publish"}}, {"test": "-"}),
        ({"scripts": {"test": "npm publish --dry-run && mocha"}}, {"test": "npm test"}),
        ({"scripts": {"types:check": "tsc", "test": "x"}}, {"typecheck": "npm run types:check"}),
        ({"scripts": {"test:types": "tsd", "test": "x && npm run test:types"}}, {"typecheck": ""}),
        ({"scripts": {"format": "prettier --check ."}}, {"format": "npm run format"}),
        ({"scripts": {"format": "prettier --write ."}}, {"format": ""}),
        (
            {"scripts": {"format:check": "biome format .", "format": "biome format --write ."}},
            {"format": "npm run format:check"},
        ),
        ({"scripts": {"format:check": "prettier --write ."}}, {"format": ""}),
        ({"scripts": {"format": "dprint fmt"}}, {"format": ""}),
    ],
)
def test_scripts(make: Make, package: object, expected: dict[str, str]) -> None:
    """Checks of types and format are stages unless another stage runs them; a script that changes files is none."""
    found = does(propose(make({"package.json": json.dumps(package)})))
    assert {name: found.get(name, "") for name in expected} == expected


@pytest.mark.parametrize(
    ("scripts", "command"),
    [
        ({"test": "standard --fix && mocha"}, "standard --fix"),
        ({"test": "mocha", "pretest": "npm run lint -- --fix"}, "npm run lint -- --fix"),
        ({"test": "run-s lint unit", "lint": "xo --fix", "unit": "ava"}, "xo --fix"),
        ({"test": "standard && mocha"}, None),
        ({"test": "mocha", "fix": "standard --fix"}, None),
        ({"lint": "standard --fix"}, None),
        ({"test": "npm test -w web"}, None),
    ],
)
def test_a_test_script_that_repairs_is_warned_of(make: Make, scripts: dict[str, str], command: str | None) -> None:
    """A fixer behind the script 'test', however it is reached, is named: such a stage is green by what it changed."""
    warned = [
        text for text in propose(make({"package.json": json.dumps({"scripts": scripts})})).warnings if "repairs" in text
    ]
    assert [f"runs '{command}'," in text for text in warned] == ([] if command is None else [True])


def test_a_lint_script_that_repairs_is_the_reason_of_the_skip(make: Make) -> None:
    """Who reads the config learns why a script 'lint' that is there is not called."""
    (stage,) = [
        stage
        for stage in propose(make({"package.json": '{"scripts": {"lint": "eslint --fix ."}}'})).pipelines[0].stages
        if stage.id == "lint"
    ]
    assert stage.skipped == "the script 'lint' runs 'eslint --fix .', which repairs what it should find"


def test_scripts_that_call_each_other_in_a_circle(make: Make) -> None:
    """They are skipped with their names; a script of another folder's package is no circle."""
    scripts = {"test": "npm run unit", "unit": "run-s test:*", "test:all": "npm test", "build": "cd x && npm run build"}
    found = propose(make({"package.json": json.dumps({"scripts": scripts})}))
    reasons = {stage.id: stage.skipped for stage in found.diagnostics.stages}
    assert reasons["test"] == "scripts of package.json call each other in a circle: test, test:all, unit"
    assert does(found)["build"] == "npm run build"


@pytest.mark.parametrize(
    ("manager", "script"),
    [
        ("pnpm", "pnpm test:types && pnpm vitest run"),
        ("yarn", "yarn test:packages"),
        ("npm", "npm run test-node"),
        ("bun", "bun test"),
        ("bun", "bun --bun test src"),
        ("pnpm", "pnpm -r test"),
        ("pnpm", "pnpm -r --if-present run test"),
        ("pnpm", "pnpm --filter './packages/*' test"),
        ("pnpm", "pnpm -F web run test"),
        ("pnpm", "pnpm run -r test"),
        ("npm", "npm test --workspaces --if-present"),
        ("npm", "npm run test -ws"),
        ("npm", "npm --prefix web test"),
        ("npm", "npm -C web test"),
        ("yarn", "yarn --cwd web test"),
        ("yarn", "yarn workspaces run test"),
    ],
)
def test_a_script_that_calls_another_of_the_same_beginning_or_of_a_member_is_no_circle(
    make: Make, manager: str, script: str
) -> None:
    """A longer name, members' scripts of the same name, and the runner that bun has itself are not the script."""
    package = {"packageManager": f"{manager}@4.0.0", "scripts": {"test": script, "test:types": "tsc"}}
    call = "bun run test" if manager == "bun" else f"{manager} test"
    assert does(propose(make({"package.json": json.dumps(package)})))["test"] == call


@pytest.mark.parametrize("call", ["pnpm test", "pnpm -s run test", "npm t", "yarn run test", "bun run test"])
def test_a_script_that_calls_itself_is_a_circle(make: Make, call: str) -> None:
    """Whichever manager and options it is called with."""
    found = propose(make({"package.json": json.dumps({"scripts": {"test": f"tsc && {call}"}})}))
    assert (found.diagnostics.stages[2].skipped or "").endswith("in a circle: test")


def test_linters_by_their_settings(make: Make, tmp_path: Path) -> None:
    """Oxlint and biome are linters too."""
    assert does(propose(make({"package.json": '{"devDependencies": {"oxlint": "1"}}', ".oxlintrc.json": "{}"})))[
        "lint"
    ] == ("npx --no-install oxlint")
    assert does(propose(make({"biome.json": "{}"})))["lint"] == "npx --no-install biome check ."


def test_a_linter_that_is_set_up_and_nothing_runs_is_skipped_with_that_reason(make: Make) -> None:
    """Where CI says what is run, settings alone are no check; a script, a hook or CI that calls the linter is."""
    package: dict[str, object] = {"devDependencies": {"eslint": "9"}, "scripts": {"test": "mocha"}}
    ci = {".github/workflows/ci.yml": "jobs:\n  a:\n    steps:\n    - run: npm test\n", ".eslintrc.json": "{}"}
    found = propose(make({**ci, "package.json": json.dumps(package)}))
    assert found.diagnostics.stages[1].skipped == (
        "found .eslintrc.json, but nothing of the codebase runs eslint; to run it: npx --no-install eslint ."
    )
    staged = {**package, "lint-staged": {"*.js": "eslint --fix"}}
    assert does(propose(make({"package.json": json.dumps(staged)})))["lint"] == "npx --no-install eslint ."
    scripted = {**package, "scripts": {"test": "mocha", "ci": "npx eslint src"}}
    assert does(propose(make({"package.json": json.dumps(scripted)})))["lint"] == "npx --no-install eslint ."


def test_a_hollow_pipeline_is_the_first_word(make: Make) -> None:
    """A codebase of which nothing is checked is proposed with a warning before all others."""
    found = propose(make({"package.json": "{}"}))
    assert found.remarks[0] == HOLLOW
    assert HOLLOW not in propose(make({"Makefile": "test:\n\t./run\n"})).remarks
