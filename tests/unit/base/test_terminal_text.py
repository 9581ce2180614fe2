"""What reaches a terminal and what does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.base.text.appearance import wants_color
from orchestrator.base.text.safe_text import RESET, safe_text
from orchestrator.base.text.terminal_filter import TerminalFilter
from tests.generated import in_ci


def shown(data: bytes, *, color: bool = True) -> bytes:
    """Return what a terminal gets of ``data`` that comes at once."""
    screen = TerminalFilter(color=color)
    return screen.feed(data) + screen.flush()


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain – ünïcode 🙂", "plain – ünïcode 🙂"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b1m \x7f", "\\x9b1m \\x7f"),
        ("abc\u202etxt\u2066\u200f\u061c", "abc\\u202etxt\\u2066\\u200f\\u061c"),
        ("\udc80\u2028", "\\udc80\\u2028"),
        ("ann\u200b\U000e0041 \u00ad\ufeff\u115f", "ann\\u200b\\U000e0041 \\xad\\ufeff\\u115f"),
        ("e" + "\u0301" * 5000 + "!", "e" + "\u0301" * 8 + "!"),
        ("👩\u200d💻 ❤\ufe0f", "👩\u200d💻 ❤\ufe0f"),
    ],
)
def test_safe_text(text: str, safe: str) -> None:
    """Ids, titles and reasons show what could steer a terminal as visible escapes."""
    assert safe_text(text) == safe


def test_safe_text_of_lines() -> None:
    """With ``lines``, newlines and tabs stay, and nothing else does."""
    assert safe_text("a\n\tb\r\x1b", lines=True) == "a\n\tb\\r\\x1b"


def test_what_takes_no_place_is_not_shown() -> None:
    """Zero width spaces and tags are dropped, and of thousands of combining marks eight stay, however they are cut."""
    data = ("a\u200bb\U000e0041\ufeffc e" + "\u0301" * 5000 + "\n👩\u200d💻 e\u0301").encode()
    wanted = ("abc e" + "\u0301" * 8 + "\n👩\u200d💻 e\u0301").encode()
    for size in (1, 2, 7, len(data)):
        screen = TerminalFilter()
        parts = [screen.feed(data[at : at + size]) for at in range(0, len(data), size)]
        assert b"".join([*parts, screen.flush()]) == wanted


@given(st.text())
def test_safe_text_is_safe(text: str) -> None:
    """No control character or bidirectional control is left of any text, and it can be encoded."""
    assert not re.search("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", safe_text(text))
    assert safe_text(text).encode().decode() == safe_text(text)


@pytest.mark.parametrize(
    ("environ", "is_tty", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "3"}, True, True),
    ],
)
def test_wants_color(environ: dict[str, str], is_tty: bool, wanted: bool) -> None:
    """NO_COLOR wins over FORCE_COLOR, that over TERM=dumb, and otherwise a terminal gets colour."""
    assert wants_color(environ, is_tty=is_tty) is wanted


@pytest.mark.parametrize(
    ("data", "safe"),
    [
        (b"text\twith\nlines", b"text\twith\nlines"),
        ("ünïcode – 🙂 👩‍💻\n".encode(), "ünïcode – 🙂 👩‍💻\n".encode()),
        (
            b"\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mx\x1b[4:3my\x1b[m",
            b"\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mx\x1b[4:3my\x1b[m",
        ),
        (b"a\x1b[2J\x1b[1;1H\x1b[?25l\x1b[3Ab", b"ab"),
        (b"a\x1b[>4;2mb\x1b[0 qc", b"abc"),
        (b"a\x1b]0;title\x07b\x1b]2;title\x1b\\c", b"abc"),
        (b"a\x1b]52;c;QUJD\x07b", b"ab"),
        (b"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", b"alinkb"),
        (b"a\x1bP1;2|data\x1b\\b\x1b_apc\x1b\\c\x1b^pm\x1b\\d\x1bXsos\x1b\\e", b"abcde"),
        (b"a\x1bcb\x1b(Bc\x1b#8d\x1b7e\x1b8f", b"abcdef"),
        (b"a\x07b\x08c\x0bd\x0ce\x0ef\x0fg\x00h\x7fi", b"abcdefghi"),
        (b"\xc2\x9b2Jx\xc2\x9d0;t", b"2Jx0;t"),
        (b"\x9b2Jx", "\ufffd2Jx".encode()),
        (b"\xc2\x1b[A\x9b2J", "\ufffd\ufffd2J".encode()),
        ("a\u202eb\u2066c\u200ed\u061c".encode(), b"abcd"),
        (b"one\r\ntwo\r\r\nthree\rfour", b"one\ntwo\nthree\nfour"),
        (b"end\r", b"end\n"),
        (b"\x1b]0;never ended\nnext", b"\nnext"),
        (b"\x1b[" + b"1;" * 60 + b"mx", b"x"),
        (b"\x1b[31", b""),
        (b"\xe2\x80", "\ufffd".encode()),
        (b"x\x1b", b"x"),
    ],
)
def test_filter(data: bytes, safe: bytes) -> None:
    """Text, newlines, tabs and colours are shown; every other sequence and control is not."""
    assert shown(data) == safe


def test_no_color() -> None:
    """Without colour, colour sequences are dropped too, in lines of ASCII and of other text."""
    assert shown("\x1b[31mred\x1b[0m\n\x1b[1mü\x1b[m\n".encode(), color=False) == "red\nü\n".encode()


def test_partial_lines_come_out() -> None:
    """A prompt without a newline is shown at once; only an unfinished sequence waits."""
    screen = TerminalFilter()
    assert screen.feed(b"Continue? ") == b"Continue? "
    assert screen.feed(b"yes\x1b[3") == b"yes"
    assert screen.feed(b"1mred") == b"\x1b[31mred"


def test_reset() -> None:
    """A colour that was left on is known, and its reset is asked for once."""
    screen = TerminalFilter()
    screen.feed(b"\x1b[31mred\n")
    assert screen.reset_if_needed() == RESET
    assert screen.reset_if_needed() == b""
    screen.feed(b"\x1b[31mred\x1b[0m\n")
    assert screen.reset_if_needed() == b""


def test_bounded_memory() -> None:
    """A title, picture or sequence without an end holds nothing back."""
    for begin in (b"\x1b]0;", b"\x1bP", b"\x1b[1"):
        screen = TerminalFilter()
        screen.feed(begin)
        for _ in range(50):
            assert screen.feed(b"1" * 1000) == b""
        assert len(screen._held) < 100
        assert screen.feed(b"\ntext") == "\ufffd\ntext".encode()


def test_harmless_output_passes_as_filtered_output_does() -> None:
    """A whole line, which passes as it is where nothing in it needs filtering, comes out as one cut in a character."""
    code_points = (*range(0x80, 0x3200), *range(0xFB00, 0x10000), 0x1F642, *range(0xE0000, 0xE0200))
    differ = []
    for character in map(chr, code_points[:: 1 if in_ci() else 10]):
        line = f"a{character}b\n".encode()
        whole, cut = TerminalFilter(), TerminalFilter()
        if whole.feed(line) != cut.feed(line[:2]) + cut.feed(line[2:]):
            differ.append(character)
    assert differ == []


PIECE = st.one_of(
    st.sampled_from(
        [
            b"\x1b",
            b"[",
            b"]",
            b"31",
            b"m",
            b"J",
            b";",
            b"\r",
            b"\n",
            b"\x07",
            b"\\",
            b"\xc2",
            b"\x9b",
            b"\xe2\x80",
            b"\xae",
        ]
    ),
    st.sampled_from(
        [b"\x1b[31m", b"\x1b[0m", b"\x1b]0;t", b"\x1bP", b"word ", "ü–🙂".encode(), b"1" * 70, b"\x1b[" + b"1" * 70]
    ),
    st.binary(max_size=3),
)


@given(st.lists(PIECE, max_size=25), st.booleans())
@example([b"\x1b[31m", b"\xc2", b"\x1b[0m", b"\x9b"], True)
@example([b"\x1b[" + b"1" * 70, b" ", b"31"], False)
@example([b"\x1b", b"]", b"\r"], False)
def test_any_split(pieces: list[bytes], color: bool) -> None:
    """However the stream is cut, the same is shown: valid UTF-8 without controls other than colours."""
    data = b"".join(pieces)
    outputs = {shown(data, color=color)}
    for parts in (pieces, [data[at : at + 1] for at in range(len(data))]):
        screen = TerminalFilter(color=color)
        outputs.add(b"".join([*(screen.feed(part) for part in parts), screen.flush()]))
    assert len(outputs) == 1
    text = outputs.pop().decode()
    bare = re.sub(r"\x1b\[[0-9;:]*m", "", text) if color else text
    assert safe_text(bare, lines=True).replace("\\u2028", "").replace("\\u2029", "") == bare.replace(
        "\u2028", ""
    ).replace("\u2029", "")
