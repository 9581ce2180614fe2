"""Inputs and outputs mean the files that a user of turbo or ruff would expect."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.globs import Root, _path_translated, _plain_match, path_fault, paths


@pytest.mark.parametrize(
    ("glob", "path", "meant"),
    [
        ("src/**", "src/a.py", True),
        ("src/**", "src/a/b/c.py", True),
        ("src/**", "srcs/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/a/b.py", True),
        ("src/**/*.py", "src/a/b.pyc", False),
        ("**/x/y", "x/y", True),
        ("**/x/y", "a/b/x/y", True),
        ("**", "any/thing", True),
        ("*.toml", "a.toml", True),
        ("*.toml", "sub/a.toml", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].txt", "a.txt", True),
        ("[!ab].txt", "a.txt", False),
        ("[!ab].txt", "c.txt", True),
        ("x[!a]y", "x/y", False),
        (r"\[id\]/*.ts", "[id]/a.ts", True),
        ("src", "src", True),
        ("src/", "src/deep/a.py", True),
        ("./src/a.py", "src/a.py", True),
        (".", "any/thing", True),
        ("a+(b).txt", "a+(b).txt", True),
        ("../shared/*.md", "../shared/a.md", True),
    ],
)
def test_a_glob_means_these_files(glob: str, path: str, meant: bool) -> None:
    """Wildcards stay within a folder but for ``**``; a plain name of a folder means all that is in it."""
    assert paths((glob,)).match(path) is meant


def test_an_exclamation_mark_takes_files_out() -> None:
    """What a glob behind ``!`` means is not meant, wherever that glob stands in the list."""
    patterns = paths(("!src/**/*.md", "src/**"))
    assert patterns.match("src/a.py")
    assert not patterns.match("src/docs/a.md")


def test_no_glob_means_no_file() -> None:
    """An empty list, and one that only takes files out, mean nothing."""
    assert not paths(()).match("a")
    assert not paths(("!b",)).match("a")


def test_only_folders_that_can_hold_a_match_are_searched() -> None:
    """The roots are the parts before the first wildcard, with the levels below them that can match."""
    patterns = paths(("src/**", "docs/*/x.md", "*.toml", "README.md"))
    assert set(patterns.roots) == {Root("src", None), Root("docs", 1), Root(".", 0), Root("README.md", None)}


@pytest.mark.parametrize("pattern", ["[z-a]", "[", "a\\", "", "!", " ", "*" * 20])
def test_a_pattern_that_is_none_is_refused_in_words(pattern: str) -> None:
    """What can't be meant is named, whatever the regular expression behind it would say."""
    assert path_fault(pattern)


@given(st.text(alphabet="ab*?[]!^-/\\.", max_size=12), st.text(alphabet="ab/.", max_size=12))
def test_a_pattern_without_a_fault_can_be_used(pattern: str, path: str) -> None:
    """Whatever text is given, it is refused in words or it matches without an error."""
    if path_fault(pattern) is None:
        paths((pattern,)).match(path)


_PARTS = st.lists(st.sampled_from(["a", "b", "ab", "a.b", "**", "*", "?", "a*", "[ab]"]), min_size=1, max_size=4)
_PATHS = st.lists(st.sampled_from(["a", "b", "ab", "a.b", "abc"]), min_size=1, max_size=4)


@given(_PARTS, _PATHS)
def test_globs_agree_with_a_plain_matcher(glob: list[str], path: list[str]) -> None:
    """For any glob and path the expression says what a matcher says that goes part by part."""
    assert paths(("/".join(glob),)).match("/".join(path)) is plainly(glob, path)


@given(_PARTS, _PATHS)
def test_plain_forms_match_as_their_expressions(glob: list[str], path: list[str]) -> None:
    """A pattern that is matched without ``re`` means what its expression would."""
    pattern, place = "/".join(glob), "/".join(path)
    match = _plain_match(pattern)
    if match is not None:
        assert bool(match(place)) is (re.fullmatch(_path_translated(pattern), place, re.S) is not None)


@pytest.mark.parametrize(
    "pattern", ["src", ".", "src/**", "**", "*", "dist/*", "*.py", "src/*.py", "**/*.py", "a/b/**/*.c"]
)
def test_usual_forms_are_plain(pattern: str) -> None:
    """The forms of nearly all configs need no expression."""
    assert _plain_match(pattern) is not None


def plainly(glob: list[str], path: list[str]) -> bool:
    """Match part by part, as the documentation says it."""
    from fnmatch import fnmatchcase

    if not any(sign in part for part in glob for sign in "*?["):
        return path[: len(glob)] == glob
    if glob == ["**"]:
        return len(path) > 0
    if not glob or not path:
        return not glob and not path
    if glob[0] == "**":
        return plainly_below(glob[1:], path)
    return fnmatchcase(path[0], glob[0]) and rest(glob[1:], path[1:])


def rest(glob: list[str], path: list[str]) -> bool:
    """Match what is left behind a part that matched: no wildcard need stand in it any more."""
    if not glob or not path:
        return not glob and not path
    if glob == ["**"]:
        return True
    if glob[0] == "**":
        return plainly_below(glob[1:], path)
    from fnmatch import fnmatchcase

    return fnmatchcase(path[0], glob[0]) and rest(glob[1:], path[1:])


def plainly_below(glob: list[str], path: list[str]) -> bool:
    """Match behind a ``**``, which stands for any number of folders."""
    return any(rest(glob, path[index:]) for index in range(len(path)))
