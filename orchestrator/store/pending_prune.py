"""A prune that goes on, or whose process died: what it is about stands in ``.runs/<task>/.pruned/pending.json``.

The file is there from before the chain's line is written until the last folder is removed. Whether the line was
written is what decides: then its runs are pruned, wherever their folders stand; else nothing has happened.
"""

from __future__ import annotations

import json
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.files import Folder
from orchestrator.base.json_values import json_text
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record
from orchestrator.store.chain import line_at, parsed
from orchestrator.store.layout import PENDING, PRUNED
from orchestrator.store.prune_lines import PrunedRun, PruneLine, is_prune, prune_line, runs_in
from orchestrator.store.store import is_pruning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

_LIMIT = 1 << 26


class Pending(Record):
    """What a prune is about: the level, the runs, and where in the chain its line begins (bytes)."""

    level: Literal["record", "logs"]
    runs: tuple[str, ...]
    offset: Count


def write_pending(place: Folder, pending: Pending) -> None:
    """Write what a prune is about into ``.pruned``, synced. The task's lock is held. Raises StorageError."""
    document = {**pending._asdict(), "runs": list(pending.runs)}
    place.write(PENDING, json_text(document).encode() + b"\n")


def read_pending(task: Folder) -> Pending | None:
    """Return what a prune that is not over is about; None where nothing that fits is. Raises StorageError."""
    unreadable = (DamagedRecord, ValueError, RecursionError)
    with suppress(FileNotFoundError, *unreadable), task.sub(PRUNED) as place:
        return Pending.from_json(json.loads(place.read(PENDING, _LIMIT)))
    return None


def written_line(task: Folder, pending: Pending) -> PruneLine | None:
    """Return the chain's line of a prune; None where it was not written. Raises StorageError."""
    data = line_at(task, pending.offset)
    if data is None or not is_prune(data):
        return None
    with suppress(DamagedRecord):
        line = prune_line(parsed(data) or {})
        if line.level == pending.level and tuple(run.run_id for run in line.runs) == pending.runs:
            return line
    return None


def on_their_way(task: Folder) -> dict[str, PrunedRun]:
    """Return the runs whose records a prune which is not over has named in the chain. Raises StorageError."""
    if not is_pruning(task):
        return {}
    pending = read_pending(task)
    line = None if pending is None or pending.level != "record" else written_line(task, pending)
    return {} if line is None else runs_in([line], "record")
