"""``schema``: print the JSON Schema of a document."""

from __future__ import annotations

from orchestrator.base.errors import EXIT_DONE, UsageError
from orchestrator.base.identifiers import near_hint
from orchestrator.base.json_values import json_text
from orchestrator.base.quoting import shown
from orchestrator.commands.context import Answer, Context
from orchestrator.model.manifest.json_schema import json_schema
from orchestrator.report.documents import DOCUMENTS, OTHER_FORMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MANIFEST = "manifest"


def schema(context: Context, *, name: str = MANIFEST) -> Answer:
    """Return the JSON Schema (draft 2020-12) of a document: of ``manifest.json``, or of what a command prints.

    Raises UsageError for another name.
    """
    document = _schema_of(name)
    return Answer(EXIT_DONE, document, json_text(document, indent=2, ensure_ascii=False) + "\n")


def _schema_of(name: str) -> dict[str, Any]:
    if name == MANIFEST:
        return json_schema()
    if name not in DOCUMENTS:
        known = (MANIFEST, *DOCUMENTS)
        raise UsageError(f"there is no schema {shown(name)}", hint=near_hint(name, known), code="unknown-schema")
    document = _joined([json_schema(kind) for kind in DOCUMENTS[name]])
    if name in OTHER_FORMS:
        document = _either(document, json_schema(OTHER_FORMS[name]))
    return {**document, "$id": f"urn:codex-orchestrator:{name}:2", "title": f"codex-orchestrator {name}"}


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of a document that has the keys of all ``parts``."""
    first, *more = parts
    for part in more:
        first["$defs"] = dict(sorted({**first["$defs"], **part["$defs"]}.items()))
        first["properties"] = {**first["properties"], **part["properties"]}
        first["required"] = [*first["required"], *part["required"]]
    return first


def _either(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a document that is as ``one`` or as ``other``; it names the keys of both."""
    forms = [{key: form[key] for key in ("description", "properties", "required")} for form in (one, other)]
    return {
        "$schema": one["$schema"],
        "$defs": dict(sorted({**one["$defs"], **other["$defs"]}.items())),
        "description": one["description"],
        "properties": {**dict.fromkeys(other["properties"], True), **dict.fromkeys(one["properties"], True)},
        "required": [key for key in one["required"] if key in other["required"]],
        "type": "object",
        "anyOf": forms,
    }
