"""The full check of a record, and its published JSON Schema: both from the classes in ``manifest``."""

from __future__ import annotations

from inspect import cleandoc

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.json_values import plain
from orchestrator.base.kinds import kinds_of
from orchestrator.model.manifest.document import DAMAGED_HINT
from orchestrator.model.manifest.manifest import Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load(document: dict[str, Any], where: str) -> Manifest:
    """Return the checked manifest (version 2); DamagedRecord names the key that is wrong."""
    try:
        return Manifest.from_json(document)
    except DamagedRecord as error:
        raise DamagedRecord(f"'{where}': {error.message}", hint=DAMAGED_HINT) from None


def json_schema(kind: Any = Manifest) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``manifest.json``, version 2, or of another record's class."""
    definitions: dict[str, Any] = {}
    body = _object(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:codex-orchestrator:manifest:2",
        "$defs": dict(sorted(definitions.items())),
        **body,
        "title": "codex-orchestrator manifest, version 2",
    }


def _object(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a record's class; classes inside it are added to ``definitions``."""
    properties = {}
    for field, held in kinds_of(kind):
        title = {"title": field.replace("_", " ").title()}
        is_reference = "$ref" in held.schema
        properties[field] = dict(held.schema) if is_reference else {**held.schema, **title}
        if field in kind._field_defaults:
            properties[field]["default"] = plain(kind._field_defaults[field])
        for record in held.records:
            if record.__name__ not in definitions:
                definitions[record.__name__] = {}
                definitions[record.__name__] = _object(record, definitions)
    return {
        "description": cleandoc(kind.__doc__ or ""),
        "properties": properties,
        "required": [field for field in kind._fields if field not in kind._field_defaults],
        "title": kind.__name__,
        "type": "object",
    }
