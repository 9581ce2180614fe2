"""Detection: what is proposed for each kind of codebase, from its files alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.options import OneOf
from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.detect import TEMPLATES, propose
from orchestrator.onboarding.python_codebase import interpreter_for
from tests.harness import REPOSITORY
from tests.unit.onboarding.conftest import Make, does

BUILD_SYSTEM = '[build-system]\nrequires = ["hatchling>=1.27", "--index-url=x"]\nbuild-backend = "hatchling.build"\n'


def test_python_with_extras(make: Make) -> None:
    """Back end, extras for work, ruff's format, pytest and mypy are found; what is not named is added."""
    found = propose(
        make(
            {
                "pyproject.toml": BUILD_SYSTEM + '[project]\nname = "a-b"\nversion = "1"\n'
                '[project.optional-dependencies]\ntest = ["pytest>=8"]\ndocs = ["sphinx"]\nlint = ["ruff", "mypy"]\n'
                "[tool.ruff.format]\nline-ending = 'lf'\n[tool.mypy]\nstrict = true\n",
                "a_b/__init__.py": "",
                "tests/test_a.py": "def test_a(): pass\n",
            }
        )
    )
    assert found.template == "python"
    assert found.backend == "uv|virtualenv"
    assert found.install == ("-e", ".[test,lint]", "build", "hatchling>=1.27")
    assert does(found) == {
        "build": "python -m build --no-isolation",
        "lint": "ruff check --no-fix . && ruff format --check .",
        "test": "python -m pytest --junitxml=junit.xml",
        "typecheck": "python -m mypy a_b",
    }
    assert any("extras that are not installed: docs" in note for note in found.remarks)
    assert any("no version of ruff, mypy:" in note for note in found.remarks)


def test_python_with_dependency_groups_and_a_pinned_linter(make: Make) -> None:
    """Groups are installed with those that they include; ruff gets the version that pre-commit pins."""
    found = propose(
        make(
            {
                "pyproject.toml": BUILD_SYSTEM + '[project]\nname = "a"\n[tool.ruff]\n'
                '[dependency-groups]\ntest = ["pytest"]\ndev = [{include-group = "test"}, "build"]\nx = ["y"]\n',
                ".pre-commit-config.yaml": "repos:\n- repo: https://github.com/astral-sh/ruff-pre-commit\n"
                "  rev: v0.9.10\n  hooks: [{id: ruff-check}]\n",
                "tests/test_a.py": "",
            }
        )
    )
    assert found.install == ("-e", ".", "--group", "dev", "--group", "test", "hatchling>=1.27", "ruff==0.9.10")
    assert does(found)["test"] == "python -m pytest --junitxml=junit.xml"


@pytest.mark.parametrize(
    ("files", "install", "lint", "test"),
    [
        (
            {
                "setup.py": "",
                "setup.cfg": "[metadata]\n[options.extras_require]\ntests =\n  pytest\n[flake8]\n[tool:pytest]\n",
            },
            ("-e", ".[tests]", "build", "setuptools", "flake8"),
            "python -m flake8",
            "python -m pytest --junitxml=junit.xml",
        ),
        (
            {
                "setup.py": "",
                "tox.ini": "[testenv]\ndeps =\n  pytest\n  py38: old\n  -rreq.txt\ncommands =\n  pytest {posargs}\n",
            },
            ("-e", ".", "-r", "req.txt", "pytest", "build", "setuptools"),
            "-",
            "pytest",
        ),
        (
            {"requirements.txt": "flask\npylint\n", "test_it.py": "import unittest\n", ".flake8": "[flake8]\n"},
            ("-r", "requirements.txt", "flake8"),
            "python -m flake8",
            "python -m unittest discover -s . -t .",
        ),
        (
            {
                "pyproject.toml": '[tool.poetry]\nname = "a"\n[tool.poetry.group.dev.dependencies]\npython = "^3"\n'
                'pytest = "^8"\nblack = "*"\n[build-system]\nrequires = ["poetry-core"]\n',
                "tests/test_a.py": "",
            },
            ("-e", ".", "pytest>=8,<9", "black", "build", "poetry-core"),
            "python -m black --check .",
            "python -m pytest --junitxml=junit.xml",
        ),
        (
            {
                "setup.py": "",
                "requirements/dev.txt": "pytest\n",
                "requirements/tests.txt": "pytest\n",
                "conftest.py": "",
            },
            ("-e", ".", "-r", "requirements/tests.txt", "build", "setuptools"),
            "-",
            "python -m pytest --junitxml=junit.xml",
        ),
    ],
    ids=["setup.cfg", "tox", "requirements", "poetry", "narrowest-requirements"],
)
def test_older_ways_of_python(
    make: Make, files: Mapping[str, str], install: tuple[str, ...], lint: str, test: str
) -> None:
    """setup.cfg, tox.ini, requirements files and poetry's groups tell as much as pyproject.toml."""
    found = propose(make(files))
    assert found.template == "python"
    assert found.install == install
    assert (does(found)["lint"], does(found)["test"]) == (lint, test)


