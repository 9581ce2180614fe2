"""The full check of a record, and its published JSON Schema: both from the classes in ``shape``.

pydantic is imported when the first record is checked: reading for display and the usual write path
have no need of it.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DamagedRecord
from orchestrator.manifest.document import DAMAGED_HINT
from orchestrator.manifest.shape import Manifest

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@functools.cache
def _adapter() -> TypeAdapter[Manifest]:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

    from orchestrator.manifest import shape

    vars(shape).setdefault("Mapping", Mapping)
    return TypeAdapter(Manifest)


def load(document: dict[str, Any], where: str) -> Manifest:
    """Return the checked manifest (version 2); DamagedRecord names every key that is wrong."""
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise DamagedRecord(f"'{where}' has wrong fields:\n  " + "\n  ".join(faults[:20]), hint=DAMAGED_HINT) from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``manifest.json``, version 2."""
    schema = _adapter().json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:codex-orchestrator:manifest:2",
        **schema,
        "title": "codex-orchestrator manifest, version 2",
    }
