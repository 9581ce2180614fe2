"""The word that ``cancel`` leaves in a run's folder: who stops it, and why.

The signal does the stopping; this only says whose it was. Without it the record would name a signal.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.json_values import json_text
from orchestrator.base.record import Record

CANCEL = "cancel.json"
_LIMIT = 256 * 1024


class CancelRequest(Record):
    """Who asked for the end of which attempt, why (may be empty), and when (a timestamp)."""

    actor: str
    reason: str
    at: str
    attempt: int

    @property
    def detail(self) -> str:
        """The run's ``status_detail``."""
        return f"cancelled by {self.actor}" + (f": {self.reason}" if self.reason else "")


def leave_request(folder: Folder, request: CancelRequest) -> None:
    """Leave the request in a live run's folder; of two at once, one stands, whole."""
    fresh = f".{CANCEL}.{os.getpid()}.tmp"
    text = json_text(request._asdict(), ensure_ascii=False).encode()
    folder.remove(fresh)
    folder.create(fresh, text + b"\n")
    folder.move_to(fresh, folder, CANCEL)


def read_request(folder: Folder, attempt: int) -> CancelRequest | None:
    """Return the request to end this ``attempt``, or None; what can't be read, or is about another one, is none."""
    with suppress(FileNotFoundError, StorageError, ValueError, DamagedRecord):
        request = CancelRequest.from_json(json.loads(folder.read(CANCEL, _LIMIT)))
        if request.attempt == attempt:
            return request
    return None


def withdraw_request(folder: Folder) -> None:
    """Remove the request, taken or in vain; harmless when there is none."""
    with suppress(StorageError):
        folder.remove(CANCEL)
