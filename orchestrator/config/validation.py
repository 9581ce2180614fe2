"""Validation in plain words: what pydantic finds, said as a person would say it to the file's author."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from orchestrator.config import shape
from orchestrator.config.faults import Fault, did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
_TABLES: Mapping[tuple[str, ...], type[shape.Table]] = {
    (): shape.Config,
    ("project",): shape.Project,
    ("session",): shape.Session,
    ("guardrails",): shape.Guardrails,
    ("guardrails", "canary", "#"): shape.CanaryTable,
    ("review",): shape.Review,
    ("metrics",): shape.Metrics,
    ("queue",): shape.Queue,
    ("spec_guard",): shape.SpecGuard,
    ("export",): shape.Export,
    ("waivers", "#"): shape.WaiverTable,
    ("stage_groups", "*", "#"): shape.Stage,
    ("pipelines", "*"): shape.Pipeline,
    ("pipelines", "*", "stages", "#"): shape.Stage,
}


def validated(table: dict[str, Any]) -> tuple[shape.Config | None, list[Fault]]:
    """Return the typed config of a parsed file, or None and every fault of its shape."""
    try:
        return shape.Config.model_validate(table), []
    except shape.ValidationError as error:
        return None, [_fault(item) for item in error.errors(include_url=False, include_input=True)]


def _fault(item: Any) -> Fault:
    keys = tuple(key for key in item["loc"] if key != "[key]")
    kind = item["type"]
    if kind == "missing":
        return Fault(keys, "is missing")
    if kind == "extra_forbidden":
        table = _TABLES[_pattern(keys[:-1])]
        return Fault(keys, "unknown key" + did_you_mean(str(keys[-1]), table.model_fields))
    if kind == "value_error":
        return Fault(keys, str(item["ctx"]["error"]))
    wanted = _WANTED.get(kind, "something else")
    return Fault(keys, f"must be {wanted}, not {_what(item['input'])}{_remedy(wanted, item['input'])}")


def _pattern(keys: tuple[str | int, ...]) -> tuple[str, ...]:
    words = ["#" if isinstance(key, int) else key for key in keys]
    if words[:1] in (["pipelines"], ["stage_groups"]) and len(words) > 1:
        words[1] = "*"
    return tuple(words)


def _what(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, date):
        return "a date"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a time"


def _remedy(wanted: str, value: object) -> str:
    """Return how to write the value so that it is what is wanted, or nothing."""
    if wanted == "text" and isinstance(value, int | float | date) and not isinstance(value, bool):
        return " (put it in quotes)"
    if wanted == "a whole number" and isinstance(value, float) and value.is_integer():
        return f" with a decimal point (write {int(value)})"
    return ""
