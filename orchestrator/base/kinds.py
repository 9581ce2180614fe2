"""What the JSON of a record may hold, read from the annotations of its class.

Annotations are read as text, so that ``typing`` need not be imported. The forms that a record may use are
``str``, ``int``, ``float``, ``bool``, ``None``, ``Any``, ``Moment``, ``Count``, ``Literal[...]``, ``tuple[X, ...]``,
``Mapping[str, X]``, another record, an alias that is text itself, and any of them joined by ``|``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.quoting import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Moment: TypeAlias = "str"
"""A moment in ISO 8601 with its time zone."""
Count: TypeAlias = "int"
"""A whole number from 0."""

_LARGEST = 10**15
"""No duration, size or count in a record is larger; what is can't be shown."""

HINT = "the record is damaged; what its stages printed is beside it, below commands/"


class _Missing:
    """Stands for no value, where null is one."""


MISSING = _Missing()


class KindError(Exception):
    """A value that is not of its kind. ``keys`` lead to it, the innermost first."""

    def __init__(self, kind: str, value: object) -> None:
        super().__init__(kind)
        self.kind = kind
        self.value = value
        self.keys: list[str] = []


class Kind:
    """What one key may hold.

    ``name`` says it to people. ``read`` takes a JSON value, and whether to be lenient, and returns the value of the
    record, or raises KindError. ``schema`` is its JSON Schema, which names the ``records`` in it. ``empty`` is what a
    lenient reader takes for a missing key: null, an empty list, or MISSING where neither is allowed. Any value of one
    of the types in ``whole`` is of this kind as it is, without ``read`` being asked.
    """

    __slots__ = ("empty", "name", "read", "records", "schema", "whole")

    def __init__(
        self,
        name: str,
        read: Callable[[Any, bool], Any],
        schema: dict[str, Any],
        records: tuple[Any, ...] = (),
        empty: object = MISSING,
        whole: frozenset[type] = frozenset(),
    ) -> None:
        self.name = name
        self.whole = whole
        self.read = read
        self.schema = schema
        self.records = records
        self.empty = empty


def _scalar(
    name: str,
    schema: dict[str, Any],
    accepts: Callable[[Any], bool],
    empty: object = MISSING,
    whole: type | None = None,
) -> Kind:
    def read(value: Any, lenient: bool) -> Any:
        if accepts(value):
            return value
        raise KindError(name, value)

    return Kind(name, read, schema, empty=empty, whole=frozenset() if whole is None else frozenset({whole}))


