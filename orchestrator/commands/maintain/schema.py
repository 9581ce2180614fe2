"""``schema``: print the JSON Schema of a kind of file."""

from __future__ import annotations

from orchestrator.base.errors import EXIT_DONE, UsageError
from orchestrator.base.json_values import json_text
from orchestrator.commands.context import Answer, Context

_NAMES = ("manifest",)


def schema(context: Context, *, name: str = "manifest") -> Answer:
    """Return the JSON Schema (draft 2020-12) of ``manifest.json``, version 2, as it is published under ``docs/``.

    Raises UsageError for another name.
    """
    if name not in _NAMES:
        from orchestrator.base.identifiers import near_hint
        from orchestrator.base.quoting import shown

        raise UsageError(f"there is no schema {shown(name)}", hint=near_hint(name, _NAMES), code="unknown-schema")
    from orchestrator.model.manifest.schema import json_schema

    document = json_schema()
    return Answer(EXIT_DONE, document, json_text(document, indent=2, ensure_ascii=False) + "\n")
