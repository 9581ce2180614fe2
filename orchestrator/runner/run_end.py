"""The end of a run beside its record: its last event, what is published of it, and the words of a breakdown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.base.errors import Refusal, StorageError
from orchestrator.base.files import HELD
from orchestrator.base.record import Record
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.runner.event_fields import run_end
from orchestrator.store.layout import CHILDREN, RESERVE
from orchestrator.store.open_run import OpenRun
from orchestrator.store.publish import publish
from orchestrator.store.recovery import recover_children
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Result(Record):
    """The record at the end of an attempt, and the stop signal that ended it, if one did.

    ``children``: where nothing ran but what found a fleet's children up to date, their documents, by stage.
    """

    manifest: Manifest
    stopped_by: int | None
    children: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


def close_children(store: RunStore, run: OpenRun) -> None:
    """Close and publish the children of a run that is about to end whose processes were killed. Raises StorageError."""
    if run.folder.has(CHILDREN):
        recover_children(store, run, interrupted)


def publish_end(store: RunStore, run: OpenRun) -> None:
    """Publish the end; a disk that is full gets the reserved space back and is tried once more. Raises StorageError."""
    try:
        publish(store, run, certain=True)
    except StorageError as error:
        if error.code == HELD:
            raise
        run.folder.remove(RESERVE)
        publish(store, run, certain=False)


def end_event(run: OpenRun, ended: Manifest) -> Mapping[str, Any] | None:
    """Write the event of the end, which the record rests on; an error's record stands without it: then None."""
    try:
        return run.last_event("run:end", run_end(ended))
    except StorageError:
        if ended.outcome != "error":
            raise
        return None


def breakdown_detail(error: BaseException) -> str:
    """Return in one line why a run broke, as its record says it."""
    if isinstance(error, Refusal):
        return error.message.splitlines()[0]
    return f"internal error: {type(error).__name__}: {error}"
