"""Reading a record as it is on disk: each key by its kind, or a DamagedRecord that names the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 10**15
"""No duration, size or count in a record is larger; what is can't be shown."""


class Kind:
    """What a key may hold: ``name`` says it to people, ``accepts`` tells whether a value is one."""

    def __init__(self, name: str, accepts: Callable[[object], bool]) -> None:
        self.name = name
        self.accepts = accepts

    def or_null(self) -> Kind:
        """Return the kind that allows null besides."""
        return Kind(f"{self.name} or null", lambda value: value is None or self.accepts(value))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parse_stamp(value)
    except (ValueError, OverflowError):
        return False
    return True


def one_of(words: frozenset[str]) -> Kind:
    """Return the kind of a key that holds one of some words."""
    return Kind(f"one of {', '.join(sorted(words))}", lambda value: isinstance(value, str) and value in words)


TEXT = Kind("text", lambda value: isinstance(value, str))
MOMENT = Kind("a moment in ISO 8601 with its time zone", _is_moment)
NUMBER = Kind("a number", _is_number)
INTEGER = Kind("a whole number", lambda value: isinstance(value, int) and _is_number(value))
COUNT = Kind("a whole number from 0", lambda value: isinstance(value, int) and _is_number(value) and value >= 0)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXTS = Kind("a list of texts", lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value))
NAMED_TEXTS = Kind(
    "an object of texts",
    lambda value: isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values()),
)

Shape = Mapping[str, Kind]


class Fields:
    """An object of a record. ``where`` is its place (``commands.2``); "" for the record itself.

    ``lenient`` takes a missing key for null or an empty list where that is allowed: records of
    version 1 were never checked by the program that wrote them.
    """

    def __init__(self, value: object, where: str = "", *, lenient: bool = False) -> None:
        if not isinstance(value, Mapping):
            raise _damaged(where or "the record", "an object", value)
        self.value: Mapping[str, Any] = value
        self.where = where
        self.lenient = lenient

    def get(self, key: str, kind: Kind) -> Any:
        """Return the value of ``key``; DamagedRecord when it is missing or of another kind."""
        if key not in self.value and not (self.lenient and kind.accepts(None)):
            raise DamagedRecord(f"the record has no '{self.place(key)}', which should be {kind.name}")
        value = self.value.get(key)
        if not kind.accepts(value):
            raise _damaged(self.place(key), kind.name, value)
        return value

    def take(self, shape: Shape) -> dict[str, Any]:
        """Return the keys of ``shape``, in its order, each checked."""
        return {key: self.get(key, kind) for key, kind in shape.items()}

    def moment(self, key: str) -> datetime:
        """Return the moment that ``key`` holds."""
        return parse_stamp(self.get(key, MOMENT))

    def within(self, key: str) -> Fields:
        """Return the object that ``key`` holds."""
        return Fields(self.value.get(key), self.place(key), lenient=self.lenient)

    def each(self, key: str) -> Sequence[Fields]:
        """Return the objects of the list that ``key`` holds."""
        value = self.value.get(key, [] if self.lenient else None)
        if not isinstance(value, list):
            raise _damaged(self.place(key), "a list", value)
        return [Fields(item, f"{self.place(key)}.{index}", lenient=self.lenient) for index, item in enumerate(value)]

    def place(self, key: str) -> str:
        """Return the place of ``key`` in the record."""
        return f"{self.where}.{key}" if self.where else key


def _damaged(place: str, kind: str, value: object) -> DamagedRecord:
    found = "nothing" if value is None else type(value).__name__
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        from orchestrator.base.identifiers import shown

        found = shown(str(value)) if isinstance(value, str) or abs(value) < _LARGEST else "a number out of range"
    return DamagedRecord(
        f"the record's '{place}' should be {kind}, and is {found}",
        hint="the record is damaged; what its stages printed is beside it, below commands/",
    )


@contextmanager
def of_run(record: Mapping[str, Any]) -> Iterator[None]:
    """Say in every DamagedRecord from inside which run's record it is."""
    try:
        yield
    except DamagedRecord as error:
        message = f"run '{record.get('run_id')}': {error.message}"
        raise DamagedRecord(message, hint=error.hint, code=error.code) from None
