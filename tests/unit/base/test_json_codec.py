"""The compiled parts of ``json`` read, write and refuse what ``json`` does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base import json_codec

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)
OPTIONS = st.fixed_dictionaries(
    {
        "sort_keys": st.booleans(),
        "separators": st.sampled_from([None, (",", ":"), (" , ", " : ")]),
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 2]),
    }
)
BROKEN = (
    *("", " ", "{", "[1,]", '{"a":1} x', "\ufeff{}", '"\n"', "\x0c1", "nul", '{"a":1 "b"}', "[1" * 3, '"\\ud8', "01"),
    *(b"\xff", b"{]", b"\xef\xbb\xbf{", b"{\x00}\x00"),
)


def outcome(action: Callable[[], object]) -> object:
    """Return the result of an action, or what it raises."""
    try:
        return repr(action())
    except (ValueError, TypeError, RecursionError) as error:
        return type(error), str(error)


@given(VALUES, OPTIONS)
def test_values_are_written_as_json_writes_them(value: object, options: dict[str, object]) -> None:
    """Each option gives the same text."""
    assert json_codec.dumps(value, **options) == json.dumps(value, **options)  # type: ignore[arg-type]


@given(VALUES, st.sampled_from([None, 1]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-le", ""]))
def test_texts_are_read_as_json_reads_them(value: object, indent: int | None, encoding: str) -> None:
    """The same value comes of text and of bytes in every encoding of Unicode."""
    text = json.dumps(value, indent=indent)
    data = text.encode(encoding) if encoding else f" {text}\n"
    assert repr(json_codec.loads(data)) == repr(json.loads(data))


@given(st.text('{}[]",:truefalsn01.-e+\\ \n\x00\ufeff', max_size=12))
def test_no_text_is_read_otherwise(text: str) -> None:
    """What is refused, and with what words, is the same."""
    assert outcome(lambda: json_codec.loads(text)) == outcome(lambda: json.loads(text))


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_texts_are_refused_as_json_refuses_them(broken: str | bytes) -> None:
    """Text that is no JSON raises the same error."""
    assert outcome(lambda: json_codec.loads(broken)) == outcome(lambda: json.loads(broken))


@pytest.mark.parametrize("broken", ["[1,]", "nul", b"{]"])
def test_broken_texts_are_refused_before_json_is_loaded(broken: str | bytes) -> None:
    """The error is a ValueError also in a process that has not loaded ``json`` yet."""
    program = (
        "import sys\n"
        "from orchestrator.base import json_codec\n"
        "assert json_codec.loads('[1.5, null]') == [1.5, None] and 'json' not in sys.modules\n"
        f"try: json_codec.loads({broken!r})\n"
        "except ValueError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    with pytest.raises(ValueError, match=re.escape(said.strip())):
        json.loads(broken)


@pytest.mark.parametrize(
    "value",
    [{1: 2, None: 3, False: 4, 1.5: 5}, {"a": {2: []}}, (), (1, (2,)), [], {}, {"a": []}, [{}], {"b", 1}, object],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_odd_values_are_written_or_refused_as_by_json(value: object, indent: int | None) -> None:
    """Keys that are no text, tuples, empty containers and what JSON doesn't have."""
    written = outcome(lambda: json_codec.dumps(value, indent=indent))
    assert written == outcome(lambda: json.dumps(value, indent=indent))


def test_hooks_are_called() -> None:
    """Pairs and constants go to the given functions."""
    assert json_codec.loads('{"a": NaN, "a": 1}', object_pairs_hook=list, parse_constant=str) == [
        ("a", "NaN"),
        ("a", 1),
    ]


def test_what_json_does_not_have_is_given_to_default() -> None:
    """``default`` makes something of it, with and without indentation."""
    for indent in (None, 2):
        value = [{1, 2}, {"a": {3}}]
        assert json_codec.dumps(value, indent=indent, default=list) == json.dumps(value, indent=indent, default=list)


def test_a_value_that_holds_itself_is_refused() -> None:
    """A circle raises ValueError, as from ``json``."""
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        json_codec.dumps(circle)


def test_the_encoder_is_the_writer_with_its_options() -> None:
    """What is made once writes as each call does."""
    write = json_codec.encoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert write({"b": "é", "a": 1}) == '{"a":1,"b":"é"}'
