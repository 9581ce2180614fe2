"""Reports in JUnit form are proposed where the codebase's own test runner can write them."""

from __future__ import annotations

import json

import pytest

from orchestrator.onboarding.detect import propose
from orchestrator.onboarding.proposal import is_inside
from tests.unit.onboarding.conftest import Make

PYTHON = {"pyproject.toml": '[project]\nname = "a"\n', "tests/test_a.py": "import pytest\n"}


def reported(files: dict[str, str], make: Make) -> tuple[object, object]:
    """Return what the test stage of a codebase runs, and its reports."""
    (stage,) = (stage for stage in propose(make(files)).diagnostics.stages if stage.id == "test")
    return stage.does, stage.keys.get("reports")


@pytest.mark.parametrize(
    ("addopts", "added", "reports"),
    [
        ("-q", " --junitxml=junit.xml", ["junit.xml"]),
        ("--junitxml=out/a.xml", "", ["out/a.xml"]),
        ("--junit-xml b.xml", "", ["b.xml"]),
        ("-p no:junitxml", "", None),
        ("--junitxml=/tmp/a.xml", "", None),
        ("--junitxml=$X/a.xml", "", None),
    ],
)
def test_pytest(addopts: str, added: str, reports: list[str] | None, make: Make) -> None:
    """Its own option is added; the codebase's own name stands, and reports that it switches off stay off."""
    files = {**PYTHON, "pytest.ini": f"[pytest]\naddopts = {addopts}\n"}
    assert reported(files, make) == (f"python -m pytest{added}", reports)


JEST = {"scripts": {"test": "jest --ci"}, "devDependencies": {"jest": "1", "jest-junit": "1"}}
CALLED = "npm test -- --reporters=default --reporters=jest-junit"


@pytest.mark.parametrize(
    ("change", "files", "line", "reports"),
    [
        ({}, {}, CALLED, ["junit.xml"]),
        ({}, {"yarn.lock": ""}, CALLED.replace("npm test --", "yarn test"), ["junit.xml"]),
        (
            {"jest": {"reporters": ["jest-junit"]}, "jest-junit": {"outputDirectory": "./out"}},
            {},
            "npm test",
            ["out/junit.xml"],
        ),
        ({}, {"jest.config.js": "reporters: ['jest-junit']"}, "npm test", ["junit.xml"]),
        ({"jest-junit": {"outputDirectory": "../out"}}, {}, "npm test", None),
        ({"scripts": {"test": "build && jest"}}, {}, "npm test", None),
        ({"devDependencies": {"jest": "1"}}, {}, "npm test", None),
    ],
)
def test_jest(
    change: dict[str, object], files: dict[str, str], line: str, reports: list[str] | None, make: Make
) -> None:
    """What jest-junit is configured to write is taken, and it is called where it is only there."""
    found = reported({"package.json": json.dumps({**JEST, **change}), **files}, make)
    assert found == (line, reports)


TOOL = "go tool gotestsum --junitfile junit.xml -- ./..."


@pytest.mark.parametrize(
    ("module", "tools", "line"),
    [
        ("tool gotest.tools/gotestsum\n", "", TOOL),
        ("tool (\n\tother.example/x\n\tgotest.tools/gotestsum\n)\n", "", TOOL),
        ("", 'import _ "gotest.tools/gotestsum"\n', TOOL.replace("tool gotestsum", "run gotest.tools/gotestsum")),
        ("require (\n\tgotest.tools/gotestsum v1.2.3 // indirect\n)\n", "", "go test ./..."),
    ],
)
def test_gotestsum(module: str, tools: str, line: str, make: Make) -> None:
    """It is called where it is a tool of the module, and go's own test else."""
    reports = None if line == "go test ./..." else ["junit.xml"]
    assert reported({"go.mod": f"module m\n{module}", "tools.go": tools}, make) == (line, reports)


@pytest.mark.parametrize("path", ["", "/a", "~/a", "a/../../b", "..", "$X/a", "a*", "{a}", "%d", "!a"])
def test_what_is_no_path_inside(path: str) -> None:
    """What leads out, or may, and what a pattern would mean otherwise, is no report."""
    assert not is_inside(path)
    assert is_inside("out/a b.xml")
