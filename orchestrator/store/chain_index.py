"""Where in a task's chain the decisions about a run stand, and its prunes: ``.runs/.cache/chain-*.json``.

A decision may stand anywhere behind its run's line. Of a chain of very many lines only what is behind the end of the
index is looked through. Readers make it, no writer waits for it, and it is one account's: sealed like the caches.

It says nothing by itself. What it names is read from the chain each time, and taken only when it is there. What it does
not name isn't in the chain, for these reasons: the seal says that this program, under this account, has read all of the
lines that are covered; each of them had the digest of the one before in it; and the last of them, whose digest is
noted, is still in its place, or the line after it says so. So the lines that were read are the only ones which can lead
to that one (SHA-256). Who writes others in their place breaks the chain, and ``verify`` says so. Nothing is covered
from the first line on that does not rest on the one before. ``verify --state`` and ``doctor`` compare all of it with
the chain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder, explained
from orchestrator.base.files.cache_dir import hmac_sha256, make_key, read_key, read_sealed, write_sealed
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256, sha256_for
from orchestrator.base.workspace import Workspace
from orchestrator.store.chain import PRUNE_BEGIN, line_at, lines_of, lines_with, size_of_chain
from orchestrator.store.decision_lines import MARK, runs_decided
from orchestrator.store.layout import CHAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PRUNES = "prune"
"""The key of the lines of prunes; those of decisions are the ids of their runs."""

_FORM = 1
"""Goes up when other lines are indexed, or by other keys: an older file counts as none then."""
_MUCH = 1 << 21
"""Bytes of a chain that may stand behind the index: they are looked through in 0.7 ms."""
_LONG = 1 << 18
"""Bytes of a line: that of a prune of 10,000 runs has 3.4 MB, and took a ``status`` 20 ms each time."""
_KEYS_IN_A_PART = 256
_LIMIT = 1 << 26
_BEFORE = b'"previous_line": "'


class Part(Record):
    """One file of the index: the lines of those keys that fall to it, of the first ``covered`` bytes of the chain.

    ``last`` is where the last covered line begins (bytes) and ``digest`` its sha256. The first part says of how many.
    """

    form: Count
    parts: Count
    covered: Count
    last: Count
    digest: str
    places: Mapping[str, Any]


_EMPTY = Part(_FORM, 1, 0, 0, "", {})


def lines_about(
    task: Folder, workspace: Workspace, key: str, mark: bytes, start: int, is_about: Callable[[bytes], bool]
) -> list[bytes]:
    """Return the lines of the chain from the byte ``start`` on that hold ``mark`` and are about ``key``, in order.

    They are those of ``lines_with``, whatever the index says. What was looked through is noted there, if it is much.
    Raises StorageError.
    """
    index = Index(task, workspace)
    part = index.part_of(key)
    places = None if part is None else _offsets(part, key)
    found = None if places is None else _read_back(task, places, start, is_about)
    if part is None or found is None:
        part, found = None, []
    end = part.covered if part is not None else 0
    found += filter(is_about, lines_with(task, mark, max(start, end)))
    if size_of_chain(task) - end > _MUCH:
        index.extend(afresh=part is None)
    return found


def _offsets(part: Part, key: str) -> tuple[int, ...] | None:
    """Return the places of a key; None when they are none. Of a part, only those that are asked for are looked at."""
    found = part.places.get(key, [])
    if isinstance(found, list) and all(type(offset) is int and 0 <= offset < part.covered for offset in found):
        return tuple(found)
    return None


def _read_back(
    task: Folder, places: tuple[int, ...], start: int, is_about: Callable[[bytes], bool]
) -> list[bytes] | None:
    """Return the lines that begin at ``places``; None when one of them is not about what it is said to be."""
    found = []
    for offset in places:
        if offset >= start:
            line = line_at(task, offset)
            if line is None or not is_about(line):
                return None
            found.append(line)
    return found


class Index:
    """The index of a task's chain, of the account that asks. Where there is none that holds, the chain is read."""

    def __init__(self, task: Folder, workspace: Workspace) -> None:
        self._task = task
        self._workspace = workspace
        self._key = read_key(workspace.state_dir)

    def part_of(self, key: str) -> Part | None:
        """Return the part that has the lines of ``key``; None unless it is of this chain."""
        with suppress(StorageError, OSError):
            first = self._read(0)
            if first is None:
                return None
            number = _number(key, first.parts)
            part = first if number == 0 else self._read(number)
            if part is not None and part.parts == first.parts and _is_of(self._task, part):
                return part
        return None

    def whole(self) -> Part | None:
        """Return all parts as one; None unless they are all of this chain, and reach equally far."""
        with suppress(StorageError, OSError):
            first = self._read(0)
            if first is None or not _is_of(self._task, first):
                return None
            known: dict[str, tuple[int, ...]] = {}
            for number in range(first.parts):
                part = self._read(number)
                if part is None or part._replace(places=first.places) != first:
                    return None
                known |= {key: offsets for key in part.places if (offsets := _offsets(part, key)) is not None}
            return first._replace(parts=1, places=known)
        return None

    def extend(self, *, afresh: bool) -> None:
        """Take in what stands behind the index, or all of the chain. Where nothing can be kept, nothing is read."""
        if self._key is None and self._workspace.state_dir is not None:
            self._key = make_key(self._workspace.state_dir)
        before = None if afresh else self.whole()
        if before is None:
            before = _EMPTY
            self._write(0, before)
            if self._read(0) is None:
                return
        with suppress(StorageError, OSError):
            after = _covering(self._task, before)
            if after.covered > before.covered:
                self._keep(after)

    def differences(self) -> Iterator[str]:
        """Yield the keys whose lines are not where the index says, or which it lacks.

        Raises StorageError.
        """
        index = self.whole()
        if index is None:
            return
        expected = _places_in(self._task, index.covered)
        for key in sorted({*index.places, *expected}):
            if index.places.get(key, ()) != tuple(expected.get(key, ())):
                yield key

    def _keep(self, index: Part) -> None:
        count = 1 + len(index.places) // _KEYS_IN_A_PART
        held: list[dict[str, tuple[int, ...]]] = [{} for _ in range(count)]
        for key, places in index.places.items():
            held[_number(key, count)][key] = places
        # The first comes last: until then the parts are of the number that stands there, or of none.
        for number in reversed(range(count)):
            self._write(number, index._replace(parts=count, places=held[number]))

    def _name(self, number: int) -> str:
        who = hmac_sha256(self._key or b"", b"chain index")[:16]
        return f"chain-{os.path.basename(self._task.path)}-{who}{f'-{number}' if number else ''}.json"

    def _read(self, number: int) -> Part | None:
        if self._key is None:
            return None
        data = read_sealed(self._workspace, self._name(number), _LIMIT, self._task.seam)
        with suppress(ValueError, RecursionError, DamagedRecord):
            part = None if data is None else Part.from_json(json_codec.loads(data))
            return part if part is not None and part.form == _FORM and part.parts > 0 else None
        return None

    def _write(self, number: int, part: Part) -> None:
        if self._key is not None:
            data = json_codec.dumps(part._asdict()).encode()
            write_sealed(self._workspace, self._name(number), data, self._task.seam)


