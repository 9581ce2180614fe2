"""What a fleet's start asked for each child's start; a resume that is the first to start a child needs it again."""

from __future__ import annotations

import json

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.files import Folder
from orchestrator.base.record import Record
from orchestrator.commands.run.requests import StartRequest
from orchestrator.model.queue import HIGHEST_PRIORITY, LOWEST_PRIORITY
from orchestrator.store.layout import CHILD_START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_BYTES = 1 << 16


class ChildStart(Record):
    """The key of a fleet, of which each child's is made, and mode and options of the queue, which are each child's."""

    key: str | None = None
    priority: int = 0
    wait: str | None = None
    no_wait: bool = False
    mode: str = "local"

    @property
    def options(self) -> tuple[str, ...]:
        """The options of a child's start: the fleet itself takes no place in the queue, nor on an engine."""
        priority = (f"--priority={self.priority}",) if self.priority else ()
        wait = () if self.wait is None else ("--wait", self.wait)
        no_wait = ("--no-wait",) if self.no_wait else ()
        return (*priority, *wait, *no_wait, *(() if self.mode == "local" else ("--mode", self.mode)))

    def to_bytes(self) -> bytes | None:
        """Return the bytes of the file, a JSON object of the fields; None where nothing was asked for."""
        if self == ChildStart():
            return None
        fields = {"key": self.key, "priority": self.priority, "wait": self.wait, "no_wait": self.no_wait}
        if self.mode != "local":
            fields["mode"] = self.mode
        return json.dumps(fields).encode() + b"\n"


def child_start_of(request: StartRequest, key: str | None) -> ChildStart:
    """Return what the start of a fleet asks for each child's."""
    return ChildStart(key, request.priority, request.wait, request.no_wait, request.mode)


def read_child_start(folder: Folder) -> ChildStart:
    """Return what the folder of a fleet's run says of it; a fleet without the file asked for nothing.

    Raises DamagedRecord where the file is none of ours: children would start without their key.
    """
    try:
        data = folder.read(CHILD_START, _MOST_BYTES)
    except FileNotFoundError:
        return ChildStart()
    try:
        found = _decoded(json.loads(data))
    except (ValueError, TypeError, KeyError):
        found = None
    if found is None:
        raise DamagedRecord(
            f"'{folder.path}/{CHILD_START}', which says how a fleet starts its projects, can't be read",
            hint="remove the file: projects are then started here, without key, priority and limit of waiting",
            code="damaged-child-start",
        )
    return found


def _decoded(fields: Any) -> ChildStart | None:
    """Return the values of a file, None where one is of another type or beyond what a start accepts."""
    mode = fields.get("mode", "local")
    found = ChildStart(fields["key"], fields["priority"], fields["wait"], fields["no_wait"], mode)
    are_texts = all(text is None or isinstance(text, str) for text in (found.key, found.wait))
    is_number = type(found.priority) is int and LOWEST_PRIORITY <= found.priority <= HIGHEST_PRIORITY
    is_known = mode in ("local", "cloud") and isinstance(found.no_wait, bool)
    return found if are_texts and is_number and is_known else None
