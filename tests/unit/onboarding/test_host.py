"""What a machine lacks for a proposal: programs, Node's version, and folders that others will not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.checks.stage_programs import missing_programs, words_of
from orchestrator.onboarding.detect import propose
from orchestrator.onboarding.host import Host, embedded_warning, host_warnings
from orchestrator.onboarding.node_engines import fits
from tests.unit.onboarding.conftest import Make


def test_programs_that_are_not_on_path(tmp_path: Path) -> None:
    """Each with its stages; a tool that the session may bring, and a word that is no command, are none."""
    stages = [
        ("build", "CI=1 pnpm install && pnpm run build"),
        ("test", "pnpm test; echo go"),
        ("lint", "ruff check ."),
    ]
    assert words_of(missing_programs(stages, str(tmp_path))) == [
        "pnpm is not on PATH: build, test end with exit code 127"
    ]
    (tmp_path / "pnpm").write_text("")
    (tmp_path / "pnpm").chmod(0o755)
    assert missing_programs(stages, str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("v20.20.2", ">=22.12.0", False),
        ("v20.20.2", ">=18 <21", True),
        ("v20.20.2", "^18 || >=20", True),
        ("v20.20.2", "^18.0.0", False),
        ("v20.20.2", "20.x", True),
        ("v20.20.2", ">= 0.4", True),
        ("v20.20.2", "~20.19.0", False),
        ("v20.20.2", "<=20", True),
        ("v20.20.2", ">20", False),
        ("v20.20.2", "16 || 18", False),
        ("v20.20.2", "lts/*", True),
        ("nightly", ">=99", True),
    ],
)
def test_ranges_of_node(version: str, wanted: str, expected: bool) -> None:
    """Npm's usual ranges; one that is not understood holds."""
    assert fits(version, wanted) is expected


def test_what_a_node_codebase_lacks(make: Make, tmp_path: Path) -> None:
    """The missing package manager and the wrong Node are warnings."""
    package = '{"packageManager": "pnpm@11", "dependencies": {"a": "1"}, "engines": {"node": ">=22"}}'
    codebase = make({"package.json": package})
    found = host_warnings(codebase, propose(codebase), Host(str(tmp_path / "bin"), "v20.1.0"))
    assert found == [
        "pnpm is not on PATH: build ends with exit code 127",
        "package.json asks for node >=22, and v20.1.0 is on PATH",
    ]


def test_a_repository_inside_a_repository(tmp_path: Path) -> None:
    """A clone below the workspace's repository is warned of; a submodule, and a folder outside, are not."""
    (tmp_path / "ws/.git").mkdir(parents=True)
    (tmp_path / "ws/packages/a/.git").mkdir(parents=True)
    (tmp_path / "ws/packages/b").mkdir()
    (tmp_path / "ws/packages/b/.git").write_text("gitdir: x")
    (tmp_path / "c/.git").mkdir(parents=True)
    root = str(tmp_path / "ws")
    assert "repository of its own" in str(embedded_warning(root, "packages/a"))
    assert [embedded_warning(root, path) for path in ("packages/b", "../c", ".")] == [None, None, None]
