"""A stored success of a stage: what it rested on, what it made, and the run that shows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from operator import is_

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.files import Seam
from orchestrator.base.files.cache_dir import read_cached, remove_cached, write_cached
from orchestrator.base.json_values import json_text
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import Workspace
from orchestrator.model.manifest.command import Reused
from orchestrator.runner.stage_cache.cache_key import Observation
from orchestrator.runner.stage_cache.fingerprints import FileState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_VERSION = 3
_NO_STATUS = (0,) * 6
"""Of a link to nothing, which is never settled: no status of it is compared."""
_MODULUS = 1 << 64
"""A time before 1970 is written as another number: its file is read again."""
_LIMIT = 32 * 1024 * 1024


class Entry(Record):
    """One stored success. ``salt`` is that of the observation's digests of variables."""

    salt: str
    observation: Observation
    outputs: Mapping[str, FileState]
    shown_by: Reused


class NotStored(Record):
    """Why a stage's last success is not stored; ``mark`` tells two such notes apart."""

    reason: str
    mark: str


class Entries:
    """The stored successes of a pipeline's stages under one task: one for each stage, its last.

    ``scope`` is task, project and pipeline. Without ``writes`` nothing is changed by looking.
    """

    def __init__(
        self, workspace: Workspace, scope: tuple[str, str, str], seam: Seam | None = None, *, writes: bool = True
    ) -> None:
        self._workspace = workspace
        self._scope = scope
        self._seam = seam
        self._writes = writes

    def get(self, stage_id: str) -> Entry | NotStored | None:
        """Return what is stored of a stage; a damaged entry counts as none."""
        data = read_cached(self._workspace, self._name(stage_id), _LIMIT, self._seam)
        if data is None:
            return None
        try:
            document = json_codec.loads(data)
            if document["entry"] != _VERSION:
                return None
            if "not_stored" in document:
                return NotStored(_text(document["not_stored"]), _text(document["mark"]))
            return _entry(document)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, DamagedRecord):
            return None

    def put(self, stage_id: str, entry: Entry) -> None:
        """Store a success; one that was stored before is forgotten."""
        if not self._writes:
            return
        document = {
            "entry": _VERSION,
            "salt": entry.salt,
            "shown_by": entry.shown_by._asdict(),
            "stage": entry.observation.stage,
            "session": entry.observation.session,
            "environment": dict(entry.observation.environment),
            "tools": dict(entry.observation.tools),
            "inputs": _columns(entry.observation.inputs),
            "outputs": _columns(entry.outputs),
        }
        write_cached(self._workspace, self._name(stage_id), _bytes(document), self._seam)

    def refuse(self, stage_id: str, reason: str) -> None:
        """Forget a stage's success, and note why there is none. Raises StorageError when an old one would stay."""
        document = {"entry": _VERSION, "not_stored": reason, "mark": os.urandom(8).hex()}
        write_cached(self._workspace, self._name(stage_id), _bytes(document), self._seam)
        if isinstance(self.get(stage_id), Entry):
            remove_cached(self._workspace, self._name(stage_id), self._seam)

    def _name(self, stage_id: str) -> str:
        scope = "/".join((*self._scope, stage_id))
        return f"stage-{sha256(scope.encode()).hexdigest()[:24]}.json"


def _columns(files: Mapping[str, FileState]) -> dict[str, object]:
    """Return files as a list for each thing that is known of them, which a thousand are read from in half the time.

    The numbers of statuses, six of 64 bits for each file, are one hexadecimal text.
    """
    states = files.values()
    numbers = (number % _MODULUS for state in states for number in state.status or _NO_STATUS)
    return {
        "paths": [*files],
        "contents": [state.content for state in states],
        "settled": [state.settled for state in states],
        "statuses": b"".join(number.to_bytes(8, sys.byteorder) for number in numbers).hex(),
    }


def _files(columns: Mapping[str, Any]) -> dict[str, FileState]:
    contents, settled = columns["contents"], map(partial(is_, True), columns["settled"])
    numbers = iter(memoryview(bytes.fromhex(columns["statuses"])).cast("Q").tolist())
    states = zip(contents, settled, zip(*[numbers] * len(_NO_STATUS), strict=True), strict=True)
    # A third of what the class's own constructor takes.
    made = map(partial(tuple.__new__, FileState), states)
    files: dict[str, FileState] = dict(zip(columns["paths"], made, strict=True))
    _text("".join(contents))
    return files


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode()  # a lone surrogate is none either
    return value


def _entry(document: Mapping[str, Any]) -> Entry:
    observation = Observation(
        _text(document["stage"]),
        _text(document["session"]),
        {name: _text(value) for name, value in document["environment"].items()},
        {name: _text(value) for name, value in document["tools"].items()},
        _files(document["inputs"]),
    )
    shown_by = Reused.from_json(document["shown_by"], exact=True)
    return Entry(_text(document["salt"]), observation, _files(document["outputs"]), shown_by)


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json_text(document, separators=(",", ":")).encode()
