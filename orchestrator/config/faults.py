"""A fault of a config: the keys that lead to it and what is wrong, and how both become one line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.base.identifiers import name_fault, nearest
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_.-]{1,80}")


class Fault(Record):
    """``keys`` lead from the top of the file to the value, as numbers (from 0) inside lists."""

    keys: tuple[str | int, ...]
    text: str


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)``, or `` (known: …)`` when nothing is near, or nothing when nothing is known."""
    names = sorted(name for name in known if _BARE.fullmatch(name))
    match = nearest(value, names)
    if match is not None:
        return f" (did you mean '{match}'?)"
    return f" (known: {', '.join(names[:20])})" if names else ""


def fault_lines(file: str, table: object, faults: Iterable[Fault]) -> list[str]:
    """Return each fault once as ``file: key.path: what is wrong``; ``table`` is the file's content."""
    lines = (f"{file}: {key_path(table, fault.keys)}{fault.text}" for fault in faults)
    return list(dict.fromkeys(lines))


def key_path(table: object, keys: tuple[str | int, ...]) -> str:
    """Return ``pipelines.x.stages[build].run: ``: an entry of a list goes by its id, else by its place from 1."""
    value, path = table, ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{_entry(value, key)}]"
            value = value[key] if isinstance(value, list) and key < len(value) else None
        else:
            word = key if _BARE.fullmatch(key) else shown(key)
            path += f".{word}" if path else word
            value = value.get(key) if isinstance(value, dict) else None
    return f"{path}: " if path else ""


def _entry(entries: Any, index: int) -> str:
    ids = [item.get("id") if isinstance(item, dict) else None for item in entries] if isinstance(entries, list) else []
    own = ids[index] if index < len(ids) else None
    if own is not None and name_fault("stage", own) is None and ids.count(own) == 1:
        return str(own)
    return f"#{index + 1}"
