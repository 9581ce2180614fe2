"""The chain of a task: one line for each attempt that ended, each resting on the one before.

A line of ``.runs/<task>/chain.jsonl`` holds the digests (sha256) of what an ended attempt left: its manifest
(the contract's manifest digest, so that approvals and child links don't break it), its metrics line, its
events, its logs and error files; then the manifest digest of the task's previous ended attempt, and the
digest of the line before, of any kind. Whoever edits, removes or reorders something must write all later lines
anew. Lines are only ever appended, under the task's lock; the end of an attempt once for each ``event_id``.

A line with a ``kind`` tells of something else than the end of an attempt. Lines of ``form`` 2 hold digests that
were taken while the files were written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base import json_codec
from orchestrator.base.canonical import digest_of
from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder, explained
from orchestrator.base.json_values import json_text
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.store.layout import CHAIN, LINE_HINT
from orchestrator.store.metrics_line import event_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from orchestrator.model.manifest.manifest import Manifest


FORM = 2
IMPORT = "import"
"""The kind of a line that holds lines of another machine's chain (``imports``)."""

_FIRST_BLOCK = 1 << 12
_BLOCK = 1 << 16
_SCANNED = 1 << 20
"""Bytes of a chain that are looked through at a time."""
_OTHER_KIND = b'{"kind": "'
"""How ``add_line`` begins a line that is no attempt's end."""
PRUNE_BEGIN = b'{"kind": "prune"'
"""The same of a prune: of many runs it is megabytes long."""
_LINE_LIMIT = 1 << 26
_HINT_LIMIT = 256
UNDATED = frozenset({"recorded_at", "child_runs"})
"""Keys of a metrics line that its digest leaves out: ``doctor --repair`` can't know them of a lost line."""

Line: TypeAlias = "dict[str, Any]"


class LineHint(Record):
    """Where the line of a run's attempt may begin in its task's chain, and the line of its first one, in bytes."""

    attempt: Count
    offset: Count
    first: Count | None = None


class PlacedLine(Record):
    """The line of an attempt's end, and where in the chain it begins (bytes).

    ``imported_from`` is of an imported run: there the line stands inside the one that begins at ``offset``.
    """

    line: Line
    offset: int
    imported_from: Line | None = None


def metrics_digest(line: Mapping[str, Any]) -> str:
    """Return the digest of a metrics line, but for when it was written and how many children there were then."""
    return digest_of({key: value for key, value in line.items() if key not in UNDATED})


def add_link(
    task: Folder, manifest: Manifest, digest: str, evidence: Line, metrics: Mapping[str, Any], recorded_at: str
) -> tuple[PlacedLine, int]:
    """Append the line of an attempt's end, which is in no line yet; the task's lock is held.

    ``digest`` is the manifest's. Returns the line, and the bytes of a torn line that were cut off. The file is
    synced, its name is the caller's to sync.
    """
    content = {
        "form": FORM,
        "run_id": manifest.run_id,
        "attempt": manifest.attempt,
        "status": manifest.status,
        "manifest_digest": digest,
        "metrics_digest": metrics_digest(metrics),
        **evidence,
    }
    rest = {"recorded_at": recorded_at, "event_id": event_id(manifest.run_id, manifest.attempt)}
    return add_line(task, content, rest)


def add_line(task: Folder, content: Line, rest: Line) -> tuple[PlacedLine, int]:
    """Append a line of any kind: ``content``, what it rests on, ``rest``. The task's lock is held; see ``add_link``."""
    before = last_line(task)
    line = {
        **content,
        "previous": _named(_end_up_to(task, before)),
        "previous_line": None if before is None else sha256(before).hexdigest(),
        "host": os.uname().nodename,
        **rest,
    }
    data = json_text(line, ensure_ascii=False).encode()
    cut = task.append_line(CHAIN, data, sync=True)
    size = os.stat(CHAIN, dir_fd=task.fd, follow_symlinks=False).st_size
    return PlacedLine(line, size - len(data) - 1), cut


