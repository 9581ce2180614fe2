"""Canonical JSON is RFC 8785's, whichever way it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.canonical import CanonicalReader, canonical, canonical_digest, digest_of
from orchestrator.base.errors import DamagedRecord

NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
ROUNDED = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
SCALARS = st.none() | st.booleans() | st.text(st.characters(codec="utf-8")) | NUMBERS | ROUNDED
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_it_is_the_librarys(value: Any) -> None:
    """Python's own encoder is used only where it writes the same bytes as the library."""
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_a_reformatted_document_has_the_same_digest(value: Any) -> None:
    """Order of keys, spaces, escapes and whole numbers written as 5.0 or 5 change nothing."""
    for text in (json.dumps(value, indent=4), json.dumps(value, ensure_ascii=False)):
        assert canonical_digest(json.loads(text)) == canonical_digest(value)
    assert canonical_digest({"a": 5.0, "b": -0.0}) == canonical_digest({"b": 0, "a": 5})


def test_the_example_of_the_rfc() -> None:
    """RFC 8785, section 3.2.2 to 3.2.4: the sample input becomes the sample output."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }
    assert canonical(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_what_has_no_canonical_form_is_refused() -> None:
    """Whole numbers that a double can't hold, and infinity, are refused; lone surrogates count as U+FFFD."""
    for value in (2**53, [float("inf")]):
        with pytest.raises(DamagedRecord, match="RFC 8785"):
            canonical({"n": value})
    assert canonical({"\udc80": "a\udcffb"}) == '{"\ufffd":"a\ufffdb"}'.encode()


def test_the_first_form_stays() -> None:
    """Digests of older records are those that were written then."""
    text = '{"a":["ä",null],"b":1.0}'
    assert digest_of({"b": 1.0, "a": ["ä", None]}) == hashlib.sha256(text.encode()).hexdigest()
    assert digest_of({"b": 1.0}) != digest_of({"b": 1})


@given(VALUES, st.sampled_from(["{}", '[{{"a": {}, "b": 5.0}}]', "{} 1", "{}NaN", "[{}]]"]))
def test_a_text_is_read_and_written_at_once_as_one_after_the_other(value: Any, around: str) -> None:
    """The value, its canonical form, and what is raised, are those of ``json.loads`` and ``canonical``."""
    text = around.format(json.dumps(value))

    def refused(name: str) -> Any:
        raise ValueError(name)

    def outcome(action: Callable[[], tuple[Any, str]]) -> object:
        try:
            return repr(action())
        except (ValueError, DamagedRecord) as error:
            return type(error), str(error)

    def one_after_the_other() -> tuple[Any, str]:
        found = json.loads(text, parse_constant=refused)
        return found, canonical(found).decode()

    assert outcome(lambda: CanonicalReader(dict, refused).read(text)) == outcome(one_after_the_other)
