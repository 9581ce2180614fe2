"""The lines of an output that say what failed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.failure_lines import GAP, cause_in, telling

ADVICE = [f"some advice, line {number}" for number in range(40)]


@pytest.mark.parametrize(
    "line",
    [
        "FAILED tests/test_a.py::test_b - assert 1 == 2",
        "E       assert 1 == 2",
        "____________ test_b ____________",
        "--- FAIL: TestCmp (0.00s)",
        "FAIL\texample.org/cmp\t0.1s",
        "FAIL    example.org/cmp 0.1s",
        "npm error code EUSAGE",
        "src/a.ts(3,1): error TS2304: Cannot find name 'x'.",
        "error[E0425]: cannot find value `x` in this scope",
        "make: *** [Makefile:2: build] Error 1",
        "LookupError: setuptools-scm was unable to detect version",
        "not ok 3 - adds",
    ],
)
def test_a_line_that_names_a_failure_is_among_them(line: str) -> None:
    """Far above the last lines too; where something was left out a mark stands."""
    for most in (20, 10):
        found = telling(["start", line, *ADVICE], most)
        assert line in found
        assert found[-1] == ADVICE[-1]
        assert GAP in found
        assert len(found) <= most


def test_an_output_without_such_lines_is_its_end() -> None:
    """Words in the middle of a line are no failure's name."""
    lines = ["0 errors, no Error: here", "error handling is fine", *ADVICE]
    assert telling(lines, 20) == ADVICE[-20:]


def test_the_first_and_the_last_failures_are_kept() -> None:
    """Of very many the first ones, which compilers' readers want, and the last, which summaries are."""
    lines = [f"FAILED test_{number}" for number in range(100)] + ADVICE
    found = telling(lines, 20)
    assert found[:5] == ["FAILED test_0", "FAILED test_1", "FAILED test_2", "FAILED test_3", GAP]
    assert "FAILED test_99" in found


@given(st.lists(st.sampled_from(["x", "FAILED a", "E   b", ""]), max_size=60))
def test_never_more_than_asked_and_in_order(lines: list[str]) -> None:
    """Whatever the output is, few lines are taken, in their order, and the last one is the output's."""
    numbered = [f"{line} {number}" for number, line in enumerate(lines)]
    found = [line for line in telling(numbered, 20) if line != GAP]
    assert len(telling(numbered, 20)) <= 20
    assert found == sorted(found, key=numbered.index)
    assert found[-1:] == numbered[-1:]


def test_the_cause_is_the_exception() -> None:
    """Of a build back end's output the exception is the cause, in one line, and not the advice after it."""
    lines = [
        "Traceback (most recent call last):",
        "LookupError: Error getting the version from source `vcs`:    setuptools-scm was unable to detect version",
        "",
        "      For more information, see: https://setuptools-scm.example.org/",
        "hint: This usually indicates a problem with the package",
    ]
    assert cause_in(lines) == (
        "LookupError: Error getting the version from source `vcs`: setuptools-scm was unable to detect version"
    )
