"""The names of ``typing`` that this program has at run time, for a fraction of its cost at start-up.

A type checker sees ``typing`` itself. At run time ``typing`` takes 3 ms to import and a ``NamedTuple``
0.16 ms for each class, 12 ms of a command of 80; here a class takes 0.02 ms. The names behave as those of
``typing``, as far as this program asks: annotations are never evaluated but in ``manifest.schema``. Modules
with pydantic's classes import ``typing``.
"""

from __future__ import annotations

from operator import itemgetter

__all__ = (
    "TYPE_CHECKING",
    "Any",
    "ClassVar",
    "Final",
    "Literal",
    "NamedTuple",
    "NoReturn",
    "Protocol",
    "TextIO",
    "TypeVar",
    "cast",
    "get_args",
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Final, Literal, NamedTuple, NoReturn, Protocol, TextIO, TypeVar, cast, get_args
else:
    Any = ClassVar = Final = NoReturn = TextIO = Protocol = object

    def cast(kind, value):
        """Return ``value``."""
        return value

    def TypeVar(name):  # noqa: N802 -- typing's name for it
        """Return what stands for any type."""
        return object

    class Literal:
        """One of the words in ``__args__``."""

        def __init__(self, *words):
            self.__args__ = words

        def __class_getitem__(cls, words):
            return cls(*words) if isinstance(words, tuple) else cls(words)

    def get_args(kind):
        """Return the words of a Literal."""
        return kind.__args__

    class _NamedTupleType(type):
        """Makes a named tuple's class: the annotated names are its fields, in their order."""

        def __new__(meta, name, bases, namespace):
            if tuple in bases or bases[0] is not NamedTuple:
                return super().__new__(meta, name, bases, namespace)
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError(f"{name}: a field without a default follows one that has it")
            for place, field in enumerate(fields):
                namespace[field] = property(itemgetter(place))
            namespace.update(__slots__=(), __match_args__=fields, _fields=fields, _field_defaults=defaults)
            return super().__new__(meta, name, bases, namespace)

        @property
        def __signature__(cls):
            from inspect import Parameter, Signature

            kind = Parameter.POSITIONAL_OR_KEYWORD
            return Signature(
                [
                    Parameter(field, kind, default=cls._field_defaults.get(field, Parameter.empty))
                    for field in getattr(cls, "_fields", ())
                ]
            )

    class NamedTuple(tuple, metaclass=_NamedTupleType):
        """A tuple whose fields have names; the public part of ``collections.namedtuple``'s classes."""

        __slots__ = ()

        def __new__(cls, *given, **named):
            """Make one of its fields, by place and by name. Raises TypeError."""
            fields = cls._fields
            if named or len(given) != len(fields):
                given = cls._filled(given, named)
            return tuple.__new__(cls, given)

        @classmethod
        def _filled(cls, given, named):
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
        def _make(cls, values):
            return cls(*values)

        def _replace(self, /, **changes):
            made = type(self)._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"{type(self).__name__} has no field {', '.join(map(repr, changes))}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"
