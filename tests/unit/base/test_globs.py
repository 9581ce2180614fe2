"""Patterns of paths, against git's own reading of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.globs import Globs, fault
from tests.harness import clean_environ

PATTERNS = (
    *("*", "*.py", "a", "a/", "/a", "/a/", "a/b", "/a/*", "a/**", "**/b", "a/**/c", "**", "/**/c.py", "a*", "?", "a?c"),
    *(
        "[a-c]",
        "[!a]",
        "[^a]",
        "[]a]",
        "a/[b]",
        "\\\\*",
        "a\\?",
        "src/*.py",
        "dist/*",
        "**/d/**",
        "a**c",
        "x y",
        "ü*",
    ),
)
PATHS = (
    *(
        "a",
        "b",
        "d",
        "*",
        "?",
        "]",
        "a?",
        "a.py",
        "a/b",
        "a/c",
        "a/b/c",
        "a/b/d/c",
        "b/a",
        "b/a/c",
        "abc",
        "aXc/z",
        "x y/a",
    ),
    *("src/x.py", "src/deep/x.py", "dist/a.whl", "x/dist/a.whl", "c/d/e/f", "üb/ß.py", "new\nline/a", "d/c.py", "-a"),
)


def test_patterns_mean_what_they_mean_to_git(tmp_path: Path, home: Path) -> None:
    """For each pattern, exactly those files match that git would ignore by it."""
    environ = clean_environ(home)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, env=environ, check=True)
    fed = "\0".join(PATHS).encode()
    for pattern in PATTERNS:
        (tmp_path / ".gitignore").write_text(f"{pattern}\n", encoding="utf-8")
        command = ["git", "check-ignore", "--no-index", "-z", "--stdin"]
        done = subprocess.run(command, cwd=tmp_path, env=environ, input=fed, stdout=-1, check=False)
        ignored = {name for name in done.stdout.decode().split("\0") if name}
        assert {path for path in PATHS if Globs([pattern]).match(path)} == ignored, pattern


@pytest.mark.parametrize(
    ("patterns", "starts"),
    [
        (("tasks/specs/**", "tasks/index.json"), ("tasks",)),
        (("a/b/*.md", "c/d"), ("a/b", "c")),
        (("*.md", "a/b"), ("",)),
        (("/a",), ("",)),
        (("a[b]/c",), ("",)),
    ],
)
def test_where_matches_can_lie(patterns: tuple[str, ...], starts: tuple[str, ...]) -> None:
    """The folders to look in are the least that hold every match."""
    assert Globs(patterns).starts() == starts


@given(st.text(alphabet="ab*?[]!^-/\\\\.", max_size=12), st.text(alphabet="ab/.", max_size=12))
def test_a_pattern_without_a_fault_can_be_used(pattern: str, path: str) -> None:
    """Whatever text is given, it is refused in words or it matches without an error."""
    if fault(pattern) is None:
        Globs([pattern]).match(path)