def _end_up_to(task: Folder, last: bytes | None) -> Line | None:
    """Return the last line of an attempt's end, or what ``previous`` says of it in the ``last`` line, read already."""
    line = None if last is None or last.startswith(PRUNE_BEGIN) else parsed(last)
    if line is not None and not is_end(line) and "previous" in line:
        return line["previous"] if isinstance(line["previous"], dict) else None
    return line if line is not None and is_end(line) else last_end(task)


def _named(line: Line | None) -> Line | None:
    return None if line is None else {key: line.get(key) for key in ("run_id", "attempt", "manifest_digest")}


def is_end(line: Mapping[str, Any]) -> bool:
    """Tell whether a line tells of the end of an attempt."""
    return line.get("kind") is None


def parsed(line: bytes) -> Line | None:
    """Return the object in a line, None when it holds none."""
    with suppress(ValueError, RecursionError):
        document = json_codec.loads(line)
        if isinstance(document, dict):
            return document
    return None


def find_link(task: Folder, event: str, hint: int | None = None) -> PlacedLine | None:
    """Return the line of the attempt's end with that ``event_id``; None when no whole line is.

    ``hint`` is where it may begin: what stands there is looked at first. Raises StorageError.
    """
    if hint is not None and (line := _line_at(task, hint)) is not None and (found := _end_in(line, event, hint)):
        return found
    wanted, offset = event.encode(), 0
    for data in lines_of(task):
        if wanted in data and (line := parsed(data)) is not None and (found := _end_in(line, event, offset)):
            return found
        offset += len(data) + 1
    return None


def _end_in(line: Line, event: str, offset: int) -> PlacedLine | None:
    for inner in lines_in(line):
        if is_end(inner) and inner.get("event_id") == event:
            return PlacedLine(inner, offset, None if inner is line else line.get("imported_from"))
    return None


def lines_in(line: Line) -> Iterator[Line]:
    """Yield a line, or in its place those of another machine's chain that it holds."""
    if line.get("kind") != IMPORT:
        yield line
        return
    held = line.get("lines")
    yield from (inner for inner in (held if isinstance(held, list) else ()) if isinstance(inner, dict))


def _line_at(task: Folder, offset: int) -> Line | None:
    data = line_at(task, offset)
    return None if data is None else parsed(data)


def line_at(task: Folder, offset: int) -> bytes | None:
    """Return the whole line that begins at the byte ``offset``; None when none does. Raises StorageError."""
    try:
        fd = task.open_read(CHAIN)
    except FileNotFoundError:
        return None
    with explained(f"{task.path}/{CHAIN}"), open(fd, "rb") as file:
        if offset > 0:
            file.seek(offset - 1)
            if file.read(1) != b"\n":
                return None
        data = file.readline(_LINE_LIMIT)
        return data[:-1] if data.endswith(b"\n") else None


def write_hint(folder: Folder, link: PlacedLine) -> None:
    """Note in a run's folder where its line is. It only saves time, so a disk that refuses it is no harm."""
    with suppress(StorageError):
        is_first = link.line.get("attempt") == 1
        first = link.offset if is_first else read_first_hint(folder)
        content = {"attempt": link.line.get("attempt"), "offset": link.offset, "first": first}
        note = json_text(content).encode() + b"\n"
        folder.write(LINE_HINT, note, sync=False, sync_folder=False)


def read_hint(folder: Folder, attempt: int) -> int | None:
    """Return where the line of the run's ``attempt`` may begin; None when that isn't noted."""
    hint = _hint(folder)
    return hint.offset if hint is not None and hint.attempt == attempt else None


def read_first_hint(folder: Folder) -> int | None:
    """Return where the line of the run's first attempt may begin; None when that isn't noted."""
    hint = _hint(folder)
    if hint is None:
        return None
    return hint.offset if hint.attempt == 1 else hint.first


