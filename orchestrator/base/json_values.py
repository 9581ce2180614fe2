"""Values as JSON has them: records as objects, other tuples as lists."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.text.well_formed import well_formed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SCALARS = frozenset({int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """Return ``value`` made of dicts, lists and scalars only, however deep it is nested; its text is well formed."""
    kind = type(value)
    if kind is str:
        return well_formed(value)
    if kind in _SCALARS:
        return value
    names = getattr(kind, "_fields", None)
    if names is not None:
        return {name: plain(item) for name, item in zip(names, value, strict=True)}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    return value
