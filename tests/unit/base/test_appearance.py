"""How text for people may look where it goes."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import termios
from collections.abc import Iterator

import pytest

from orchestrator.base.text.appearance import appearance, is_redrawable, is_terminal, screen_size, text_width
from tests.harness import REPOSITORY


@pytest.fixture
def terminal() -> Iterator[io.TextIOBase]:
    """Return a stream on a terminal of 44 columns and 10 lines."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream, os.fdopen(master, "rb", closefd=True):
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 44, 0, 0))
        yield stream


@pytest.mark.parametrize(
    ("columns", "width"),
    [("40", 40), ("250", 250), ("", 100), ("x", 100), ("0", 100), ("-5", 100), ("٤٠", 100), ("9" * 5000, 999999)],
)
def test_columns_say_how_wide_text_may_be(columns: str, width: int) -> None:
    """$COLUMNS is the width of text, whatever it goes to; nonsense in it is passed over."""
    assert text_width(io.StringIO(), {"COLUMNS": columns}) == width


def test_a_terminal_says_how_wide_text_may_be(terminal: io.TextIOWrapper) -> None:
    """Without $COLUMNS text is as wide as the terminal, and with it as wide as it says."""
    assert text_width(terminal, {}) == 44
    assert text_width(terminal, {"COLUMNS": "60"}) == 60
    assert appearance(terminal, {"TERM": "xterm"}) == (44, True)


def test_a_drawing_is_never_wider_than_its_terminal(terminal: io.TextIOWrapper) -> None:
    """What is drawn over keeps to the terminal's own columns, where $COLUMNS asks for more."""
    assert [screen_size(terminal, {"COLUMNS": asked}) for asked in ("30", "90", "")] == [(30, 10), (44, 10), (44, 10)]
    assert screen_size(io.StringIO(), {}) == (80, 24)


def test_what_is_a_terminal(terminal: io.TextIOWrapper) -> None:
    """A stream that is missing, closed or a file is no terminal; a dumb one can't be drawn over."""
    closed = io.StringIO()
    closed.close()
    assert [is_terminal(stream) for stream in (terminal, None, closed, io.StringIO())] == [True, False, False, False]
    assert is_redrawable(terminal, {"TERM": "xterm"})
    assert not is_redrawable(terminal, {"TERM": "dumb"})
    assert not is_redrawable(io.StringIO(), {"TERM": "xterm"})


def test_appearance_is_decided_in_one_place() -> None:
    """No other module asks whether a stream is a terminal, or reads what says how text may look."""
    questions = re.compile(r"\.isatty\(|get_terminal_size|\"(?:COLUMNS|NO_COLOR|FORCE_COLOR|TERM)\"")
    package = REPOSITORY / "orchestrator"
    asking = {str(path.relative_to(package)) for path in package.rglob("*.py") if questions.search(path.read_text())}
    assert asking == {"base/text/appearance.py"}
