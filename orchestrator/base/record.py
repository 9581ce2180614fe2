"""The base of the program's values: frozen records with named fields, made at a fraction of what ``typing`` costs.

To import ``typing`` takes 3 ms and a ``typing.NamedTuple`` 0.16 ms for each class, which is 12 ms of a command
of 80; ``dataclasses`` takes 13 ms. A record's class takes 0.02 ms: annotations are kept as text and never
evaluated here. Type checkers know a record's constructor by PEP 681.
"""

from __future__ import annotations

from orchestrator.base.kinds import KindError, damaged, read_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from inspect import Signature
    from typing import Any, ClassVar, Self, dataclass_transform

    def _tuplegetter(place: int, doc: str | None) -> property: ...
else:
    try:
        from _collections import _tuplegetter  # what ``collections.namedtuple`` uses: read in a quarter of the time
    except ImportError:
        from operator import itemgetter

        def _tuplegetter(place, doc):
            """Return a property that reads one place of a tuple."""
            return property(itemgetter(place), doc=doc)

    def dataclass_transform(**_options):
        """Return a decorator that changes nothing: only type checkers ask for it."""
        return lambda kind: kind


class _RecordType(type):
    """Makes the class of a record: the annotated names are its fields, in their order."""

    _fields: tuple[str, ...]
    _field_defaults: dict[str, Any]

    def __new__(meta, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _RecordType:
        if bases[0] is tuple:
            return super().__new__(meta, name, bases, namespace)
        if bases != (Record,):
            raise TypeError(f"{name}: a record has no base but Record")
        fields = tuple(namespace.get("__annotations__", ()))
        defaults = {field: namespace[field] for field in fields if field in namespace}
        if tuple(defaults) != fields[len(fields) - len(defaults) :]:
            raise TypeError(f"{name}: a field without a default follows one that has it")
        for place, field in enumerate(fields):
            namespace[field] = _tuplegetter(place, None)
        namespace.update(__slots__=(), __match_args__=fields, _fields=fields, _field_defaults=defaults)
        return super().__new__(meta, name, bases, namespace)

    @property
    def __signature__(cls) -> Signature:
        from inspect import Parameter, Signature

        kind = Parameter.POSITIONAL_OR_KEYWORD
        return Signature(
            [
                Parameter(field, kind, default=cls._field_defaults.get(field, Parameter.empty))
                for field in getattr(cls, "_fields", ())
            ]
        )


@dataclass_transform(frozen_default=True)
class Record(tuple["object", ...], metaclass=_RecordType):
    """A frozen value whose fields have names, in the memory of a tuple.

    A subclass lists its fields as annotations, those with a default last. As tuples, records compare, hash, sort,
    unpack and match by their fields.
    """

    __slots__ = ()
    if TYPE_CHECKING:
        _fields: ClassVar[tuple[str, ...]]
        _field_defaults: ClassVar[dict[str, Any]]

    def __new__(cls, *given: Any, **named: Any) -> Self:
        """Make one of its fields, by place and by name. Raises TypeError."""
        if named or len(given) != len(cls._fields):
            given = cls._filled(given, named)
        return tuple.__new__(cls, given)

    @classmethod
    def _filled(cls, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        fields = cls._fields
        if len(given) > len(fields):
            raise TypeError(f"{cls.__name__} has {len(fields)} fields, {len(given)} values were given")
        rest = fields[len(given) :]
        try:
            values = [named.pop(field) if field in named else cls._field_defaults[field] for field in rest]
        except KeyError as error:
            raise TypeError(f"{cls.__name__} needs a value for {error}") from None
        if named:
            raise TypeError(f"{cls.__name__} has no field {', '.join(map(repr, named))}, or has it twice")
        return (*given, *values)

    @classmethod
    def from_json(cls, document: object, *, lenient: bool = False, exact: bool = False) -> Self:
        """Return the record that a JSON object holds.

        A missing key takes its default. ``lenient`` takes it for null or an empty list besides, where that is
        allowed; ``exact`` refuses keys that the record does not have. Raises DamagedRecord, which names the key.
        """
        try:
            record = read_fields(cls, document, lenient)
            if exact and isinstance(document, dict) and document.keys() - set(cls._fields):
                raise KindError(f"an object of {', '.join(cls._fields)} only", ", ".join(map(str, document)))
        except KindError as wrong:
            raise damaged(wrong) from None
        made: Self = record
        return made

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Self:
        """Return the record with these values, one for each field."""
        return cls(*values)

    def _replace(self, /, **changes: Any) -> Self:
        """Return the record with some fields changed. Raises ValueError for a name that is no field."""
        made = self._make(map(changes.pop, self._fields, self))
        if changes:
            raise ValueError(f"{type(self).__name__} has no field {', '.join(map(repr, changes))}")
        return made

    def _asdict(self) -> dict[str, Any]:
        """Return the fields by their names, in their order."""
        return dict(zip(self._fields, self, strict=True))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"
