"""The record as a document: read, its version known, and written, without the classes of its shape."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.text.well_formed import well_formed
from orchestrator.model.outcome import TERMINAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

VERSION: Final = 2
MANIFEST_LIMIT = 4 * 1024 * 1024
"""No manifest is larger (bytes); what is, is not read."""

HEARTBEAT_SECONDS = 5
HEARTBEAT_STALE_SECONDS = 30
"""Seconds. A heartbeat's age counts only where the lock can't tell whether a run is alive (``run_store.liveness``)."""

_HEAD = 4096
"""Bytes of a manifest that hold its version, id and status, which come first."""

_OBJECTS = ("commands", "guardrails", "approvals", "child_runs", "resume_events", "provenance")
_LISTED = frozenset({"commands", "guardrails", "approvals", "child_runs", "resume_events", "provenance", "runs"})
"""Lists that are shown an entry a line; ``runs`` is the snapshot's."""

RUN_STATUSES = TERMINAL | {"queued", "in_progress"}

INTERRUPTED = "interrupted"
"""The detail of a run whose process died."""


DAMAGED_HINT = (
    "'codex-orchestrator doctor --repair' sets it aside; what its stages printed is beside it, below commands/"
)


def parse(data: bytes, where: str) -> dict[str, Any]:
    """Return the JSON object in ``data``; DamagedRecord names ``where`` when there is none."""
    try:
        document = json_codec.loads(data, **READING)
    except NO_JSON as error:
        raise DamagedRecord(
            f"'{where}' is not valid JSON: {error or 'nested too deep'}",
            hint=DAMAGED_HINT,
        ) from error
    if not isinstance(document, dict):
        raise DamagedRecord(f"'{where}' holds no JSON object", hint=DAMAGED_HINT)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return document


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def is_in_progress(data: bytes, run_id: str) -> bool:
    """Tell whether bytes begin as ``render`` writes the record of the run ``run_id``, in progress; reads no more of it.

    Text in JSON holds no line break, so that a line is a key of the record itself. Whatever was written otherwise is
    none: its document tells.
    """
    head = data[:_HEAD]
    lines = (f'\n  "run_id": "{run_id}",\n', '\n  "status": "in_progress",\n')
    return head.startswith(f'{{\n  "version": {VERSION},\n'.encode()) and all(line.encode() in head for line in lines)


READING: Final[Mapping[str, Any]] = {"object_pairs_hook": _unique, "parse_constant": _no_constant}
NO_JSON: Final = (ValueError, RecursionError)
"""How a document is read, and what is raised where it holds no JSON, or what is none of ours."""


def check_version(document: dict[str, Any], where: str) -> int:
    """Return the record's version, 1 or 2; DamagedRecord for any other."""
    version = document.get("version")
    if version not in (1, VERSION) or isinstance(version, bool):
        known = "no version" if version is None else f"version {version!r}"
        raise DamagedRecord(
            f"'{where}' has {known}; this program knows 1 and {VERSION}", hint="a newer codex-orchestrator may read it"
        )
    return int(version)


def check_outline(document: dict[str, Any], where: str) -> None:
    """Raise DamagedRecord unless what commands look at before any full check can be read.

    That is status and pipeline and, of version 2, that what are lists of objects are such lists, where they are there.
    """
    fits = {
        "status": isinstance(document.get("status"), str) and document["status"] in RUN_STATUSES,
        "pipeline_id": isinstance(document.get("pipeline_id"), str),
    }
    if document.get("version") == VERSION:
        fits.update((key, _is_list_of_objects(document[key])) for key in _OBJECTS if key in document)
        fits["provenance"] = fits.get("provenance", True) and all(map(_names_moves, document.get("provenance", ())))
    for key, good in fits.items():
        if not good:
            raise DamagedRecord(
                f"'{where}' has no '{key}' that can be read",
                hint=DAMAGED_HINT,
            )


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _names_moves(attempt: Mapping[str, Any]) -> bool:
    """Tell whether what an attempt says of the tree at its end, if anything, are lists, or unknown."""
    at_end = attempt.get("at_end")
    names = ("moved", "left_behind", "touched")
    return not isinstance(at_end, dict) or all(isinstance(at_end.get(name), list | None) for name in names)


class Rendered(str):
    """Stands in a document for a value, as the JSON text that is made of it already."""


def rendered(value: object) -> Rendered:
    """Return a value as ``render`` shows it on one line."""
    return Rendered(_compact(value))


def render(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a manifest or a snapshot: a line for each key, and one for each entry of a list.

    Values may be ``Rendered`` already. The compact encoder is compiled; ``indent`` would take the interpreted one, ten
    times slower.
    """
    lines = [f"  {_compact(key)}: {_value(key, value)}" for key, value in document.items()]
    return well_formed("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _value(key: str, value: Any) -> str:
    if key in _LISTED and value:
        return "[\n" + ",\n".join(f"    {_text(item)}" for item in value) + "\n  ]"
    return _text(value)


def _text(value: Any) -> str:
    return value if type(value) is Rendered else _compact(value)


_compact = json_codec.encoder(ensure_ascii=False)
