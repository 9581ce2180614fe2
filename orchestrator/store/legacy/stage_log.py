"""A stage's log of version 1: one JSON event a line, from which the output is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator

from orchestrator.base.files import Folder

_LINE_LIMIT = 1 << 24
_STARTS_OF_ATTEMPT = (b'{"type":"command:start"', b'{"type":"exec:begin"', b'{"type":"exec:retry"')
_OUTPUT = frozenset({"command:stdout", "command:stderr", "exec:chunk"})
"""The events that hold output: the first two until November 2025, then the last."""


def decoded_events(folder: Folder, name: str) -> Iterator[bytes]:
    """Yield the output that a version-1 log (one JSON event a line) holds of its last attempt.

    A line that is no such event is given as it is. Raises FileNotFoundError or StorageError.
    """
    with open(folder.open_read(name), "rb") as file:
        begin = position = 0
        for line in iter(lambda: file.readline(_LINE_LIMIT), b""):
            if line.startswith(_STARTS_OF_ATTEMPT):
                begin = position
            position += len(line)
        file.seek(begin)
        for line in iter(lambda: file.readline(_LINE_LIMIT), b""):
            yield _printed(line)


def _printed(line: bytes) -> bytes:
    try:
        event = json.loads(line)
        kind, data = event["type"], event.get("data", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return line
    if kind in _OUTPUT and isinstance(data, str):
        return data.encode("utf-8", "replace")
    return b""