def is_number(value: object) -> bool:
    """Tell whether a value is a number that can be shown."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def is_moment(value: object) -> bool:
    """Tell whether a value is a moment in ISO 8601 with its time zone."""
    if not isinstance(value, str):
        return False
    try:
        parse_stamp(value)
    except (ValueError, OverflowError):
        return False
    return True


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and is_number(value)


_NAMED: dict[str, Kind] = {
    "str": _scalar("text", {"type": "string"}, lambda value: isinstance(value, str), whole=str),
    "bool": _scalar("true or false", {"type": "boolean"}, lambda value: isinstance(value, bool), whole=bool),
    "int": _scalar("a whole number", {"type": "integer"}, _is_whole),
    "float": _scalar("a number", {"type": "number"}, is_number),
    "None": _scalar("null", {"type": "null"}, lambda value: value is None, None, type(None)),
    "Any": _scalar("any value", {}, lambda value: True, None),
    "Moment": _scalar("a moment in ISO 8601 with its time zone", {"type": "string"}, is_moment),
    "Count": _scalar("a whole number from 0", {"type": "integer"}, lambda value: _is_whole(value) and value >= 0),
}


def _one_of(words: tuple[Any, ...]) -> Kind:
    name = f"one of {', '.join(sorted(map(str, words)))}"
    text = all(isinstance(word, str) for word in words)
    schema: dict[str, Any] = {"enum": list(words), "type": "string"} if text else {"enum": list(words)}
    if len(words) == 1:
        schema = {"const": words[0], "type": "string" if text else "integer"}
    return _scalar(name, schema, lambda value: value in words and not isinstance(value, (bool, float)))


def _list_of(item: Kind) -> Kind:
    def read(value: Any, lenient: bool) -> Any:
        if not isinstance(value, (list, tuple)):
            raise KindError("a list", value)
        place, whole = 0, item.whole
        found = []
        try:
            for place, entry in enumerate(value):  # noqa: B007 -- the error says where
                found.append(entry if type(entry) in whole else item.read(entry, lenient))
        except KindError as wrong:
            wrong.keys.append(str(place))
            raise
        return tuple(found)

    return Kind("a list", read, {"items": item.schema, "type": "array"}, item.records, empty=())


def _object_of(item: Kind) -> Kind:
    def read(value: Any, lenient: bool) -> Any:
        if not isinstance(value, Mapping):
            raise KindError("an object", value)
        for key, entry in value.items():
            if type(entry) in item.whole:
                continue
            try:
                item.read(entry, lenient)
            except KindError as wrong:
                wrong.keys.append(key)
                raise
        return value

    return Kind("an object", read, {"additionalProperties": item.schema or True, "type": "object"}, item.records)


def _record(cls: Any) -> Kind:
    def read(value: Any, lenient: bool) -> Any:
        return read_fields(cls, value, lenient)

    return Kind("an object", read, {"$ref": f"#/$defs/{cls.__name__}"}, (cls,))


def _union(kinds: list[Kind]) -> Kind:
    null = _NAMED["None"]
    if len(kinds) == 2 and kinds[1] is null:
        first = kinds[0]

        def read_optional(value: Any, lenient: bool) -> Any:
            if value is None:
                return None
            try:
                return first.read(value, lenient)
            except KindError as wrong:
                if not wrong.keys:
                    wrong.kind = f"{wrong.kind} or null"
                raise

        read = read_optional
    else:

        def read_any(value: Any, lenient: bool) -> Any:
            for kind in kinds:
                try:
                    return kind.read(value, lenient)
                except KindError:
                    continue
            raise KindError(name, value)

        read = read_any
    name = " or ".join(kind.name for kind in kinds)
    records = tuple(cls for kind in kinds for cls in kind.records)
    schema = {"anyOf": [kind.schema for kind in kinds]}
    whole = frozenset(one for kind in kinds for one in kind.whole)
    return Kind(name, read, schema, records, None if null in kinds else MISSING, whole)


def _parts(text: str, mark: str) -> list[str]:
    """Split at a mark that stands in no bracket and no quotes."""
    parts, depth, quote, begin = [], 0, "", 0
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == mark and not depth:
            parts.append(text[begin:place].strip())
            begin = place + 1
        else:
            depth += (char == "[") - (char == "]")
    return [*parts, text[begin:].strip()]


def kind_of(text: str, scope: Mapping[str, Any]) -> Kind:
    """Return the kind that an annotation names in the module with the names ``scope``. Raises TypeError."""
    if text in _NAMED:
        return _NAMED[text]
    if "|" in text:
        before = text.removesuffix(" | None")
        options = [before, "None"] if before != text and "|" not in before else _parts(text, "|")
        if len(options) > 1:
            return _union([kind_of(option, scope) for option in options])
    outer, _, inner = text.partition("[")
    inner = inner[:-1]
    if outer == "Literal":
        return _one_of(tuple(int(word) if word.isdigit() else word.strip("'\"") for word in inner.split(", ")))
    if outer == "tuple" and inner.endswith(", ..."):
        return _list_of(kind_of(inner[:-5], scope))
    if outer == "Mapping" and inner.startswith("str, "):
        return _object_of(kind_of(inner[5:], scope))
    named = scope.get(text)
    if isinstance(named, str):
        return kind_of(named, scope)
    if hasattr(named, "_fields"):
        return _record(named)
    raise TypeError(f"a record can't be read from JSON: its annotation {text!r} is of no known form")


_KINDS: dict[type, tuple[tuple[str, Kind], ...]] = {}
_TEXTS: dict[tuple[str, str], Kind] = {}


def kinds_of(cls: Any) -> tuple[tuple[str, Kind], ...]:
    """Return the kind of each field of a record's class, in their order."""
    found = _KINDS.get(cls)
    if found is None:
        module = cls.__module__
        scope = vars(sys.modules[module])
        kinds = []
        for field in cls._fields:
            text = cls.__annotations__[field]
            kind = _TEXTS.get((module, text))
            if kind is None:
                kind = _TEXTS[module, text] = kind_of(text, scope)
            kinds.append((field, kind))
        found = _KINDS[cls] = tuple(kinds)
    return found


def read_fields(cls: Any, value: object, lenient: bool) -> Any:
    """Return the record that a JSON object holds; keys that it does not know are passed over. Raises KindError."""
    if not isinstance(value, Mapping):
        raise KindError("an object", value)
    defaults = cls._field_defaults
    values = []
    for field, kind in kinds_of(cls):
        found = value.get(field, MISSING)
        if found is MISSING:
            found = defaults.get(field, kind.empty if lenient else MISSING)
            if found is MISSING:
                wrong = KindError(kind.name, MISSING)
                wrong.keys.append(field)
                raise wrong
            values.append(found)
            continue
        if type(found) in kind.whole:
            values.append(found)
            continue
        try:
            values.append(kind.read(found, lenient))
        except KindError as wrong:
            wrong.keys.append(field)
            raise
    return tuple.__new__(cls, values)


def damaged(wrong: KindError) -> DamagedRecord:
    """Return the error that names the key which is wrong, what it should hold, and what it holds."""
    place = ".".join(reversed(wrong.keys)) or "the record"
    if wrong.value is MISSING:
        return DamagedRecord(f"the record has no '{place}', which should be {wrong.kind}", hint=HINT)
    value = wrong.value
    found = "nothing" if value is None else type(value).__name__
    if isinstance(value, str):
        found = shown(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = shown(str(value)) if abs(value) < _LARGEST else "a number out of range"
    return DamagedRecord(f"the record's '{place}' should be {wrong.kind}, and is {found}", hint=HINT)
