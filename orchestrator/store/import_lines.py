"""Imports in a task's chain: a line holds the lines that another machine's chain has of a run, as they stand there.

``{"kind": "import", "run_id", "imported_from": {"host", "chain", "head"}, "lines": [{…}, …]}``

``chain`` is the digest of that chain's first line, which names it, ``head`` that of its last one then. A run is
judged by the lines that stand there; a later attempt, or a later decision, comes by a line of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record
from orchestrator.model.manifest.document import parse
from orchestrator.store.chain import FORM, IMPORT, Line, PlacedLine, add_line, is_end
from orchestrator.store.layout import IMPORTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


NOTE_LIMIT = 1 << 26
"""Bytes of ``imported.json``."""


class Origin(Record):
    """The chain that a run was taken from: the host that wrote it, the digests of its first and of its last line."""

    host: str | None
    chain: str
    head: str

    def as_json(self) -> dict[str, Any]:
        """Return what ``imported_from`` shows."""
        return self._asdict()


class _Import(Record):
    run_id: str
    imported_from: Origin
    lines: tuple[Mapping[str, Any], ...]


class _End(Record):
    run_id: str
    attempt: Count
    manifest_digest: str


def check_import(line: Line) -> None:
    """Raise DamagedRecord, which says what is wrong, for a line that holds no lines of the run that it names."""
    read = _Import.from_json(line)
    if not is_run_id(read.run_id) or not read.lines:
        raise DamagedRecord("it holds no lines of a run")
    for inner in read.lines:
        if inner.get("run_id") != read.run_id:
            raise DamagedRecord(f"it holds a line of another run than {read.run_id}")
        if is_end(inner):
            _End.from_json(dict(inner))


def origin_of(folder: Folder) -> dict[str, Any] | None:
    """Return what the note in a run's folder says of where the run comes from; None when it says nothing."""
    with suppress(FileNotFoundError, StorageError, DamagedRecord):
        note = parse(folder.read(IMPORTED, NOTE_LIMIT), f"{folder.path}/{IMPORTED}")
        return Origin.from_json(note.get("imported_from")).as_json()
    return None


def add_import(task: Folder, run_id: str, origin: Origin, lines: Sequence[Line], at: str) -> PlacedLine:
    """Append the line of an import, synced; the task's lock is held. Raises StorageError."""
    content = {
        "kind": IMPORT,
        "form": FORM,
        "run_id": run_id,
        "imported_from": origin.as_json(),
        "lines": [dict(line) for line in lines],
    }
    return add_line(task, content, {"recorded_at": at})[0]
