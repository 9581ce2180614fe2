"""What a record on a worker has more than its submitter knows: read by (file, offset), nothing is held in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.cloud.protocol import PIECE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def news_of(folder: str, offsets: Mapping[str, int], seen: str) -> dict[str, Any]:
    """Return what the files of a record have more than the caller knows; empty when that is nothing.

    Events come before the manifest that rests on them, as they are written; at most a piece comes at once.
    """
    files: dict[str, bytes] = {}
    left = PIECE_BYTES
    for name in ("runner.ndjson", *(f"commands/{entry}" for entry in _names(os.path.join(folder, "commands")))):
        known = int(offsets.get(name, 0))
        with suppress(OSError), open(os.path.join(folder, name), "rb") as stream:
            if os.fstat(stream.fileno()).st_size > known and left > 0:
                stream.seek(known)
                files[name] = stream.read(left)
                left -= len(files[name])
    found: dict[str, Any] = {"files": files} if files else {}
    if left > 0:
        with suppress(OSError), open(os.path.join(folder, "manifest.json"), "rb") as stream:
            status = os.fstat(stream.fileno())
            mark = f"{status.st_ino}-{status.st_mtime_ns}"
            if mark != seen:
                found |= {"files": files, "manifest": stream.read(), "seen": mark}
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".log"))
    except OSError:
        return []