def test_hatchs_environments_and_uvs_list(make: Make) -> None:
    """What these tools install for work on a codebase is installed."""
    found = propose(
        make(
            {
                "pyproject.toml": BUILD_SYSTEM + '[project]\nname = "a"\n[tool.uv]\ndev-dependencies = ["ruff>=0.9"]\n'
                '[tool.hatch.envs.default]\ndependencies = ["pytest", "coverage"]\n',
                "tests/test_a.py": "",
            }
        )
    )
    assert found.install == ("-e", ".", "ruff>=0.9", "pytest", "coverage", "build", "hatchling>=1.27")
    assert list(does(found).values())[1:] == ["ruff check --no-fix .", "python -m pytest --junitxml=junit.xml"]


@pytest.mark.parametrize(
    ("requires", "running", "expected"),
    [
        (">=3.9", 11, None),
        (">=3.13,<4", 11, "3.13"),
        (">=3.8, <3.11", 11, "3.10"),
        ("", 11, None),
        (">3.14,<3.2", 11, None),
    ],
)
def test_the_interpreter(requires: str, running: int, expected: str | None) -> None:
    """Another Python is asked for only where the orchestrator's own would not do."""
    assert interpreter_for(requires, running) == expected


def test_python_without_a_build_back_end_skips_with_the_reason(make: Make) -> None:
    """What can't be found is skipped, with a reason that names where it was looked for."""
    found = propose(make({"main.py": "print()\n"}))
    reasons = {stage.id: stage.skipped for stage in found.diagnostics.stages}
    assert "[build-system]" in str(reasons["build"])
    assert "linter" in str(reasons["lint"])
    assert "tests" in str(reasons["test"])


@pytest.mark.parametrize(
    ("files", "package", "expected"),
    [
        (
            {},
            {"scripts": {"build": "tsc", "lint": "eslint .", "test": "jest"}},
            ["npm run build", "npm run lint", "npm test"],
        ),
        (
            {"package-lock.json": "{}", "eslint.config.js": ""},
            {"devDependencies": {"eslint": "9"}, "scripts": {"build": "x"}},
            ["npm ci && npm run build", "npx --no-install eslint .", "-"],
        ),
        (
            {"pnpm-lock.yaml": ""},
            {"dependencies": {"a": "1"}, "scripts": {"test": "vitest run"}},
            ["pnpm install --frozen-lockfile", "-", "pnpm test"],
        ),
        ({"yarn.lock": ""}, {"dependencies": {"a": "1"}}, ["yarn install --frozen-lockfile", "-", "-"]),
        (
            {"yarn.lock": ""},
            {"dependencies": {"a": "1"}, "packageManager": "yarn@4.5.0"},
            ["yarn install --immutable", "-", "-"],
        ),
        (
            {"tsconfig.json": ""},
            {"devDependencies": {"typescript": "5"}, "packageManager": "pnpm@9"},
            ["pnpm install --no-lockfile && pnpm exec tsc --noEmit", "-", "-"],
        ),
        ({}, {"devDependencies": {"a": "1"}}, ["npm install --no-package-lock", "-", "-"]),
        ({}, {"dependencies": {"a": "1"}, "packageManager": "yarn@4.5.0"}, ["yarn install", "-", "-"]),
        ({}, {"scripts": {"test": 'echo "Error: no test specified" && exit 1'}}, ["-", "-", "-"]),
    ],
)
def test_node(make: Make, files: Mapping[str, str], package: object, expected: list[str]) -> None:
    """The lock file tells the package manager, scripts the stages; npm's placeholder is no test."""
    found = propose(make({**files, "package.json": json.dumps(package)}))
    assert (found.template, found.backend, found.install) == ("node", "none", ())
    assert list(does(found).values()) == expected


