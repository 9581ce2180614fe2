"""The full check of a record, and its published JSON Schema: both from the classes in ``shape``.

pydantic is imported when the first record is checked: reading for display and the usual write path
have no need of it.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DamagedRecord
from orchestrator.manifest.shape import VERSION, Manifest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MANIFEST_LIMIT = 4 * 1024 * 1024
"""No manifest is larger (bytes); what is, is not read."""


@functools.cache
def _adapter() -> TypeAdapter[Manifest]:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

    from orchestrator.manifest import shape

    vars(shape).setdefault("Mapping", Mapping)
    return TypeAdapter(Manifest)


def parse(data: bytes, where: str) -> dict[str, Any]:
    """Return the JSON object in ``data``; DamagedRecord names ``where`` when there is none."""
    try:
        document = json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DamagedRecord(
            f"'{where}' is not valid JSON: {error or 'nested too deep'}",
            hint="the record is damaged; 'codex-orchestrator doctor --repair' sets it aside",
        ) from error
    if not isinstance(document, dict):
        raise DamagedRecord(f"'{where}' holds no JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return document


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def check_version(document: dict[str, Any], where: str) -> int:
    """Return the record's version, 1 or 2; DamagedRecord for any other."""
    version = document.get("version")
    if version not in (1, VERSION) or isinstance(version, bool):
        known = "no version" if version is None else f"version {version!r}"
        raise DamagedRecord(
            f"'{where}' has {known}; this program knows 1 and {VERSION}", hint="a newer codex-orchestrator may read it"
        )
    return int(version)


def load(document: dict[str, Any], where: str) -> Manifest:
    """Return the checked manifest (version 2); DamagedRecord names every key that is wrong."""
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise DamagedRecord(f"'{where}' has wrong fields:\n  " + "\n  ".join(faults[:20])) from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``manifest.json``, version 2."""
    schema = _adapter().json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:codex-orchestrator:manifest:2",
        **schema,
        "title": "codex-orchestrator manifest, version 2",
    }
