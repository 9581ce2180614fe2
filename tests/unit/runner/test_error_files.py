"""What the record keeps of a stage's output."""

from __future__ import annotations

from orchestrator.runner.error_files import SHOWN_COLUMNS, SHOWN_LINES, last_lines


def test_last_lines_are_plain_and_few() -> None:
    """Colours and cursor movements are gone, a progress bar's states are lines, long output is cut."""
    assert last_lines("a\n\x1b[32mok\x1b[0m \x1b[2Jb\n\n") == ["a", "ok b"]
    assert last_lines("10%\r20%\rdone\n")[-1] == "done"
    assert last_lines("\n".join(str(number) for number in range(100)))[0] == str(100 - SHOWN_LINES)
    assert last_lines("x" * 9999) == ["x" * SHOWN_COLUMNS]
    assert last_lines("") == []