def _hint(folder: Folder) -> LineHint | None:
    with suppress(FileNotFoundError, StorageError, ValueError, RecursionError, DamagedRecord):
        return LineHint.from_json(json_codec.loads(folder.read(LINE_HINT, _HINT_LIMIT)))
    return None


def has_link(task: Folder, event: str) -> bool:
    """Tell whether a whole line of that ``event_id`` is in the chain."""
    return find_link(task, event) is not None


def lines_of(task: Folder, start: int = 0) -> Iterator[bytes]:
    """Yield the whole lines of a task's chain from the byte ``start`` on, without newlines; a torn last one is none."""
    try:
        fd = task.open_read(CHAIN)
    except FileNotFoundError:
        return
    with open(fd, "rb") as file:
        file.seek(start)
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def lines_with(task: Folder, mark: bytes, start: int = 0) -> Iterator[bytes]:
    """Yield those of ``lines_of`` that hold ``mark``, which has no newline.

    Of very many lines few have it: a block without it is not taken apart, which takes a third of the time. Raises
    StorageError.
    """
    try:
        fd = task.open_read(CHAIN)
    except FileNotFoundError:
        return
    at = begin = start  # of the block, and of the line that the block begins in
    with explained(f"{task.path}/{CHAIN}"), open(fd, "rb") as file:
        while block := os.pread(fd, _SCANNED, at):
            if mark not in block:
                if (newline := block.rfind(b"\n")) >= 0:
                    begin = at + newline + 1
                at += len(block) - len(mark) + 1
                if len(block) < _SCANNED:
                    return
                continue
            file.seek(begin)
            for line in file:
                begin += len(line)
                if line.endswith(b"\n") and mark in line:
                    yield line[:-1]
                if begin >= at + len(block):
                    break
            at = begin


def size_of_chain(task: Folder) -> int:
    """Return how many bytes the chain has, 0 where there is none."""
    try:
        return os.stat(CHAIN, dir_fd=task.fd, follow_symlinks=False).st_size
    except OSError:
        return 0


def last_lines(folder: Folder, name: str, count: int) -> tuple[int, bytes]:
    """Return the last ``count`` whole lines of a file, with what is torn behind them, and where they begin.

    What is before them is not read. Raises FileNotFoundError, StorageError.
    """
    fd = folder.open_read(name)
    try:
        blocks, found, at = [], 0, os.fstat(fd).st_size
        size = _FIRST_BLOCK
        while at > 0 and found <= count:
            begin = max(0, at - size)
            blocks.append(os.pread(fd, at - begin, begin))
            found, at, size = found + blocks[-1].count(b"\n"), begin, _BLOCK
    except OSError as error:
        raise StorageError(f"'{folder.path}/{name}' can't be read: {error.strerror}") from error
    finally:
        os.close(fd)
    tail = b"".join(reversed(blocks))
    surplus = found - count
    start = 0
    for _ in range(max(0, surplus)):
        start = tail.index(b"\n", start) + 1
    return at + start, tail[start:]


def last_line(task: Folder) -> bytes | None:
    """Return the last whole line of the chain, without reading what is before it; None when there is none."""
    try:
        _, tail = last_lines(task, CHAIN, 1)
    except FileNotFoundError:
        return None
    line, end, _ = tail.partition(b"\n")
    return line if end else None


def last_end(task: Folder) -> Line | None:
    """Return the last line that tells of an attempt's end; lines of other kinds behind it are passed over."""
    count = 1
    while True:
        try:
            begin, tail = last_lines(task, CHAIN, count)
        except FileNotFoundError:
            return None
        for data in reversed(tail.split(b"\n")[:-1]):
            if data.startswith(_OTHER_KIND):
                continue
            line = parsed(data)
            if line is None or is_end(line):
                return line
        if begin == 0:
            return None
        count *= 4
