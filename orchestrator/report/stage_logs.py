"""Which log holds what a stage printed, by the record (version 1 or 2)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.manifest.command import Command
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.report.status_document import of_run
from orchestrator.store.legacy.documents import Command1, Manifest1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class StageLogs:
    """The logs of a stage: ``names`` of files below ``commands/``, one for each attempt, oldest first.

    ``ended`` tells that nothing more will be written unless the run is resumed, ``note`` says why there
    is no log, ``dropped`` counts for each name the bytes that the log limit left out.
    """

    stage: str
    names: tuple[str, ...]
    ended: bool
    note: str
    dropped: tuple[int, ...] = ()

    @property
    def left_out(self) -> int:
        """The bytes that the last attempt's log limit dropped."""
        return self.dropped[-1] if self.dropped else 0


def stage_logs(record: Mapping[str, Any]) -> Sequence[StageLogs]:
    """Return the logs of every stage, in the order of the stages. Raises DamagedRecord."""
    with of_run(record):
        if record.get("version") == 1:
            return [_of_stage(entry) for entry in Manifest1.from_json(record, lenient=True).commands]
        return [_of_stage(entry) for entry in Manifest.from_json(record).commands]


def _of_stage(command: Command | Command1) -> StageLogs:
    attempts = command.attempts if isinstance(command, Command) else ()
    logged = [(attempt.log_path, attempt.log_bytes_left_out) for attempt in attempts] or [(command.log_path, 0)]
    names = tuple(os.path.basename(path) for path, _ in logged if path)
    reason = f": {command.summary}" if command.summary else ""
    note = f"was skipped{reason}" if command.status == "skipped" else "has not run"
    if isinstance(command, Command) and command.reused is not None:
        note += f"; its log is shown by 'codex-orchestrator logs {command.reused.run_id} --stage {command.id}'"
    dropped = tuple(left_out for path, left_out in logged if path)
    return StageLogs(command.id, names, command.status not in ("pending", "running"), note, dropped)