def test_go_and_rust(make: Make, tmp_path: Path) -> None:
    """Their own tools serve, golangci-lint and rustfmt where they are set up."""
    assert does(propose(make({"go.mod": "module a\n"}))) == {
        "build": "go build -o /dev/null ./...",
        "lint": "go vet ./...",
        "test": "go test ./...",
    }
    assert does(propose(make({".golangci.yml": ""})))["lint"] == "golangci-lint run"
    (tmp_path / "go.mod").unlink()
    rust = propose(
        make({"Cargo.toml": "[workspace]\n", "Cargo.lock": "", ".github/workflows/a.yml": "run: cargo fmt\n"})
    )
    assert rust.template == "rust"
    assert does(rust) == {
        "build": "cargo build --workspace --locked",
        "lint": "cargo fmt --check && cargo clippy --workspace --all-targets --locked -- -D warnings",
        "test": "cargo test --workspace --locked",
    }


MAKEFILE = ".PHONY: all test\nVERSION := 1\nlint = x\nall build: main.c\n\tcc main.c\ntest:: build\n\t./run\n"


def test_make_alone_and_as_what_fills_gaps(make: Make) -> None:
    """Targets are found, variables and recipes are none; a makefile fills what the codebase's own files don't tell."""
    codebase = make({"Makefile": MAKEFILE})
    assert does(propose(codebase)) == {"build": "make build", "lint": "-", "test": "make test"}
    node = propose(make({"package.json": '{"scripts": {"build": "x"}}'}))
    assert node.template == "node"
    assert does(node) == {"build": "npm run build", "lint": "-", "test": "make test"}


def test_templates_by_name(make: Make) -> None:
    """A template that is named is taken, and told when nothing looks like it; what else it looks like is told."""
    codebase = make({"package.json": "{}", "pyproject.toml": '[project]\nname = "a"\n'})
    assert propose(codebase).template == "python"
    assert any("node too" in note for note in propose(codebase).remarks)
    assert propose(codebase, "node").template == "node"
    assert "nothing in the codebase looks like go" in propose(codebase, "go").remarks
    generic = propose(codebase, "generic")
    assert does(generic) == dict.fromkeys(("build", "lint", "test"), "-")


def test_the_option_takes_every_template() -> None:
    """``onboard --template`` allows the kinds that can be proposed, and no other."""
    (option,) = (option for option in COMMANDS["onboard"].options if option.name == "template")
    assert isinstance(option.read, OneOf)
    assert set(option.read.allowed) == set(TEMPLATES)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\udcff", '"x"', "[1]", '{"scripts": [1], "dependencies": 3}'])
def test_broken_files_are_reported_and_harm_nothing(tmp_path: Path, text: str) -> None:
    """A file that can't be read is as good as none; a proposal is made all the same."""
    (tmp_path / "package.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    (tmp_path / "pyproject.toml").write_bytes(b"[project\n")
    (tmp_path / "Makefile").mkdir()
    found = propose(Codebase(str(tmp_path)), "node")
    assert does(found) == dict.fromkeys(("build", "lint", "test"), "-")
    assert (
        text == '{"scripts": [1], "dependencies": 3}' or text in ('"x"', "[1]") or "package.json" in str(found.remarks)
    )


def test_the_example_codebases() -> None:
    """The examples of this repository are proposed what their own configs run, but for the format check."""
    python = propose(Codebase(str(REPOSITORY / "packages/hello-python")))
    assert python.install == ("-e", ".[dev]")
    assert list(does(python).values()) == [
        "python -m build --no-isolation",
        "ruff check --no-fix .",
        "python -m pytest --junitxml=junit.xml",
    ]
    node = propose(Codebase(str(REPOSITORY / "packages/hello-node")))
    assert list(does(node).values()) == ["npm run build", "npm run lint", "npm test"]
