"""Which lines of a task's metrics its chain proves, and which ends it knows that the metrics lack."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from orchestrator.base.files import Folder
from orchestrator.base.record import Record
from orchestrator.report.run_list.lines_from_end import file_backwards
from orchestrator.store.chain import is_end, lines_in, metrics_digest, parsed
from orchestrator.store.layout import CHAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHAIN_LINE_LIMIT = 1 << 24
_FORM, _KIND, _IMPORT = b'{"form": 2, "run_id": "', b'{"kind": "', b'{"kind": "import"'
"""How the lines of an attempt's end, of anything else, and of an import begin (``store.chain``)."""
_EVENT = re.compile(rb', "event_id": "([0-9a-f]{32})"\}$')
_EVENT_BYTES = len(', "event_id": ""}') + 32


class ChainedEnds(Record):
    """What the end of a chain says of the metrics: ``lacking`` are the ends without a line, or with an edited one.

    ``unproved`` are the events of lines that no end in the chain has.
    """

    lacking: tuple[Mapping[str, Any], ...]
    unproved: frozenset[str]


def chained_ends(task: Folder, lines: Mapping[str, bytes], last: Collection[str]) -> ChainedEnds:
    """Compare metrics ``lines``, by their event, with the chain.

    Lines are compared by their digests back to where each of ``last`` was met; before that only lacking ones are
    looked for, which takes no parsing. Raises StorageError.
    """
    wanted, seen = set(last), set[str]()
    lacking: list[Mapping[str, Any]] = []
    for data in _chain_backwards(task):
        usual = _EVENT.search(data, max(0, len(data) - _EVENT_BYTES)) if data.startswith(_FORM) else None
        if usual is not None and not wanted and (event := usual[1].decode()) in lines:
            seen.add(event)
            continue
        for end in reversed(list(lines_in(parsed(data) or {}))):
            if not is_end(end) or "event_id" not in end:
                continue
            event = str(end["event_id"])
            line = lines.get(event)
            if line is None or (wanted and end.get("metrics_digest") != metrics_digest(parsed(line) or {})):
                lacking.append(end)
            seen.add(event)
            wanted.discard(event)
    return ChainedEnds(tuple(lacking), frozenset(lines) - seen)


def _chain_backwards(task: Folder) -> Iterator[bytes]:
    """Yield the lines of a chain that can hold ends of attempts, the last one first."""
    for data in file_backwards(task, CHAIN, limit=_CHAIN_LINE_LIMIT):
        if data.startswith(_IMPORT) or not data.startswith(_KIND):
            yield data
