"""A record behaves as a named tuple of ``typing`` does."""

from __future__ import annotations

import copy
import inspect
import pickle
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.record import Record


class Light(Record):
    """A point with a name."""

    x: int
    y: int = 2
    name: str = "here"

    @property
    def both(self) -> int:
        """The sum."""
        return self.x + self.y


class Plain(typing.NamedTuple):
    """The same with typing's own base."""

    x: int
    y: int = 2
    name: str = "here"

    @property
    def both(self) -> int:
        """The sum."""
        return self.x + self.y


GIVEN = st.lists(st.integers(), max_size=4)
NAMED = st.dictionaries(st.sampled_from(["x", "y", "name", "z"]), st.integers(), max_size=4)


def made(kind: Any, given: list[int], named: dict[str, int]) -> Any:
    """Return the fields of what is made, or the kind of error."""
    try:
        value = kind(*given, **named)
    except TypeError:
        return TypeError
    return tuple(value), value.x, value.y, value.name, value.both if isinstance(value.name, str) else None


@given(GIVEN, NAMED)
def test_it_is_made_as_a_named_tuple_is(values: list[int], named: dict[str, int]) -> None:
    """Whatever is given by place and by name, both bases make the same of it, or refuse it."""
    assert made(Light, values, named) == made(Plain, values, named)


@given(st.integers(), NAMED)
def test_changes_are_those_of_a_named_tuple(x: int, changes: dict[str, int]) -> None:
    """A copy with changes has the same fields, and an unknown name is refused."""
    found = []
    kinds: tuple[Any, ...] = (Light, Plain)
    for kind in kinds:
        try:
            found.append(tuple(kind(x)._replace(**changes)))
        except (TypeError, ValueError):  # Python 3.13's namedtuple raises the one, earlier ones the other
            found.append(("refused",))
    assert found[0] == found[1]


def test_it_is_a_tuple() -> None:
    """It compares, hashes, unpacks, matches and prints as typing's does, and nothing can be set on it."""
    value: Any = Light(1, name="there")
    assert value == (1, 2, "there")
    assert value != Light(1)
    assert hash(value) == hash((1, 2, "there"))
    x, y, name = value
    assert (x, y, name) == (1, 2, "there")
    match value:
        case Light(1, 2, found):
            assert found == "there"
        case _:
            pytest.fail("it does not match")
    assert repr(value).partition("(")[2] == repr(Plain(1, name="there")).partition("(")[2]
    assert value._asdict() == {"x": 1, "y": 2, "name": "there"}
    assert Light._make([1, 2, "there"]) == value
    assert (Light._fields, Light._field_defaults) == (Plain._fields, Plain._field_defaults)
    for attribute in ("x", "new"):
        with pytest.raises(AttributeError):
            setattr(value, attribute, 3)
    assert inspect.signature(Light).parameters.keys() == inspect.signature(Plain).parameters.keys()


def test_copies_are_of_its_class() -> None:
    """What is copied or pickled comes back as the same class with the same fields."""
    value = Light(1, name="there")
    for other in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert type(other) is Light
        assert other == value


def test_a_default_before_a_field_without_one_is_refused() -> None:
    """As with typing's, the fields with defaults come last."""
    base: Any = Record
    with pytest.raises(TypeError, match="without a default"):
        type(base)("Wrong", (base,), {"__annotations__": {"a": "int", "b": "int"}, "a": 1})


def test_a_record_is_no_base_for_another() -> None:
    """Fields that came from two classes would have no order, so a record of a record is refused."""
    base: Any = Light
    with pytest.raises(TypeError, match="no base but Record"):
        type(base)("More", (base,), {"__annotations__": {"z": "int"}})
