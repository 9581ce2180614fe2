"""What the record keeps of a stage's output."""

from __future__ import annotations

from orchestrator.base.redaction import Redactor
from orchestrator.runner.error_files import SHOWN_COLUMNS, SHOWN_LINES, last_lines


def test_last_lines_are_plain_and_few() -> None:
    """Colours and cursor movements are gone, a progress bar's states are lines, long output is cut."""
    assert last_lines("a\n\x1b[32mok\x1b[0m \x1b[2Jb\n\n", str) == ["a", "ok b"]
    assert last_lines("10%\r20%\rdone\n", str)[-1] == "done"
    assert last_lines("\n".join(str(number) for number in range(100)), str)[0] == str(100 - SHOWN_LINES)
    assert last_lines("x" * 9999, str) == ["x" * SHOWN_COLUMNS]
    assert last_lines("FAIL\ta\t0.1s\n", str) == ["FAIL    a       0.1s"]
    assert last_lines("", str) == []


def test_tabs_are_columns() -> None:
    """A tab is shown as what a terminal makes of it, as go's table of packages has them."""
    assert last_lines("FAIL\texample.org/cmp\t0.1s\n", str) == ["FAIL    example.org/cmp 0.1s"]


def test_what_is_made_safe_is_masked_then() -> None:
    """No secret comes together where something unprintable was dropped, however long that was."""
    apart = "Tr0\x1b]0;" + "t" * 5000 + "\x07ub4dor"
    redactor = Redactor(["Tr0ub4dor"])
    assert "ub4dor" in redactor.text(apart)
    assert last_lines(f"a {apart} b", redactor.text) == ["a Tr0\ufffdub4dor b"]
    assert last_lines("a Tr0\x1b[31mub4dor b", redactor.text) == ["a *** b"]
