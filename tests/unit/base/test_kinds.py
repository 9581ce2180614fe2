"""A record is read from JSON by the annotations of its class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.json_values import plain
from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record

if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

Word: TypeAlias = "Literal['one', 'two']"


class Inner(Record):
    """A record inside another."""

    name: str
    word: Word | None
    numbers: tuple[int, ...] = ()


class Outer(Record):
    """A record of every form that a key may have."""

    at: Moment
    count: Count  # type: ignore[assignment]  # hides tuple.count
    share: float | None
    good: bool
    inner: Inner
    others: tuple[Inner, ...]
    texts: Mapping[str, str]
    version: Literal[2] = 2
    anything: Any = None


GOOD: dict[str, Any] = {
    "at": "2026-11-22T08:43:05.720Z",
    "count": 3,
    "share": 0.5,
    "good": True,
    "inner": {"name": "a", "word": "one"},
    "others": [{"name": "b", "word": None, "numbers": [1, 2]}],
    "texts": {"k": "v"},
    "unknown": 1,
}

INNER = st.builds(Inner, st.text(), st.sampled_from(["one", "two", None]), st.lists(st.integers(-9, 9)).map(tuple))
OUTER = st.builds(
    Outer,
    st.just(GOOD["at"]),
    st.integers(0, 1 << 40),
    st.none() | st.floats(-1e6, 1e6),
    st.booleans(),
    INNER,
    st.lists(INNER, max_size=3).map(tuple),
    st.dictionaries(st.text(), st.text(), max_size=3),
)


@given(OUTER)
def test_what_is_written_is_read_again(value: Outer) -> None:
    """A record survives JSON, whatever its values."""
    assert Outer.from_json(json.loads(json.dumps(plain(value)))) == value


def test_unknown_keys_are_passed_over_and_missing_ones_take_their_default() -> None:
    """A newer record can be read, an older one too; where both must fit, an unknown key is refused."""
    read = Outer.from_json(GOOD)
    assert (read.version, read.anything, read.inner.numbers, read.others[0].numbers) == (2, None, (), (1, 2))
    with pytest.raises(DamagedRecord, match="unknown"):
        Outer.from_json(GOOD, exact=True)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("at",), "yesterday", "the record's 'at' should be a moment"),
        (("at",), "2026-11-22T08:43:05.720", "'at' should be a moment in ISO 8601 with its time zone"),
        (("count",), -1, "'count' should be a whole number from 0, and is '-1'"),
        (("count",), True, "'count' should be a whole number from 0, and is bool"),
        (("share",), "x", "'share' should be a number or null, and is 'x'"),
        (("share",), float("inf"), "out of range"),
        (("good",), 1, "'good' should be true or false"),
        (("inner",), None, "'inner' should be an object, and is nothing"),
        (("inner", "word"), "three", "'inner.word' should be one of one, two or null, and is 'three'"),
        (("others",), {}, "'others' should be a list, and is dict"),
        (("others", 0, "numbers"), [1, "2"], "'others.0.numbers.1' should be a whole number"),
        (("texts",), {"k": 1}, "'texts.k' should be text"),
        (("version",), 3, "'version' should be one of 2"),
        (("version",), True, "'version' should be one of 2"),
    ],
)
def test_the_key_that_is_wrong_is_named(keys: tuple[str | int, ...], value: object, message: str) -> None:
    """The error names the place, what belongs there and what stands there."""
    document = json.loads(json.dumps(GOOD))
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(DamagedRecord) as error:
        Outer.from_json(document)
    assert message in error.value.message


def test_a_missing_key_is_named() -> None:
    """A key without a default must be there; a lenient reader takes null or an empty list where that is allowed."""
    with pytest.raises(DamagedRecord, match=r"has no 'others\.0\.word', which should be one of one, two or null"):
        Outer.from_json({**GOOD, "others": [{"name": "b"}]})
    lenient = {key: value for key, value in GOOD.items() if key not in ("share", "others")}
    read = Outer.from_json(lenient, lenient=True)
    assert (read.share, read.others) == (None, ())
    with pytest.raises(DamagedRecord, match="has no 'at'"):
        Outer.from_json({key: value for key, value in GOOD.items() if key != "at"}, lenient=True)
