"""Which log holds what a stage printed, told from the record (version 1 or 2)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.report import shapes
from orchestrator.report.fields import Fields, of_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class StageLogs:
    """The logs of a stage: ``names`` of files below ``commands/``, one for each attempt, oldest first.

    ``ended`` tells that nothing more will be written unless the run is resumed, ``note`` says why there
    is no log, ``left_out`` counts the bytes that the last attempt's log limit dropped.
    """

    stage: str
    names: tuple[str, ...]
    ended: bool
    note: str
    left_out: int = 0


def stage_logs(record: Mapping[str, Any]) -> Sequence[StageLogs]:
    """Return the logs of every stage, in the order of the stages. Raises DamagedRecord."""
    of_version_1 = record.get("version") == 1
    with of_run(record):
        return [_of_stage(entry, of_version_1) for entry in Fields(record, lenient=of_version_1).each("commands")]


def _of_stage(entry: Fields, of_version_1: bool) -> StageLogs:
    command = entry.take(shapes.COMMAND)
    attempts = [] if of_version_1 else [attempt.take(shapes.ATTEMPT) for attempt in entry.each("attempts")]
    paths = [attempt["log_path"] for attempt in attempts] or [command["log_path"]]
    names = tuple(os.path.basename(path) for path in paths if path)
    reason = f": {command['summary']}" if command["summary"] else ""
    note = f"was skipped{reason}" if command["status"] == "skipped" else "has not run"
    if command.get("reused") is not None:
        note += f"; its log is shown by 'codex-orchestrator logs {command['reused']['run_id']} --stage {command['id']}'"
    left_out = attempts[-1]["log_bytes_left_out"] if attempts else 0
    return StageLogs(command["id"], names, command["status"] not in ("pending", "running"), note, left_out)