def _number(key: str, parts: int) -> int:
    return int.from_bytes(sha256(key.encode("utf-8", "replace")).digest()[:4]) % parts if parts > 1 else 0


def _is_of(task: Folder, part: Part) -> bool:
    """Tell whether the last line that a part covers is in its place in the chain. Raises StorageError.

    A long one is not read while the line after it rests on it: what else stands in its place breaks the chain.
    """
    if part.covered == 0:
        return True
    after = line_at(task, part.covered) if part.covered - part.last > _LONG else None
    if after is not None:
        return _rests_on(after, part.digest)
    line = line_at(task, part.last)
    return line is not None and part.last + len(line) + 1 == part.covered and _digest(line) == part.digest


def _rests_on(line: bytes, digest: str) -> bool:
    """Tell whether a line of the chain names ``digest`` as that of the one before."""
    return line.startswith(digest.encode(), line.rfind(_BEFORE) + len(_BEFORE))


def _digest(line: bytes) -> str:
    digest = sha256_for(len(line))
    digest.update(line)
    return digest.hexdigest()


def _covering(task: Folder, before: Part) -> Part:
    """Return a part of all keys that reaches to the chain's end, or to the first line that rests on no other."""
    from hashlib import sha256 as fast  # of megabytes

    places = {key: list(found) for key, found in before.places.items()}
    covered, last, digest = before.covered, before.last, before.digest
    for line in lines_of(task, covered):
        if covered and not _rests_on(line, digest):
            break
        if MARK in line or line.startswith(PRUNE_BEGIN):
            for key in _keys_of(line):
                places.setdefault(key, []).append(covered)
        last, digest = covered, fast(line).hexdigest()
        covered += len(line) + 1
    return Part(_FORM, 1, covered, last, digest, {key: tuple(found) for key, found in places.items()})


def _places_in(task: Folder, end: int) -> dict[str, list[int]]:
    """Return by key where lines that an index names begin before the byte ``end`` of the chain. Raises StorageError."""
    places: dict[str, list[int]] = {}
    offset = 0
    with explained(f"{task.path}/{CHAIN}"):
        for line in lines_of(task):
            if offset >= end:
                break
            for key in _keys_of(line):
                places.setdefault(key, []).append(offset)
            offset += len(line) + 1
    return places


def _keys_of(line: bytes) -> Iterator[str]:
    if MARK in line:
        yield from runs_decided(line)
    if line.startswith(PRUNE_BEGIN):
        yield PRUNES
