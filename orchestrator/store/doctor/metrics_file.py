"""``metrics.json`` against the manifests: one whole line for the end of each attempt, no line lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.base.json_values import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Document: TypeAlias = "Mapping[str, Any]"


@dataclass(frozen=True, slots=True)
class MetricsFile:
    """The lines of a metrics file, without their newlines.

    ``kept`` are readable and each the first with its ``event_id`` (lines of version 1 have none);
    ``repeated`` tell again what a kept line tells; ``aside`` can't be read, or contradict the line with
    the same event id. ``is_torn`` says that the last line has no newline.
    """

    kept: tuple[bytes, ...]
    repeated: tuple[bytes, ...]
    aside: tuple[bytes, ...]
    is_torn: bool
    events: frozenset[str]


def read_lines(data: bytes) -> MetricsFile:
    """Return what is in the bytes of a metrics file."""
    lines = data.split(b"\n")
    last = lines.pop()
    if last:
        lines.append(last)
    kept: list[bytes] = []
    repeated: list[bytes] = []
    aside: list[bytes] = []
    known: dict[str, Document] = {}
    for line in lines:
        document = _document(line)
        event = document.get("event_id") if document is not None else None
        if document is None:
            aside.append(line)
        elif not isinstance(event, str):
            kept.append(line)
        elif event not in known:
            known[event] = _without_time(document)
            kept.append(line)
        else:
            (repeated if _without_time(document) == known[event] else aside).append(line)
    return MetricsFile(tuple(kept), tuple(repeated), tuple(aside), bool(last), frozenset(known))


def missing(file: MetricsFile, expected: Iterable[Document]) -> list[Document]:
    """Return the ``expected`` lines whose event the file does not have."""
    return [line for line in expected if line["event_id"] not in file.events]


def repaired(file: MetricsFile, added: Iterable[Document]) -> bytes:
    """Return the bytes of the file with only whole, readable lines, and the ``added`` ones at its end."""
    new = [json_text(line, ensure_ascii=False).encode() for line in added]
    return b"".join(line + b"\n" for line in (*file.kept, *new))


def _document(line: bytes) -> Document | None:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("run_id"), str) else None


def _without_time(document: Document) -> Document:
    """A line that was written twice differs only in when."""
    return {key: value for key, value in document.items() if key != "recorded_at"}
