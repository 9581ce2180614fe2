"""The full check of a record, and its published JSON Schema: both from the classes in ``shape``.

pydantic is imported when the first record is checked: reading for display and the usual write path
have no need of it. It takes a record, a tuple, for a JSON array, so each class is shown to it as a dataclass with
the same fields.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from orchestrator.base.errors import DamagedRecord
from orchestrator.model import outcome
from orchestrator.model.manifest import manifest as shape
from orchestrator.model.manifest.document import DAMAGED_HINT
from orchestrator.model.manifest.manifest import Manifest

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def load(document: dict[str, Any], where: str) -> Manifest:
    """Return the checked manifest (version 2); DamagedRecord names every key that is wrong."""
    from pydantic import ValidationError

    try:
        checked = _adapter().validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise DamagedRecord(f"'{where}' has wrong fields:\n  " + "\n  ".join(faults[:20]), hint=DAMAGED_HINT) from error
    manifest: Manifest = _as_tuple(checked)
    return manifest


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``manifest.json``, version 2."""
    schema = _adapter().json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:codex-orchestrator:manifest:2",
        **schema,
        "title": "codex-orchestrator manifest, version 2",
    }


@functools.cache
def _adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(_as_dataclass(Manifest))


@functools.cache
def _as_dataclass(kind: Any) -> Any:
    """Return the dataclass with the fields, defaults and text of a record; ``named_tuple`` leads back."""
    from dataclasses import field, make_dataclass

    hints = get_type_hints(kind, _names())
    defaults = kind._field_defaults
    fields = [
        (name, _seen(hint), field(default=defaults[name])) if name in defaults else (name, _seen(hint))
        for name, hint in hints.items()
    ]
    return make_dataclass(kind.__name__, fields, namespace={"__doc__": kind.__doc__, "named_tuple": kind}, frozen=True)


def _names() -> dict[str, Any]:
    """Return what the annotations of ``shape`` speak of, with typing's own names."""
    words = {
        name: Literal[outcome.words(alias)]
        for name, alias in vars(outcome).items()
        if str(alias).startswith("Literal[")
    }
    return {**vars(shape), **words, "Any": Any, "Literal": Literal, "Mapping": Mapping}


def _seen(hint: Any) -> Any:
    """Return a type with every record in it replaced."""
    if hasattr(hint, "_field_defaults"):
        return _as_dataclass(hint)
    arguments = get_args(hint)
    if not any(hasattr(argument, "_field_defaults") for argument in arguments):
        return hint
    seen = tuple(_seen(argument) for argument in arguments)
    origin: Any = get_origin(hint)
    return origin[seen] if origin is tuple else functools.reduce(lambda left, right: left | right, seen)


def _as_tuple(value: Any) -> Any:
    """Return a checked value with records in the place of dataclasses."""
    kind = getattr(type(value), "named_tuple", None)
    if kind is not None:
        return kind(*(_as_tuple(getattr(value, name)) for name in kind._fields))
    return tuple(map(_as_tuple, value)) if isinstance(value, tuple) else value
