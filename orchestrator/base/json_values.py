"""Values as JSON has them: records as objects, other tuples as lists."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base import json_codec
from orchestrator.base.text.well_formed import well_formed, well_formed_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SCALARS = frozenset({int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """Return ``value`` made of dicts, lists and scalars only, however deep it is nested; its text is well formed.

    Leaves that stay as they are, most of a record, cost no call.
    """
    kind = type(value)
    if kind is str:
        return well_formed(value)
    if kind in _SCALARS:
        return value
    names = getattr(kind, "_fields", None)
    if names is not None:
        return {
            name: item if (leaf := type(item)) in _SCALARS or (leaf is str and item.isascii()) else plain(item)
            for name, item in zip(names, value, strict=True)
        }
    if isinstance(value, (tuple, list)):
        return [
            item if (leaf := type(item)) in _SCALARS or (leaf is str and item.isascii()) else plain(item)
            for item in value
        ]
    if isinstance(value, Mapping):
        return {
            plain(key): item if (leaf := type(item)) in _SCALARS or (leaf is str and item.isascii()) else plain(item)
            for key, item in value.items()
        }
    return value


def shown_json(value: object, **options: Any) -> str:
    """Return ``json_text`` that a CI system's log, which it may be printed to, does not take for a command.

    GitHub and Azure Pipelines take ``##[`` and ``##vso[`` anywhere in a line; in an escape they mean the same to JSON.
    """
    text = json_text(value, **options)
    return text.replace("#", "\\u0023") if "##" in text else text


def json_text(value: object, **options: Any) -> str:
    """Return ``value`` as JSON that every strict parser accepts; ``options`` are those of ``json.dumps``.

    Text that is no UTF-8 has U+FFFD in its place (contract, section 2).
    """
    text = json_codec.dumps(value, **options)
    if not text.isascii():
        return well_formed(text)
    # A lone surrogate hides in an escape, beside those of the pairs that JSON writes for characters of its own.
    return json_codec.dumps(well_formed_values(value), **options) if "\\ud" in text else text
