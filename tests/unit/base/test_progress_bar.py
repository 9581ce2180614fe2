"""Progress: nothing of what is short, a bar in a terminal, lines without one, nothing for programs."""

from __future__ import annotations

import io

import pytest

from orchestrator.base.text.progress_bar import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def shown(stream: io.StringIO | None, seconds: float, term: str = "xterm", total: int | None = 100) -> str:
    """Return what is shown of a hundred things that take so many seconds together."""
    now = [0.0]
    with Progress(stream, {"TERM": term}, "verify: runs", total, lambda: now[0]) as bar:
        for _ in range(100):
            now[0] += seconds / 100
            bar.tick()
    return "" if stream is None else stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_what_is_short_says_nothing(stream: type[io.StringIO]) -> None:
    """Two seconds are nothing to be shown."""
    assert shown(stream(), 1.9) == ""


def test_a_terminal_gets_a_bar_that_is_taken_back() -> None:
    """Drawn over itself, never a new line, and gone at the end."""
    text = shown(Terminal(), 10)
    assert "verify: runs [######........................] 20 of 100" in text
    assert "\n" not in text
    assert text.endswith("\r\x1b[K")


def test_lines_without_a_terminal() -> None:
    """Also on a dumb one: a line at first, then one each ten seconds, without control characters."""
    for stream, term in ((io.StringIO(), "xterm"), (Terminal(), "dumb")):
        assert shown(stream, 25, term).splitlines() == [
            "verify: runs: 8 of 100",
            "verify: runs: 48 of 100",
            "verify: runs: 88 of 100",
        ]


def test_a_number_that_nobody_knows() -> None:
    """Without a total there is a count."""
    assert shown(io.StringIO(), 5, total=None) == "verify: runs: 40\n"


def test_programs_get_nothing() -> None:
    """Without a stream nothing is written, and a closed one stops nobody."""
    assert shown(None, 60) == ""
    stream = io.StringIO()
    with Progress(stream, {}, "x", 3, iter(range(0, 100, 5)).__next__) as bar:
        stream.close()
        bar.tick()
        bar.at(3)
